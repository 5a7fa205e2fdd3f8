"""A directory to work in that is gone afterwards: in the disk cache, one for each file that is being converted.

Who works in it has it locked. A killed one leaves it behind without a lock, and the next one who needs any, or
`cache prune`, clears it away.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from tmprun.errors import TmprunError
from tmprun.store import layout
from tmprun.store.cache import enter, shelves
from tmprun.store.removal import remove


@contextmanager
def scratch(name: str, waiting: Callable[[], None] | None = None, *, behind: bool = False) -> Iterator[str]:
    """The path of an empty directory of ours, called `name`, which nobody else has meanwhile.

    When somebody has it, `waiting` is called once, and then waited. TmprunError where the disk cache cannot be used.
    With `behind` it is removed by another process, when all went well; it stays locked until then.
    """
    with ExitStack() as stack:
        try:
            (shelf,) = stack.enter_context(shelves(layout.SCRATCH))
        except OSError as error:
            what = f"there is no disk cache to convert it in: {error.strerror or error}"
            remedy = "set XDG_CACHE_HOME to a directory of yours with room"
            raise TmprunError(what, layout.cache() or "", remedy) from None
        clear(shelf)
        fd = _take(shelf, name, waiting)
        try:
            yield f"{layout.shelf(layout.cache() or '', layout.SCRATCH)}/{name}"
        except BaseException:
            remove(shelf, name)
            raise
        else:
            _remove(shelf, name, behind)
        finally:
            os.close(fd)


def _remove(shelf: int, name: str, behind: bool) -> None:
    """Nobody is its parent for long, and it holds none of our pipes: whoever waits for us does not wait for it."""
    if not behind:
        remove(shelf, name)
        return
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    try:
        if os.fork() == 0:
            os.setsid()
            nothing = os.open(os.devnull, os.O_RDWR)
            for fd in range(3):
                os.dup2(nothing, fd)
            os.nice(10)
            remove(shelf, name)
    finally:
        os._exit(0)


def _take(shelf: int, name: str, waiting: Callable[[], None] | None) -> int:
    """Process A may remove it before B has opened it, or between B's open and B's lock, when it is nobody's or what
    nobody finds: then B begins again."""
    while True:
        try:
            fd = enter(shelf, name)
        except FileNotFoundError:
            if os.fstat(shelf).st_nlink == 0:
                raise  # the shelf itself was removed, and nothing can be made there any more
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                waiting()
            fcntl.flock(fd, fcntl.LOCK_EX)
        if _is_there(shelf, name, fd):
            if not os.listdir(fd):
                return fd
            remove(shelf, name)
        os.close(fd)


def _is_there(shelf: int, name: str, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(name, dir_fd=shelf, follow_symlinks=False), os.fstat(fd))
    except FileNotFoundError:
        return False


def clear(shelf: int) -> int:
    """Clear away what killed ones left in the shelf; how many."""
    count = 0
    for name in os.listdir(shelf):
        try:
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=shelf)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_there(shelf, name, fd):
                remove(shelf, name)
                count += 1
        except OSError:
            continue
        finally:
            os.close(fd)
    return count
