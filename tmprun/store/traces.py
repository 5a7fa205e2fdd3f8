"""Start-up traces: which files a start opened, in which order (docs/store.md, `v1/trace`)."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from tmprun.index.nodes import Node
from tmprun.index.rules import FILE, MAX_NODES
from tmprun.store import layout, shelves

NUMBER = struct.Struct("<I")
_LINE = 1000  # bytes of what is said of an end, at most


@dataclass(frozen=True)
class Start:
    """What a start needs first: so many files, so many bytes."""

    files: int
    size: int


def start_of(nodes: Sequence[Node]) -> Start:
    return Start(len(nodes), sum(node.size for node in nodes))


def files_of(trace: bytes, nodes: Sequence[Node]) -> list[Node]:
    """The files that `trace` names by their numbers in `nodes`, each once; like the engine, it skips all else."""
    whole = trace[: len(trace) // NUMBER.size * NUMBER.size]
    found = dict.fromkeys(number for (number,) in NUMBER.iter_unpack(whole) if number < len(nodes))
    return [nodes[number] for number in found if nodes[number].kind == FILE]


def recorded(key: str) -> bytes | None:
    """The trace that the disk cache has of the image with that key; None when there is none that we may trust."""
    return _kept(key, MAX_NODES * NUMBER.size)


def last_words(key: str) -> str:
    """Why the app of the image with that key had to be ended the last time, unless a start has said it since."""
    return os.fsdecode(_kept(f"{key}{layout.ENDED}", _LINE) or b"") if key else ""


def _kept(name: str, most: int) -> bytes | None:
    cache = layout.cache()
    if cache is None or not name:
        return None
    with shelves.shelf(cache, layout.TRACES) as folder:
        if folder is None:
            return None
        try:
            fd = os.open(name, shelves.FILE, dir_fd=folder)
        except OSError:
            return None
        with open(fd, "rb") as file:
            try:
                return file.read(most) if os.fstat(fd).st_uid == os.geteuid() else None
            except OSError:  # a directory, say
                return None
