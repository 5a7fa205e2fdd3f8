"""What to remove from the stores, and doing so without taking anything from a running app (docs/store.md, "Removing").

Look (`tmprun.store.entries`, `tmprun.store.usage`), plan (`plan`, which touches nothing), act (`prune`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tmprun.host import memory
from tmprun.store import entries, layout, usage
from tmprun.store.entries import Entry, KnownImage
from tmprun.store.eviction import evict, forget
from tmprun.store.leftovers import sweep
from tmprun.store.shelves import Root

DEFAULT_SIZE = 10 * 10**9
MEMORY_SHARE = 4  # trees in memory may take a quarter of it
SPACE_SHARE = 2  # and those of one store half of its file system (stub/store/roots.c has both, too)

# Where other processes may be hidden from us, only time tells that an entry is idle.
UNSEEN = 7 * 86400

Item = Entry | KnownImage


@dataclass(frozen=True)
class Limits:
    """`size` bytes for everything together, `memory` bytes for the trees on tmpfs, nothing unused for `age` seconds.

    `shares`: so many bytes for the trees of the store with that path.
    `alone`: no process that we cannot see uses these stores, the caller says so.
    """

    size: int
    memory: int
    age: int | None = None
    alone: bool = False
    shares: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Report:
    """What was done, or would be: `removed` and `kept` with the reason, and the number of `leftovers` cleared away."""

    removed: list[tuple[Item, str]] = field(default_factory=list)
    kept: list[tuple[Item, str]] = field(default_factory=list)
    leftovers: int = 0

    @property
    def freed(self) -> int:
        """Bytes."""
        return sum(item.size for item, _ in self.removed)


def default_memory() -> int:
    """How many bytes the trees in memory may take together: a quarter of the memory that is there for us."""
    return memory.look().ours // MEMORY_SHARE


def default_shares(roots: Iterable[Root]) -> dict[str, int]:
    """How many bytes each store may take: its share, as starts keep it.

    That of a store which was chosen (TMPRUN_STORE) is all there is.
    """
    shares = {}
    for root in roots if not os.environ.get("TMPRUN_STORE") else ():
        with suppress(OSError):
            facts = os.statvfs(root.path)
            space = facts.f_blocks * facts.f_frsize // SPACE_SHARE
            shares[root.path] = min(space, default_memory()) if root.kind == "tmpfs" else space
    return shares


def plan(items: Sequence[Item], busy: Callable[[Item], bool], limits: Limits, now: float) -> list[tuple[Item, str]]:
    """What to remove and why, least recently used first. `busy` items count against the limits, and stay."""
    chosen: dict[Item, str] = {}
    idle = sorted((item for item in items if not busy(item)), key=lambda item: _last_use(item, now))
    for item in idle:
        if isinstance(item, Entry) and not item.complete:
            chosen[item] = "incomplete"
        elif limits.age is not None and _last_use(item, now) <= now - limits.age:
            chosen[item] = "not used for so long"
        elif limits.size == 0:
            chosen[item] = "not in use"
    _reduce(chosen, [item for item in items if item.in_memory], idle, limits.memory, "more than its share of memory")
    for path, share in limits.shares.items():
        counted = [item for item in items if isinstance(item, Entry) and item.root.path == path]
        _reduce(chosen, counted, idle, share, "more than the store's share of its file system")
    _reduce(chosen, items, idle, limits.size, "more than the size limit")
    return list(chosen.items())


def _last_use(item: Item, now: float) -> float:
    """A last use that is still to come says that the clock was set back, and nothing else: the oldest of all.

    So such an entry does not outlive all the others for ever; among themselves they keep their order.
    """
    return item.last_use if item.last_use <= now + usage.CLOCK_SLACK else item.last_use - 1e12


def _reduce(chosen: dict[Item, str], counted: Sequence[Item], idle: Sequence[Item], limit: int, why: str) -> None:
    size = sum(item.size for item in counted if item not in chosen)
    for item in idle:
        if size <= limit:
            return
        if item in counted and item not in chosen:
            chosen[item] = why
            size -= item.size


def prune(roots: Sequence[Root], limits: Limits, *, dry_run: bool = False) -> Report:
    """Bring the stores within `limits`. With `dry_run`, only say what would be removed."""
    report = Report()
    view = usage.look()
    items: list[Item] = [*entries.entries(roots), *entries.known_images(layout.cache())]
    now = time.time()
    reasons = {item: reason for item in items if (reason := _in_use(item, view, limits, now))}
    chosen = plan(items, reasons.__contains__, limits, now)
    report.kept = list(reasons.items())
    if dry_run:
        report.removed = chosen
        return report
    _remove(chosen, report)
    report.leftovers = sweep(_places(roots))
    return report


def _in_use(item: Item, view: usage.View, limits: Limits, now: float) -> str:
    """Why the item must stay, or nothing. An app does not need what is known about its image once it runs."""
    if isinstance(item, KnownImage):
        return ""
    if reason := (usage.Use.SEEN if item.locked else view.use(item.key, item.built)).value:
        return reason
    if not view.whole and not limits.alone and abs(now - item.last_use) < UNSEEN:
        return "perhaps in use outside this container"
    return ""


def _remove(chosen: Iterable[tuple[Item, str]], report: Report) -> None:
    by_root: dict[str, list[tuple[Entry, str]]] = {}
    for item, why in chosen:
        if isinstance(item, KnownImage):
            obstacle = forget(item)
            (report.kept if obstacle else report.removed).append((item, obstacle or why))
        else:
            by_root.setdefault(item.root.path, []).append((item, why))
    for root, wanted in by_root.items():
        obstacles = evict(root, [entry.key for entry, _ in wanted])
        for entry, why in wanted:
            obstacle = obstacles.get(entry.key, "")
            (report.kept if obstacle else report.removed).append((entry, obstacle or why))


def _places(roots: Sequence[Root]) -> list[str]:
    """Every directory that may hold something of ours, each once."""
    cache = layout.cache()
    paths = [root.path for root in roots] + ([cache] if cache else [])
    return list({os.path.realpath(path): path for path in paths}.values())
