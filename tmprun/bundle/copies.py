"""Files that are copies of another one: a bundle holds their bytes once.

Only files of one size, mode and time are compared, since a copy is a hard link in the archive, and hard links have one
mode and one time. Of these the one that comes first in the archive carries the bytes. Empty files have none to share.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator

from tmprun.index.nodes import Node

Content = Callable[[Node], Iterable[bytes]]
Identity = Callable[[Node], Hashable]


class Copies:
    """The contents that were written so far. `files` are all that will be written, `content(node)` gives their bytes.

    `identity(node)`, where that is known without reading, is the same for files that hold the same bytes. Otherwise the
    SHA-256 is: of the bytes that were written, so that a copy is right even when a file changes between two readings.
    """

    def __init__(self, files: Iterable[Node], content: Content, identity: Identity | None = None) -> None:
        counts = Counter(_facts(node) for node in files if node.size)
        self._alike = {facts for facts, count in counts.items() if count > 1}
        self._content = content
        self._identity = identity
        self._written: dict[tuple[int, int, int], dict[Hashable, Node]] = {}

    def original(self, node: Node) -> Node | None:
        """The written file of which `node` is a copy. Reads `node` when there is one that it might be a copy of."""
        written = self._written.get(_facts(node))
        return written.get(self._identity(node) if self._identity else self._digest(node)) if written else None

    def content(self, node: Node) -> Iterator[bytes]:
        """The bytes of `node`, for writing: those that come later may then be copies of it."""
        facts = _facts(node)
        if facts not in self._alike:
            yield from self._content(node)
            return
        digest = hashlib.sha256()
        for chunk in self._content(node):
            digest.update(chunk)
            yield chunk
        identity = self._identity(node) if self._identity else digest.digest()
        self._written.setdefault(facts, {})[identity] = node

    def _digest(self, node: Node) -> bytes:
        digest = hashlib.sha256()
        for chunk in self._content(node):
            digest.update(chunk)
        return digest.digest()


def _facts(node: Node) -> tuple[int, int, int]:
    return node.size, node.mode, node.mtime
