"""Classes of hostile files, for the files themselves see hostile_bundles.py and hostile_squashfs.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

# What each file is made from: a tree that does not lie.
SCRIPT, TEXT, INNER = b"#!/bin/sh\necho ran\n", b"a text that is not long " * 12, b"what is inside"
HONEST = {"AppRun": SCRIPT, "file": TEXT, "dir/inner": INNER}

# Files by what is special about each; the directory is the one that has `outside` in it.
Files = Iterator[tuple[object, bytes]]


@dataclass(frozen=True)
class Class:
    """`harms`: what it does to a naive reader, one of these at the least. `tame`: the engine may take it, harmless."""

    name: str
    harms: frozenset[str]
    make: Callable[[Path], Files]
    tame: bool = False


class Register:
    """The classes of one format, in the order in which they are written."""

    def __init__(self) -> None:
        self.classes: list[Class] = []

    def __call__(self, *harms: str, tame: bool = False) -> Callable[[Callable[[Path], Files]], Callable[[Path], Files]]:
        def add(make: Callable[[Path], Files]) -> Callable[[Path], Files]:
            self.classes.append(Class(make.__name__, frozenset(harms), make, tame))
            return make

        return add
