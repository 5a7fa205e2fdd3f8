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
    """One entry of a layer: a directory, a symlink to `target`, or a file with `content`, bytes or a file's path."""

    name: str
    mode: int
    content: bytes | Path | None = None
    target: str = ""


@dataclass(frozen=True)
class Blob:
    """A file that is known by its SHA-256."""

    path: Path
    digest: str
    size: int


def tree_items(tree: Path, below: str) -> Iterator[Item]:
    """All that is in the directory `tree`, as entries below `below`, each directory before its content."""
    waiting = [(tree, below)]
    while waiting:
        folder, name = waiting.pop()
        yield Item(name, stat.S_IMODE(folder.lstat().st_mode) & 0o755 | 0o500)
        for path in sorted(folder.iterdir()):
            inner = f"{name}/{path.name}"
            facts = path.lstat()
            if stat.S_ISDIR(facts.st_mode):
                waiting.append((path, inner))
            elif stat.S_ISLNK(facts.st_mode):
                yield Item(inner, 0o777, target=os.readlink(path))
            elif stat.S_ISREG(facts.st_mode):
                yield Item(inner, stat.S_IMODE(facts.st_mode) & 0o755 | 0o400, path)


def write_layer(items: Iterable[Item], into: Path, time: int) -> Blob:
    """Write the layer as a blob into the folder `into`: owned by root, all of one time, in the order given."""
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
    entry.mode, entry.mtime = item.mode, time
    if item.target:
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
