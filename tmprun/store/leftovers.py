"""Clearing away what killed processes left in a store, and what leads nowhere any more (docs/store.md, "Layout").

Nothing here is needed by anybody; still each thing is removed only when nobody can be at work on it.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress

from tmprun.store import layout, usage
from tmprun.store.entries import built
from tmprun.store.removal import remove
from tmprun.store.scratch import clear
from tmprun.store.shelves import DRAFT, IDENTITY, KEY, LOCK_FILE, STAGE, TRASH, folder, names, try_lock, version

PARTS = (layout.LOCKS, layout.TREES, layout.STAGES, layout.TRASH, layout.IMAGES)

# A builder makes its directory, then the lease in it, then locks that: so young a stage may be between two of these.
YOUNG_STAGE = 60

# The lock of an entry that is gone; whoever may be about to lock it did not open it a day ago.
OLD_LOCK = 86400


def sweep(paths: Sequence[str]) -> int:
    """Clear away the leftovers in the stores at `paths`; returns how many. What resists stays for the next time."""
    count = 0
    view = usage.look()
    for path in paths:
        with version(path) as fd:
            if fd is not None:
                count += _sweep_store(fd, view)
    return count


def _sweep_store(store: int, view: usage.View) -> int:
    with ExitStack() as stack:

        def part(name: str) -> int | None:
            return stack.enter_context(folder(store, name))

        locks, trees, stages, trash, images = (part(name) for name in PARTS)
        count = sum(_retire(stages, locks, name, view) for name in names(stages, STAGE))
        count += sum(_delete(trash, name, view) for name in names(trash, TRASH))
        count += _cut(part(layout.IDENTITIES), trees) + _cut(part(layout.KNOWN), images)
        count += sum(_unlink_idle(images, name, 0) for name in names(images, DRAFT))
        works = part(layout.SCRATCH)
        count += 0 if works is None else clear(works)
        # Who opened a lock just before waits for a name that is gone, and then builds beside another: a waste, no harm.
        count += sum(_unlink_idle(locks, key, OLD_LOCK) for key in names(locks, KEY) if not _exists(trees, key))
    return count


def _retire(stages: int | None, locks: int | None, name: str, view: usage.View) -> bool:
    """Delete a stage whose builder is dead: it held the key's lock or, when it waited too long for it, the lease."""
    if stages is None or locks is None or name in view.held:
        return False
    with suppress(OSError), ExitStack() as stack:
        facts = os.stat(name, dir_fd=stages, follow_symlinks=False)
        if 0 <= time.time() - facts.st_ctime < YOUNG_STAGE:
            return False
        if stat.S_ISLNK(facts.st_mode):  # an identity that was to be renamed to its place
            os.unlink(name, dir_fd=stages)
            return True
        lock = try_lock(locks, name.partition(".")[0], LOCK_FILE)
        if lock is None:
            return False
        stack.callback(os.close, lock)
        return _delete(stages, name, view)
    return False


def _delete(parent: int | None, name: str, view: usage.View) -> bool:
    """Delete the entry `name` in `parent`, where no start looks for it, unless somebody still uses it."""
    if parent is None:
        return False
    with suppress(OSError), ExitStack() as stack, folder(parent, name) as fd:
        if fd is None or view.use(name, built(fd)) is not usage.Use.NONE:
            return False
        with suppress(FileNotFoundError):
            lease = try_lock(fd, layout.LEASE)
            if lease is None:
                return False
            stack.callback(os.close, lease)
        remove(parent, name)
        return True
    return False


def _cut(links: int | None, targets: int | None) -> int:
    """Unlink identities that lead to nothing any more. One that is written in this moment is written again later."""
    count = 0
    for name in names(links, IDENTITY):
        with suppress(OSError):
            # A tree's key may be followed by lines about the machine that it was chosen for (docs/store.md).
            if not _exists(targets, os.readlink(name, dir_fd=links).partition("\n")[0]):
                os.unlink(name, dir_fd=links)
                count += 1
    return count


def _unlink_idle(parent: int | None, name: str, age: float) -> bool:
    """Unlink a file that has not been changed for `age` seconds and that nobody has locked."""
    if parent is None:
        return False
    with suppress(OSError), ExitStack() as stack:
        facts = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISREG(facts.st_mode) or 0 <= time.time() - facts.st_ctime < age:
            return False
        lock = try_lock(parent, name)
        if lock is None:
            return False
        stack.callback(os.close, lock)
        if not os.path.samestat(os.fstat(lock), os.stat(name, dir_fd=parent, follow_symlinks=False)):
            return False  # who had it locked has renamed it, and the next one has begun
        os.unlink(name, dir_fd=parent)
        return True
    return False


def _exists(parent: int | None, name: str) -> bool:
    """Whether `name` is there; also true when that cannot be found out, but for a missing folder."""
    if parent is None or not name or "/" in name:
        return False
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True
