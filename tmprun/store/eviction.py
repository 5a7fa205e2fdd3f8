"""Taking entries out of a store while others start, build and prune.

For each entry, in this order, and without ever waiting:
1. `v1/lock/KEY` exclusively: nobody builds it, so nobody exchanges it under our hands. A start that comes now finds no
   entry to lock, asks for this one, and waits for the moment that we need.
2. its `lease` exclusively: no app that keeps its descriptors runs from it. A start locks the lease and then looks
   whether the entry still has its name; so it either has the lock before us, or sees that the entry is gone.
3. a look at all processes: no app that closed its descriptors runs from it. One look serves many entries.
4. one rename to `v1/trash`. From here on nobody can find it.
5. the deletion, with the lease still locked: another prune leaves it to us. If we die, somebody else deletes the rest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Self

from tmprun.store import layout, usage
from tmprun.store.entries import KnownImage, built
from tmprun.store.removal import FOLDER, remove
from tmprun.store.shelves import LOCK_FILE, folder, opened, shelf, try_lock

# So many entries at once: each takes three descriptors, and a process may have 1024.
BATCH = 100


def evict(root: str, keys: Sequence[str]) -> dict[str, str]:
    """Remove the entries `keys` of the store at `root`; returns those that stayed, each with the reason.

    An entry that is already gone has been removed, by whomever.
    """
    kept: dict[str, str] = {}
    with opened(root) as top:
        if top is None:
            return dict.fromkeys(keys, "its store is not ours any more")
        with folder(top, layout.VERSION) as version:
            if version is not None:
                for at in range(0, len(keys), BATCH):
                    kept.update(_evict_batch(version, keys[at : at + BATCH]))
    return kept


def forget(item: KnownImage) -> str:
    """Remove what is known about an image; returns why not, or nothing. Who has the file open keeps it."""
    with shelf(item.folder, layout.IMAGES) as images:
        if images is None:
            return "its store is not ours any more"
        try:
            os.unlink(item.name, dir_fd=images)
        except FileNotFoundError:
            pass
        except OSError as error:
            return _reason(error)
    return ""


@contextmanager
def made(parent: int, name: str) -> Iterator[int | None]:
    """The directory of ours `name` in `parent`, made when it is missing; None when something else has that name."""
    with suppress(OSError):
        os.mkdir(name, 0o700, dir_fd=parent)
    with folder(parent, name) as fd:
        yield fd


def _evict_batch(version: int, keys: Sequence[str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    with ExitStack() as stack:
        trees = stack.enter_context(folder(version, layout.TREES))
        trash = stack.enter_context(made(version, layout.TRASH))
        locks = stack.enter_context(made(version, layout.LOCKS))
        if trees is None or trash is None or locks is None:
            return dict.fromkeys(keys, "its store is damaged")
        claims = [stack.enter_context(_Claim(key)) for key in keys]
        for claim in claims:
            claim.take(trees, locks)
        view = usage.look()
        for claim in claims:
            claim.move(trees, trash, view)
            claim.unlock()
        for claim in claims:
            claim.delete(trash)
            if claim.obstacle:
                kept[claim.key] = claim.obstacle
    return kept


class _Claim:
    """One entry on its way out. `obstacle` is why it stays, and ends all further steps."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.obstacle = ""
        self.trashed = ""
        self._entry = self._lock = self._lease = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unlock()
        for fd in (self._lease, self._entry):
            if fd >= 0:
                os.close(fd)

    def take(self, trees: int, locks: int) -> None:
        """Lock out builders and starts (steps 1 and 2 above)."""
        try:
            lock = try_lock(locks, self.key, LOCK_FILE)
            if lock is None:
                self.obstacle = "being built"
                return
            self._lock = lock
            self._entry = os.open(self.key, FOLDER, dir_fd=trees)
            lease = try_lock(self._entry, layout.LEASE)
            if lease is None:
                self.obstacle = "in use"
                return
            self._lease = lease
        except FileNotFoundError:
            pass  # the entry is gone; or it has no lease: it is broken, and only the look at the processes protects it
        except OSError as error:
            self.obstacle = _reason(error)

    def move(self, trees: int, trash: int, view: usage.View) -> None:
        """Rename the entry to the trash, unless `view` shows it in use."""
        if self.obstacle or self._entry < 0:
            return
        self.obstacle = view.use(self.key, built(self._entry)).value
        if self.obstacle:
            return
        name = f"{self.key}.{os.urandom(8).hex()}"
        try:
            os.rename(self.key, name, src_dir_fd=trees, dst_dir_fd=trash)
        except FileNotFoundError:
            return
        except OSError as error:
            self.obstacle = _reason(error)
            return
        self._check(trees, trash, name)

    def _check(self, trees: int, trash: int, name: str) -> None:
        """A builder that waited too long for the lock works without it, and may have exchanged the entry just now."""
        moved = os.stat(name, dir_fd=trash, follow_symlinks=False)
        if os.path.samestat(moved, os.fstat(self._entry)):
            self.trashed = name
            return
        self.obstacle = "built anew"
        with suppress(OSError):  # a third one is in its place: then this one lies in the trash until nobody uses it
            os.rename(name, self.key, src_dir_fd=trash, dst_dir_fd=trees)

    def unlock(self) -> None:
        """Let builders go on."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def delete(self, trash: int) -> None:
        """Delete it from the trash (step 5)."""
        if self.trashed:
            try:
                remove(trash, self.trashed)
            except OSError as error:
                self.obstacle = f"moved to the trash, but {_reason(error)}"


def _reason(error: OSError) -> str:
    return f"cannot be removed: {error.strerror}"
