"""AppImages for tests: real ones, made by others, and ones made here behind the runtime of a real one.

tests/corpora.txt pins the wheels that the real ones lie in. A folder `shared/images` beside the checkout may have more:
its images are tried as well, where it is.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

from kit.foreign_images import head, mksquashfs, run

ROOT = Path(__file__).resolve().parents[2]
FETCHED = ROOT / "build" / "corpora"
BESIDE = ROOT.parent / "shared" / "images"
CODECS = ("gzip", "zstd", "xz", "lz4", "lzo")

DYNAMIC_ELF = ("ELF", "/lib64/ld-linux-x86-64.so.2")
BASH_SCRIPT = ("script", "/bin/bash")


class Real(NamedTuple):
    """A type-2 AppImage made by others, and what is known of it: where its payload begins, in bytes, the payload's
    codec, the application's name, and what AppRun is (kind and interpreter)."""

    path: Path
    payload: int
    codec: str
    name: str
    apprun: tuple[str, str]


LINUXDEPLOY = Real(FETCHED / "linuxdeploy.AppImage", 193728, "zlib", "linuxdeploy", ("ELF", ""))
EPICS = [
    Real(FETCHED / "caget.AppImage", 189632, "zlib", "caget", DYNAMIC_ELF),
    Real(FETCHED / "p2p.AppImage", 189632, "zlib", "p2p", DYNAMIC_ELF),
    Real(FETCHED / "softIocPVA.AppImage", 189632, "zlib", "softIocPVA", DYNAMIC_ELF),
    Real(FETCHED / "epics-base-tools.AppImage", 189632, "zlib", "epics-base-tools", BASH_SCRIPT),
]
# The root of Echo's payload has mode 0700; `hsqs` also occurs inside the static runtime of the one with zstd.
NEIGHBOURS = [
    Real(BESIDE / "Echo-no-integrate-x86_64.AppImage", 188392, "zlib", "Echo", DYNAMIC_ELF),
    Real(BESIDE / "Hello_World-x86_64.gzip.AppImage", 193728, "zlib", "Hello World", BASH_SCRIPT),
    Real(BESIDE / "Hello_World-x86_64.xz.AppImage", 193728, "xz", "Hello World", BASH_SCRIPT),
    Real(BESIDE / "Hello_World-x86_64.zstd.AppImage", 696720, "zstd", "Hello World", BASH_SCRIPT),
]
REAL = [LINUXDEPLOY, *EPICS, *(image for image in NEIGHBOURS if image.path.exists())]
TYPE_1_BESIDE = [path for path in [BESIDE / "AppImageExtract_6-x86_64.AppImage"] if path.exists()]


def name_of(image: Real | Path) -> str:
    """What a test with it is called."""
    return (image.path if isinstance(image, Real) else image).stem


def runtime() -> bytes:
    """The program in front of linuxdeploy's payload: AppImageKit's type-2 runtime, which reads zlib and xz."""
    with present(LINUXDEPLOY.path).open("rb") as file:
        return file.read(LINUXDEPLOY.payload)


def present(path: Path) -> Path:
    """`path`, which `make test` fetches."""
    assert path.exists(), f"{path} is missing: `make test` fetches it"
    return path


def hello_appdir(top: Path) -> Path:
    """A small AppDir whose AppRun greets."""
    (top / "usr" / "bin").mkdir(parents=True)
    (top / "usr" / "share" / "icons").mkdir(parents=True)
    (top / "AppRun").write_text('#!/bin/bash\nexec "$(dirname "$0")/usr/bin/hello" "$@"\n')
    (top / "usr" / "bin" / "hello").write_text('#!/bin/sh\necho "Hello world" "$@"\n')
    (top / "usr" / "share" / "icons" / "hello.png").write_bytes(b"\x89PNG\r\n" * 50)
    (top / "hello.desktop").write_text("[Desktop Entry]\nType=Application\nName=Hello World\nExec=hello\nIcon=hello\n")
    (top / ".DirIcon").symlink_to("usr/share/icons/hello.png")
    for program in ("AppRun", "usr/bin/hello"):
        (top / program).chmod(0o755)
    return top


def behind_runtime(path: Path, appdir: Path, codec: str, *options: str) -> Path:
    """Make an AppImage of type 2 at `path` as appimagetool does: a squashfs behind a real runtime."""
    squashfs = path.with_suffix(".squashfs")
    path.write_bytes(runtime() + mksquashfs(appdir, squashfs, "-comp", codec, "-root-owned", *options))
    squashfs.unlink()
    path.chmod(0o755)
    return path


def hello_images(folder: Path) -> dict[str, Path]:
    """The greeting AppImage with each codec; the one with xz in small blocks, as such images were once made."""
    appdir = hello_appdir(folder / "Hello.AppDir")
    options = {"xz": ("-b", "16K")}
    return {
        codec: behind_runtime(folder / f"{codec}.AppImage", appdir, codec, *options.get(codec, ())) for codec in CODECS
    }


def type_1_image(path: Path, appdir: Path) -> Path:
    """Make an AppImage of type 1 at `path`: ISO 9660 with Rock Ridge and zisofs, a program in its first 32 KiB."""
    filtered = ("-zisofs", "level=9", "-set_filter_r", "--zisofs", "/", "--")
    run("xorriso", "-report_about", "WARNING", "-outdev", path, "-map", appdir, "/", *filtered)
    start = bytearray(head())
    start[8:11] = b"AI\x01"
    with path.open("r+b") as image:
        image.write(start)
    path.chmod(0o755)
    return path


def unsquash_payload(image: Path, payload: int, into: Path) -> Path:
    """The tree of an AppImage as unsquashfs extracts it."""
    command: list[str | Path] = [
        "unsquashfs",
        "-quiet",
        "-no-progress",
        "-no-xattrs",
        "-offset",
        str(payload),
        "-dest",
        into,
        image,
    ]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout!r}\n{done.stderr!r}"
    return into
