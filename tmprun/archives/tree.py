"""What is in an archive or a directory, as far as it takes to tell what is to be started."""

from __future__ import annotations

import fnmatch
import os
import posixpath
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

HEAD = 64  # bytes of each file
DESKTOP_SIZE = 64 << 10
_LETTERS = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l"}
_LINKS = 40


@dataclass(frozen=True)
class Found:
    """`kind` is f (file), d (directory), l (symlink) or h (hard link); `target` is what a link leads to."""

    kind: str
    mode: int
    size: int = 0
    target: bytes = b""
    head: bytes = b""

    @staticmethod
    def letter(kind: int) -> str:
        return _LETTERS.get(kind, "?")

    def message(self) -> list[object]:
        """As JSON can have it."""
        return [self.kind, self.mode, self.size, os.fsdecode(self.target), os.fsdecode(self.head)]

    @staticmethod
    def of(message: list[object]) -> Found:
        kind, mode, size, target, head = message
        return Found(str(kind), int(str(mode)), int(str(size)), os.fsencode(str(target)), os.fsencode(str(head)))

    @property
    def is_elf(self) -> bool:
        return self.head.startswith(b"\x7fELF")

    @property
    def is_script(self) -> bool:
        return self.head.startswith(b"#!")


@dataclass
class Tree:
    """`files` by their paths; `texts` are the desktop entries among them."""

    files: dict[bytes, Found] = field(default_factory=dict)
    texts: dict[bytes, bytes] = field(default_factory=dict)

    def resolve(self, path: bytes) -> bytes | None:
        """The path of what opening `path` would give, were the tree's root the root of everything; None for nothing."""
        left, at, links = path.split(b"/"), b"", 0
        while left:
            name = left.pop(0)
            if name in (b"", b"."):
                continue
            if name == b"..":
                at = posixpath.dirname(at)
                continue
            here = posixpath.join(at, name)
            found = self.files.get(here)
            if found and found.kind == "l":
                links += 1
                if links > _LINKS:
                    return None
                left = found.target.split(b"/") + left
                at = b"" if found.target.startswith(b"/") else at
                continue
            if found and found.kind == "h":
                left, at = found.target.split(b"/") + left, b""
                links += 1
                if links > _LINKS:
                    return None
                continue
            at = here
        return at

    def program(self, path: bytes) -> bool:
        """Whether the kernel would start what is at `path`."""
        found = self.files.get(self.resolve(path) or b"/")
        return bool(found and found.kind == "f" and found.mode & 0o111 and found.size)

    def names(self, directory: bytes) -> list[bytes]:
        """The names in a directory, in order."""
        where = self.resolve(directory)
        if where is None:
            return []
        start = where + b"/" if where else b""
        inner = (path[len(start) :] for path in self.files if path.startswith(start))
        return sorted({path.split(b"/")[0] for path in inner})

    def programs(self, directory: bytes) -> list[bytes]:
        """The paths of the programs that lie in that directory itself."""
        paths = (posixpath.join(directory, name) for name in self.names(directory))
        return [path for path in paths if self.program(path)]

    def matching(self, patterns: Sequence[str]) -> tuple[set[bytes], str]:
        """The paths that match a pattern, with all that they need: what is in them, what links lead to, the directories
        that they are in. And the first pattern that nothing matches, or nothing. (stub/start/select.c)"""
        todo: list[bytes] = []
        missed = ""
        for pattern in patterns:
            raw = os.fsencode(posixpath.normpath(pattern.lstrip("/") or "."))
            found = [path for path in self.files if raw == b"." or _matches(raw.split(b"/"), path.split(b"/"))]
            missed = missed or ("" if found else pattern)
            todo += found
        wanted: set[bytes] = set()
        while todo:
            path = todo.pop()
            if path in wanted or path not in self.files:
                continue
            wanted.add(path)
            todo += self._needs(path)
        for path in list(wanted):
            while path := posixpath.dirname(path):
                wanted.add(path)
        return wanted, missed

    def _needs(self, path: bytes) -> list[bytes]:
        file = self.files[path]
        if file.kind == "d":
            return [posixpath.join(path, name) for name in self.names(path)]
        if file.kind == "h":
            return [file.target]
        if file.kind == "l" and not file.target.startswith(b"/"):
            near = posixpath.normpath(posixpath.join(posixpath.dirname(path), file.target))
            return [each for each in (near, self.resolve(near)) if each]
        return []

    def below(self, prefix: bytes) -> Tree:
        """What lies in the directory `prefix`, as a tree of its own."""
        start = prefix + b"/"
        size = len(start)
        files = {}
        for path, found in self.files.items():
            if path.startswith(start):
                if found.kind == "h":
                    found = Found("h", found.mode, found.size, found.target.removeprefix(start), found.head)
                files[path[size:]] = found
        return Tree(files, {path[size:]: text for path, text in self.texts.items() if path.startswith(start)})


def _matches(pattern: list[bytes], path: list[bytes]) -> bool:
    """Whether the pattern matches the path or a directory above it; what stands for anything stands for no slash."""
    return len(path) >= len(pattern) and all(map(fnmatch.fnmatchcase, path, pattern))


def on_disk(root: str) -> Tree:
    """The tree in the directory `root`."""
    tree, top = Tree(), os.fsencode(root)
    for path, facts in _walk(top):
        name = path[len(top) + 1 :]
        kind = Found.letter(stat.S_IFMT(facts.st_mode))
        target = os.readlink(path) if kind == "l" else b""
        text = _start(path, DESKTOP_SIZE if name.endswith(b".desktop") else HEAD) if kind == "f" else b""
        if kind == "f" and name.endswith(b".desktop"):
            tree.texts[name] = text
        tree.files[name] = Found(kind, stat.S_IMODE(facts.st_mode), facts.st_size, target, text[:HEAD])
    return tree


def _walk(top: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    todo = [top]
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in sorted(entries, key=lambda each: each.name):
                facts = entry.stat(follow_symlinks=False)
                yield entry.path, facts
                if stat.S_ISDIR(facts.st_mode):
                    todo.append(entry.path)


def _start(path: bytes, size: int) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        return os.read(fd, size)
    finally:
        os.close(fd)
