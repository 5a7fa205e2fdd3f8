"""Whether an extracted tree is the right one: one digest over everything that a packer must keep."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

from tmprun_bench.corpora.cache import walk_directories, walk_files
from tmprun_bench.errors import WrongAnswer


def digest(root: Path) -> str:
    """Over all names, types, contents, symlink targets, mtimes of files, and modes without the write bits.

    A published tree of the store has no write bits; so they do not count.
    """
    top = os.fspath(root)
    lines = [f"{os.path.relpath(path, top)} directory" for path in walk_directories(root)]
    lines += [f"{os.path.relpath(path, top)} {_describe(path, facts)}" for path, facts in walk_files(root)]
    return hashlib.sha256("\n".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()


def same_tree(expected: str, where: Callable[[bytes], Path]) -> Callable[[bytes], None]:
    """A check that the tree which `where(output)` names has the digest `expected`."""

    def check(output: bytes) -> None:
        tree = where(output)
        if not tree.is_dir():
            raise WrongAnswer(f"there is no tree at {tree}")
        if digest(tree) != expected:
            raise WrongAnswer(f"the tree at {tree} is not the AppDir")

    return check


def _describe(path: Path, facts: os.stat_result) -> str:
    if stat.S_ISLNK(facts.st_mode):
        return f"symlink {os.readlink(path)}"
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return f"file {facts.st_mode & 0o555:o} {int(facts.st_mtime)} {content}"
