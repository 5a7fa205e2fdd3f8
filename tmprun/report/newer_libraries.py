"""The libraries of an image that require a newer C library than its programs do.

A start takes the newest slice that has enough for all of them; where none has, it does with what the programs require,
since an image may bring libraries that are loaded on newer machines alone (stub/slices/slices.c).
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tmprun.elf.facts import GLIBC_VERSION, PACKED_RELOCATIONS, Facts, facts_of
from tmprun.elf.machines import MAGIC
from tmprun.errors import BadImage
from tmprun.human import one_line
from tmprun.images.opened import Opened
from tmprun.index.nodes import Node
from tmprun.index.rules import FILE
from tmprun.index.walk import with_paths

Version = tuple[int, ...]

_NAME = re.compile(rb"\.so(\.[0-9.]|$)")


@dataclass(frozen=True)
class Library:
    """The path in the image, and the highest version of glibc that it requires."""

    path: str
    glibc: Version


def libraries_of(files: Opened, than: Version, most: int) -> tuple[Library, ...]:
    """Those that require more than `than`, the newest first; `most` is how many bytes of libraries are looked at."""
    return tuple(sorted(_newer(files, than, most), key=lambda each: (each.glibc, each.path), reverse=True))


def _newer(files: Opened, than: Version, left: int) -> Iterator[Library]:
    for path, node in with_paths(files.root):
        name = os.path.basename(path)
        if node.kind != FILE or not _NAME.search(name) or name.startswith((b"ld-", b"ld.so")):
            continue
        left -= node.size
        facts = _facts(files, node, than) if left >= 0 else None
        if facts and facts.machine == os.uname().machine and facts.glibc[:2] > than[:2]:
            yield Library(os.fsdecode(path), facts.glibc)


def _facts(files: Opened, node: Node, than: Version) -> Facts | None:
    """The tables of one whose bytes have no name of a newer version anywhere need not be looked at."""
    try:
        content = files.read(node, node.size)
    except BadImage:
        return None
    named = [(int(found[1]), int(found[2])) for found in GLIBC_VERSION.finditer(content)]
    if not content.startswith(MAGIC) or (max(named, default=()) <= than[:2] and PACKED_RELOCATIONS[0] not in content):
        return None
    return facts_of(io.BytesIO(content))


def said_of(libraries: tuple[Library, ...], have: Version) -> str:
    """Which of them require more than `have`, in one line; nothing when none does."""
    newer = [each for each in libraries if each.glibc[:2] > have[:2]]
    if not newer:
        return ""
    more = f" and {len(newer) - 1} more" if len(newer) > 1 else ""
    verb = "require" if more else "requires"
    return f"{one_line(newer[0].path)}{more} in it {verb} up to {_text(newer[0].glibc)}, so what loads that may fail"


def _text(version: Version) -> str:
    return "glibc " + ".".join(map(str, version))
