"""What corpora are kept in: each thing made once, beside its place, and put there by one rename."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path


def make(path: Path, build: Callable[[Path], object]) -> Path:
    """`path`, which `build(beside)` makes when it is not there yet: a file or a directory, nothing of it when it
    fails."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            build(beside)
            beside.rename(path)
        finally:
            remove(beside)
    return path


def remove(path: Path) -> None:
    """Delete a file or a tree, its write-protected directories too; nothing is there afterwards, or OSError."""
    if not path.is_symlink() and path.is_dir():
        for directory in walk_directories(path):
            directory.chmod(0o700)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def walk_directories(root: Path) -> Iterator[Path]:
    """`root` and every directory below it, parents first, symlinks not followed."""
    yield root
    for entry in os.scandir(root):
        if entry.is_dir(follow_symlinks=False):
            yield from walk_directories(Path(entry.path))


def walk_files(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Everything below `root` that is no directory, with its own facts (lstat)."""
    for directory in walk_directories(root):
        for entry in os.scandir(directory):
            if not entry.is_dir(follow_symlinks=False):
                yield Path(entry.path), entry.stat(follow_symlinks=False)


def describe(root: Path) -> dict[str, int]:
    """How large an AppDir is: regular files, symlinks, directories, bytes of the files (hard links once)."""
    files: dict[tuple[int, int], int] = {}
    symlinks = 0
    for _, facts in walk_files(root):
        if stat.S_ISLNK(facts.st_mode):
            symlinks += 1
        else:
            files[facts.st_dev, facts.st_ino] = facts.st_size
    directories = sum(1 for _ in walk_directories(root))
    return {"files": len(files), "symlinks": symlinks, "directories": directories, "bytes": sum(files.values())}
