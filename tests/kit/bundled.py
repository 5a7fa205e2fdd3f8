"""Bundles of trees that are only in memory."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from tmprun.bundle.footer import ALIGN
from tmprun.bundle.write import write_bundle
from tmprun.index.nodes import Node
from tmprun.index.rules import DIRECTORY, FILE, HARD_LINK, SYMLINK

STUB = b"#!/bin/false\n"
MIB = 1 << 20


class Tree:
    """A tree in memory; missing directories are made on the way."""

    def __init__(self) -> None:
        self.root = Node(b"", DIRECTORY, 0o755, 1)
        self.contents: dict[Node, bytes] = {}

    def _add(self, path: bytes, kind: int, mode: int) -> Node:
        node = self.root
        *above, name = path.split(b"/")
        for part in above:
            node = node.children.get(part) or node.add(Node(part, DIRECTORY, 0o755, 2))
        return node.add(Node(name, kind, mode, 3))

    def file(self, path: bytes, content: bytes, *, mode: int = 0o644, first: bool = False) -> Node:
        node = self._add(path, FILE, mode)
        node.size, node.first = len(content), first
        self.contents[node] = content
        return node

    def symlink(self, path: bytes, target: bytes) -> Node:
        node = self._add(path, SYMLINK, 0o777)
        node.target, node.size = target, len(target)
        return node

    def link(self, path: bytes, target: Node) -> Node:
        node = self._add(path, HARD_LINK, target.mode)
        node.link = target
        return node

    def content(self, node: Node) -> Iterator[bytes]:
        """A file in chunks of an odd size, so that none ends where a frame does."""
        for at in range(0, node.size, 300_001):
            yield self.contents[node][at : at + 300_001]

    def bundle(self, *, stub: bytes = STUB, level: int = 1, threads: int = 2, hot: tuple[Node, ...] = ()) -> bytes:
        out = io.BytesIO()
        write_bundle(out, stub, self.root, self.content, level=level, threads=threads, hot=hot)
        return out.getvalue()


def saved(raw: bytes, directory: Path) -> Path:
    path = directory / "app"
    path.write_bytes(raw)
    return path


def tar_of(path: Path) -> tarfile.TarFile:
    """The payload as zstd's own program decompresses it."""
    raw = subprocess.run(
        ["sh", "-ec", f"tail -c +{ALIGN + 1} '{path}' | zstd -dc"], check=True, capture_output=True
    ).stdout
    return tarfile.open(fileobj=io.BytesIO(raw), encoding="utf-8", errors="surrogateescape")
