"""What a directory is, all of it, so that two can be compared."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from kit.trees import below

Facts = dict[str, tuple[object, ...]]


def packed_mode(mode: int) -> int:
    """What `tmprun pack` makes of a file's mode, so that the packer's umask does not matter."""
    return 0o755 if mode & 0o100 else 0o644


def facts(base: Path, mode_of: Callable[[int], int] = stat.S_IMODE) -> Facts:
    """Type, mode, time and content of everything below `base`; directories' and symlinks' own times, too."""
    found: Facts = {}
    for path in [base, *below(base)]:
        status = path.lstat()
        kind = stat.S_IFMT(status.st_mode)
        content: object = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        mode = mode_of(status.st_mode) if not path.is_symlink() else 0
        found[str(path.relative_to(base))] = (kind, oct(mode), int(status.st_mtime), content)
    return found
