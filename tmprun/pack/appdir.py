"""An AppDir on disk: one look at everything in it, as the tree that is to be packed and what speaks against that.

What depends on the packer's machine and not on the app is made the same for everybody: owner and group, the permission
bits that the umask decides, the order of directories, and with an `epoch` the times.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator

from tmprun.elf.header import LARGEST_TABLE, PT_INTERP, SIZE, parse
from tmprun.errors import TmprunError
from tmprun.human import one_line
from tmprun.index.nodes import Node, is_library
from tmprun.index.rules import DIRECTORY, FILE, HARD_LINK, SYMLINK

CHUNK = 1 << 20

_SPECIAL = {
    stat.S_IFSOCK: "socket",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}


class PackError(TmprunError):
    """Something that cannot be packed. `also` are the other reasons that were found together with this one."""

    also: tuple[PackError, ...] = ()


class AppDir:
    """The AppDir at `path` (absolute, without symlinks): `root` is its tree, `paths` say where each node was found.

    `problems` make it impossible to pack; `warnings` say what will not work elsewhere, `notes` what might not. Paths in
    `paths` and in the texts begin at the AppDir. Times are `epoch` (seconds), or the files' own when that is None.
    """

    def __init__(self, path: str | os.PathLike[str], epoch: int | None = None) -> None:
        self.path = os.fsencode(os.path.realpath(path))
        self.given = os.fsencode(os.path.abspath(path))
        self.epoch = epoch
        self.paths: dict[Node, bytes] = {}
        self.inodes: dict[tuple[int, int], Node] = {}
        self.problems: list[PackError] = []
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self._stats: dict[Node, os.stat_result] = {}
        self.root = self._look()

    def locate(self, path: bytes) -> bytes:
        """The path on this machine of what is at `path` in the AppDir."""
        return posixpath.join(self.path, path)

    def content(self, node: Node) -> Iterator[bytes]:
        """The bytes of a regular file; PackError unless it still is, before and after, what it was at first sight."""
        with open(open_file(self.locate(self.paths[node])), "rb", 0) as file:
            self._must_be(node, os.fstat(file.fileno()), node.size)
            size = 0
            while size <= node.size and (chunk := file.read(CHUNK)):
                size += len(chunk)
                yield chunk
            self._must_be(node, os.fstat(file.fileno()), size)

    def files(self) -> list[Node]:
        """The regular files, each once."""
        return [node for node in self.paths if node.kind == FILE]

    def stat(self, node: Node) -> os.stat_result:
        """What the file system said at first sight."""
        return self._stats[node]

    def behind(self, path: bytes) -> Node | None:
        """The regular file of the AppDir that opening `path`, counted from the AppDir, would give."""
        try:
            facts = os.stat(self.locate(path))
        except OSError:
            return None
        return self.inodes.get((facts.st_dev, facts.st_ino))

    def _must_be(self, node: Node, now: os.stat_result, size: int) -> None:
        if size != node.size or identity(now) != identity(self._stats[node]):
            where = one_line(self.locate(self.paths[node]))
            raise PackError("changed while it was packed", where, "try again when nobody writes to it")

    def _problem(self, path: bytes, what: str, remedy: str) -> None:
        self.problems.append(PackError(what, one_line(self.locate(path)), remedy))

    def _look(self) -> Node:
        try:
            root = self._node(b"", b"", os.stat(self.path))
        except OSError as error:
            raise PackError(error.strerror or str(error), one_line(self.given), "name an AppDir") from None
        if root is None or root.kind != DIRECTORY:
            raise PackError("is not a directory", one_line(self.given), "name an AppDir")
        todo = [root]
        while todo:
            directory = todo.pop()
            for entry in self._entries(directory):
                node = self._entry(self.paths[directory], entry)
                if node is not None:
                    directory.add(node)
                    if node.kind == DIRECTORY:
                        todo.append(node)
        self._join_hard_links()
        return root

    def _entries(self, directory: Node) -> list[os.DirEntry[bytes]]:
        path = self.paths[directory]
        try:
            with os.scandir(self.locate(path)) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self._problem(path, f"cannot be read ({error.strerror})", "make it readable")
            return []

    def _entry(self, above: bytes, entry: os.DirEntry[bytes]) -> Node | None:
        path = posixpath.join(above, entry.name)
        try:
            return self._node(path, entry.name, entry.stat(follow_symlinks=False))
        except OSError as error:
            self._problem(path, f"cannot be read ({error.strerror})", "make it readable")
            return None

    def _node(self, path: bytes, name: bytes, facts: os.stat_result) -> Node | None:
        """The node of what was found at `path`, or None when it cannot be packed."""
        format_ = stat.S_IFMT(facts.st_mode)
        if format_ in _SPECIAL:
            self._problem(
                path, f"is a {_SPECIAL[format_]}", "remove it: a bundle holds files, directories and symlinks"
            )
            return None
        mtime = facts.st_mtime_ns // 10**9 if self.epoch is None else self.epoch
        if format_ == stat.S_IFDIR:
            node = Node(name, DIRECTORY, 0o755, mtime)
        elif format_ == stat.S_IFLNK:
            node = Node(name, SYMLINK, 0o777, mtime)
            node.target = os.readlink(self.locate(path))
            node.size = len(node.target)
            self._check_symlink(path, node.target)
        else:
            node = Node(name, FILE, file_mode(facts), mtime)
            node.size = facts.st_size
            self._check_file(path, node)
        self.paths[node] = path
        self._stats[node] = facts
        return node

    def _check_file(self, path: bytes, node: Node) -> None:
        where = self.locate(path)
        if not os.access(where, os.R_OK, effective_ids=True):
            self._problem(path, "cannot be read (Permission denied)", "make it readable")
        elif node.mode & 0o100:
            node.first = not is_library(node.name) or _is_program(where)

    def _check_symlink(self, path: bytes, target: bytes) -> None:
        """Say where a symlink would lead on another machine. It is packed as it is."""
        directory = posixpath.dirname(path)
        inside = (
            self._inside(target) if target.startswith(b"/") else posixpath.normpath(posixpath.join(directory, target))
        )
        link, text = one_line(path), one_line(target)
        if inside is None or inside.split(b"/")[0] == b"..":
            self.notes.append(f"{link}: symlink to {text}, outside the AppDir: it needs that on every machine")
        elif target.startswith(b"/"):
            relative = one_line(posixpath.relpath(b"/" + inside, b"/" + directory))
            self.warnings.append(
                f"{link}: absolute symlink into the AppDir, broken elsewhere; make it relative: {relative}"
            )

    def _inside(self, target: bytes) -> bytes | None:
        """The path in the AppDir that an absolute path names, or None."""
        target = posixpath.normpath(target)
        for base in (self.path, self.given):
            if target == base or target.startswith(base + b"/"):
                return target[len(base) + 1 :] or b"."
        return None

    def _join_hard_links(self) -> None:
        """Of several names for one file the first in sorted order stays the file, the others become links to it."""
        for node in sorted(self.files(), key=self.paths.__getitem__):
            facts = self._stats[node]
            file = self.inodes.setdefault((facts.st_dev, facts.st_ino), node)
            # Some network file systems number two files alike: those have one name each.
            if file is not node and facts.st_nlink > 1:
                file.first |= node.first
                node.kind, node.link, node.size, node.first = HARD_LINK, file, 0, False


def open_file(path: bytes) -> int:
    """A descriptor that reads what is at `path`, no symlink; without a wait for the writer of a fifo."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)


def file_mode(facts: os.stat_result) -> int:
    """The mode that a file has in a bundle, whatever the packer's umask was."""
    return 0o755 if facts.st_mode & stat.S_IXUSR else 0o644


def identity(facts: os.stat_result) -> tuple[int, ...]:
    """What cannot stay the same when a file's content is written. The ctime is one that nobody can set back."""
    return facts.st_dev, facts.st_ino, facts.st_mode, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _is_program(path: bytes) -> bool:
    """Whether the kernel would start this file through a loader; False when it is no ELF file, or a damaged one."""
    with open(path, "rb") as file:
        header = parse(file.read(SIZE))
        size = header.segment_size * header.segments if header else 0
        if header is None or size > LARGEST_TABLE or header.segments_at >= 1 << 62:
            return False
        table = os.pread(file.fileno(), size, header.segments_at)
    return any(kind == PT_INTERP for kind, _, _ in header.segments_of(table))
