"""Deleting a directory with everything in it, relative to open directories and following no symlink.

Whatever was put below the directory meanwhile, by an app or by somebody else, nothing outside it is touched:
- a directory is moved up to the top before it is emptied. So each is reached in one step from an open directory, at
  any depth, with two descriptors; a mount point cannot be moved (EBUSY) and is therefore never entered;
- trees are read-only (0555), which stops everybody but root from unlinking: each directory is made writable first.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(parent: int, name: str) -> None:
    """Delete the directory `name` in the open directory `parent`. A second deleter at work there does no harm.

    OSError when something resists; what is left can be deleted by a later call.
    """
    try:
        top = _open_writable(parent, name)
    except FileNotFoundError:
        return
    try:
        _empty(top)
    finally:
        os.close(top)
    _ignoring_absence(os.rmdir, name, parent)


def _empty(top: int) -> None:
    prefix = os.urandom(8).hex()
    waiting = [_lift(top, name, top, f"{prefix}-first-{at}") for at, name in enumerate(_unlink_files(top))]
    count = 0
    while waiting:
        name = waiting.pop()
        try:
            fd = _open_writable(top, name)
        except FileNotFoundError:
            continue
        try:
            for child in _unlink_files(fd):
                waiting.append(_lift(fd, child, top, f"{prefix}-{count}"))
                count += 1
        finally:
            os.close(fd)
        _ignoring_absence(os.rmdir, name, top)


def _unlink_files(folder: int) -> list[str]:
    """Unlink all that is no directory; returns the names of the directories."""
    folders = []
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry.name)
        else:
            _ignoring_absence(os.unlink, entry.name, folder)
    return folders


def _lift(source: int, name: str, top: int, new: str) -> str:
    """Move the directory `name` to `new` in `top`; returns `new`. Only a writable directory can change its parent."""
    with suppress(FileNotFoundError):
        os.close(_open_writable(source, name))
        os.rename(name, new, src_dir_fd=source, dst_dir_fd=top)
    return new


def _open_writable(parent: int, name: str) -> int:
    """Open the directory `name`, after giving its owner all permissions.

    There is no chmod that leaves symlinks alone on every kernel that we meet, and opening needs permission to read: a
    descriptor that stands for the name alone, and its entry in /proc, need none.
    """
    try:
        fd = os.open(name, FOLDER, dir_fd=parent)
    except PermissionError:
        handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            os.chmod(f"/proc/self/fd/{handle}", stat.S_IRWXU)
        finally:
            os.close(handle)
        return os.open(name, FOLDER, dir_fd=parent)
    if os.fstat(fd).st_mode & stat.S_IRWXU != stat.S_IRWXU:
        os.fchmod(fd, stat.S_IRWXU)
    return fd


def _ignoring_absence(action: Callable[..., None], name: str, folder: int) -> None:
    with suppress(FileNotFoundError):
        action(name, dir_fd=folder)
