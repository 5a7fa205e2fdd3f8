"""The icons in an app's tree, and where they go in an icon theme."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tmprun.index.nodes import Node
from tmprun.index.rules import FILE
from tmprun.index.walk import find

MAX_SIZE = 4 << 20  # bytes of an icon; what is larger is none
# What hicolor's index.theme knows: an icon in another folder is not found.
SIZES = (16, 22, 24, 32, 36, 48, 64, 72, 96, 128, 192, 256, 512)
FOLDER = re.compile(r"([0-9]{1,4})x\1|scalable|symbolic")
PNG = b"\x89PNG\r\n\x1a\n"
HICOLOR = b"usr/share/icons/hicolor"

Read = Callable[[Node, int], bytes]


@dataclass(frozen=True)
class Icon:
    """One picture: `folder` is its place in a theme, `size` in pixels, 0 when it has any."""

    folder: str
    kind: str
    size: int
    content: bytes


def icons(root: Node, read: Read, name: str) -> list[Icon]:
    """The icons called `name`, a folder's first; if there is none, the AppDir's own."""
    found: dict[str, Icon] = {}
    for path in (*_in_theme(root, name), *_beside(name)):
        node = find(root, path)
        in_theme = path.startswith(HICOLOR)
        if node is None or node.kind != FILE or node.size > MAX_SIZE or (found and not in_theme):
            continue
        icon = _icon(read(node, MAX_SIZE), path.split(b"/")[-3].decode() if in_theme else "")
        if icon:
            found.setdefault(icon.folder, icon)
    return list(found.values())


def best_png(found: list[Icon], size: int) -> Icon | None:
    """The smallest picture that has `size` pixels, else the largest."""
    pictures = sorted((icon for icon in found if icon.kind == "png"), key=lambda icon: icon.size)
    return next((icon for icon in pictures if icon.size >= size), pictures[-1] if pictures else None)


def _in_theme(root: Node, name: str) -> Iterator[bytes]:
    theme = find(root, HICOLOR)
    for folder in sorted(theme.children if theme else ()):
        if FOLDER.fullmatch(folder.decode("latin-1")):
            for ending in (f"{name}.png", f"{name}.svg", f"{name}-symbolic.svg"):
                yield b"/".join((HICOLOR, folder, b"apps", ending.encode()))


def _beside(name: str) -> Iterator[bytes]:
    raw = name.encode()
    if name:
        yield from (
            raw + b".svg",
            raw + b".png",
            b"usr/share/pixmaps/" + raw + b".png",
            b"usr/share/pixmaps/" + raw + b".svg",
        )
    yield b".DirIcon"


def _icon(content: bytes, folder: str) -> Icon | None:
    """What the bytes are, and where they belong; a folder that says otherwise is not believed."""
    if content.startswith(PNG) and content[12:16] == b"IHDR" and len(content) >= 24:
        width, height = struct.unpack(">II", content[16:24])
        fitting = [size for size in SIZES if size <= max(width, height)]
        if not 0 < width <= 4096 or not 0 < height <= 4096:
            return None
        own = int(folder.partition("x")[0]) if folder[:1].isdigit() else 0
        size = own if own in SIZES else (fitting or SIZES[:1])[-1]
        return Icon(f"{size}x{size}", "png", max(width, height), content)
    if b"<svg" in content[:4096] or b":svg" in content[:4096]:
        return Icon("symbolic" if folder == "symbolic" else "scalable", "svg", 0, content)
    return None
