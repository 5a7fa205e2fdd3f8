"""Apps as they come into menus: with an entry, icons and descriptions, in the formats that there are."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

from kit.apps import packed, script_appdir, write
from kit.foreign_images import mksquashfs, write_image
from kit.real_images import type_1_image

ENTRY = """[Desktop Entry]
Type=Application
Name=Sample App
Name[de]=Beispiel
Comment=Shows things
Exec=sample --mode "a b" %F
Icon=sample
Categories=Graphics;Nonsense;
MimeType=image/x-sample;not a type;
Keywords=show;see
Actions=New;Gone;
Terminal=false
Version=7.3-beta
X-AppImage-Version=7.3

[Desktop Action New]
Name=New Window
Exec=sample --new %u
Icon=sample

[Desktop Action Gone]
Exec=sample
"""
MIME = """<?xml version="1.0"?>
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
<mime-type type="image/x-sample"><comment>Sample</comment><glob pattern="*.sample"/></mime-type></mime-info>
"""
METAINFO = '<component type="desktop-application"><id>org.example.Sample</id></component>\n'
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8" height="8" fill="red"/></svg>\n'


def png(size: int, colour: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    """A picture of one colour."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = (b"\0" + bytes(colour) * size) * size
    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def menu_appdir(
    into: Path, entry: str | bytes = ENTRY, script: str = "echo started", name: str = "Menu.AppDir"
) -> Path:
    """An AppDir with all that goes into menus."""
    appdir = script_appdir(into, script, name)
    write(appdir / "sample.desktop", entry)
    share = appdir / "usr" / "share"
    for size in (16, 48, 256):
        write(share / f"icons/hicolor/{size}x{size}/apps/sample.png", png(size))
    write(share / "icons/hicolor/scalable/apps/sample.svg", SVG)
    write(share / "icons/hicolor/symbolic/apps/sample-symbolic.svg", SVG)
    write(share / "mime/packages/sample.xml", MIME)
    write(share / "metainfo/org.example.Sample.metainfo.xml", METAINFO)
    write(appdir / "sample.png", png(128))
    (appdir / ".DirIcon").symlink_to("sample.png")
    return appdir


def as_bundle(appdir: Path, out: Path) -> Path:
    return packed(appdir, out).bundle


def as_type_2(appdir: Path, out: Path) -> Path:
    payload = appdir.parent / f"{os.path.basename(appdir)}.payload"
    write_image(out, mksquashfs(appdir, payload, "-no-xattrs")).chmod(0o755)
    payload.unlink()
    return out


def as_type_1(appdir: Path, out: Path) -> Path:
    return type_1_image(out, appdir)
