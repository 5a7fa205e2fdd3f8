"""A layer: a tar whose bytes depend on nothing but its content."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Item:
    """One entry of a layer: a directory, a symlink to `target`, another name for the file at `same`, or a file with
    `content`, bytes or a file's path. `time` is its own; without one it has the layer's."""

    name: str
    mode: int
    content: bytes | Path | None = None
    target: str = ""
    same: str = ""
    time: int | None = None


@dataclass(frozen=True)
class Blob:
    """A file that is known by its SHA-256."""

    path: Path
    digest: str
    size: int


def tree_items(tree: Path, below: str) -> Iterator[Item]:
    """All that is in the directory `tree`, as entries below `below`, each directory before its content.

    With its own times: Python compares them with those that it has written into compiled modules.
    """
    names: dict[tuple[int, int], str] = {}
    waiting = [(tree, below)]
    while waiting:
        folder, name = waiting.pop()
        yield Item(name, stat.S_IMODE(folder.lstat().st_mode) & 0o755 | 0o500, time=int(folder.lstat().st_mtime))
        for path in sorted(folder.iterdir()):
            inner = f"{name}/{path.name}"
            facts = path.lstat()
            if stat.S_ISDIR(facts.st_mode):
                waiting.append((path, inner))
            elif stat.S_ISLNK(facts.st_mode):
                yield Item(inner, 0o777, target=os.readlink(path), time=int(facts.st_mtime))
            elif stat.S_ISREG(facts.st_mode):
                first = names.setdefault((facts.st_dev, facts.st_ino), inner)
                mode = stat.S_IMODE(facts.st_mode) & 0o755 | 0o400
                same = first if first != inner else ""
                yield Item(inner, mode, path, same=same, time=int(facts.st_mtime))


def write_layer(items: Iterable[Item], into: Path, time: int) -> Blob:
    """Write the layer as a blob into the folder `into`: owned by root, in the order given.

    What has no time of its own has `time`; unless that is 0, nothing is later.
    """
    partial = into / ".layer"
    with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as archive:
        for item in items:
            _add(archive, item, time)
    with partial.open("rb") as file:
        return named(partial, into, hashlib.file_digest(file, "sha256").hexdigest())


def write_blob(content: bytes, into: Path) -> Blob:
    """Write bytes as a blob."""
    partial = into / ".blob"
    partial.write_bytes(content)
    return named(partial, into, hashlib.sha256(content).hexdigest())


def named(partial: Path, into: Path, digest: str) -> Blob:
    path = partial.replace(into / digest)
    return Blob(path, f"sha256:{digest}", path.stat().st_size)


def _add(archive: tarfile.TarFile, item: Item, time: int) -> None:
    entry = tarfile.TarInfo(item.name)
    entry.mode = item.mode
    entry.mtime = time if item.time is None else min(item.time, time) if time else item.time
    if item.same:
        entry.type, entry.linkname = tarfile.LNKTYPE, item.same
        archive.addfile(entry)
    elif item.target:
        entry.type, entry.linkname = tarfile.SYMTYPE, item.target
        archive.addfile(entry)
    elif item.content is None:
        entry.type = tarfile.DIRTYPE
        archive.addfile(entry)
    elif isinstance(item.content, bytes):
        entry.size = len(item.content)
        archive.addfile(entry, io.BytesIO(item.content))
    else:
        with item.content.open("rb") as file:
            entry.size = os.fstat(file.fileno()).st_size
            archive.addfile(entry, file)
