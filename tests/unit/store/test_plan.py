"""What prune chooses to remove."""

from __future__ import annotations

from kit.store_layout import (
    NOTHING,
    key,
)

from tmprun.host.memory import look as look_at_memory
from tmprun.store.entries import Entry, KnownImage
from tmprun.store.prune import Item, Limits, default_memory, plan
from tmprun.store.shelves import Root

NOW = 1_800_000_000.0


def entry(
    number: int, *, size: int = 10, last_use: float = NOW - 1000, kind: str = "disk", complete: bool = True
) -> Entry:
    return Entry(Root("/r", kind, True, ""), key(number), "", size, 1, last_use, complete, False)


def planned(*items: Item, busy: tuple[Item, ...] = (), limits: Limits) -> list[Item]:
    return [item for item, _ in plan(items, busy.__contains__, limits, NOW)]


def test_nothing_within_the_limits() -> None:
    assert planned(entry(1), entry(2), limits=Limits(size=20, memory=0)) == []


def test_least_recently_used_first_and_no_more_than_needed() -> None:
    old, middle, new = (entry(n, last_use=NOW - 100 / n) for n in (1, 2, 3))
    assert planned(new, old, middle, limits=Limits(size=25, memory=0)) == [old]
    assert planned(new, old, middle, limits=Limits(size=10, memory=0)) == [old, middle]


def test_busy_counts_and_stays() -> None:
    busy, idle = entry(1, size=100, last_use=NOW - 9999), entry(2)
    assert planned(busy, idle, busy=(busy,), limits=Limits(size=100, memory=0)) == [idle]


def test_share_of_memory_counts_trees_on_tmpfs_only() -> None:
    disk, first, second = entry(1, last_use=1), entry(2, kind="tmpfs", last_use=2), entry(3, kind="tmpfs", last_use=3)
    assert planned(disk, first, second, limits=Limits(size=1000, memory=15)) == [first]


def test_what_the_memory_share_removes_counts_for_the_size_too() -> None:
    disk, memory = entry(1, last_use=1), entry(2, kind="tmpfs", last_use=2)
    assert planned(disk, memory, limits=Limits(size=10, memory=0)) == [memory]


def test_incomplete_goes_whatever_the_limits() -> None:
    broken = entry(1, complete=False)
    assert planned(broken, entry(2), limits=NOTHING) == [broken]
    assert planned(broken, busy=(broken,), limits=NOTHING) == []


def test_age() -> None:
    old, new = entry(1, last_use=NOW - 2 * 86400), entry(2, last_use=NOW - 3600)
    assert planned(old, new, limits=Limits(1 << 60, 1 << 60, age=86400)) == [old]


def test_clock_that_was_set_back_keeps_nothing_for_ever() -> None:
    future, now, ancient = entry(1, last_use=NOW + 10 * 365 * 86400), entry(2, last_use=NOW), entry(3, last_use=0)
    assert planned(future, now, ancient, limits=Limits(size=20, memory=0)) == [future]
    assert planned(future, now, ancient, limits=Limits(size=10, memory=0)) == [future, ancient]
    assert planned(future, now, limits=Limits(1 << 60, 1 << 60, age=86400)) == [future]


def test_known_images_compete_by_last_use() -> None:
    index = KnownImage("/c", f"{key(9)}.index", 10, NOW - 5000)
    assert planned(entry(1), index, limits=Limits(size=10, memory=0)) == [index]


def test_what_archives_were_converted_into_stays_as_long_as_indices() -> None:
    bundle, index = (KnownImage("/c", f"{key(9)}.{kind}", 10, NOW) for kind in ("bundle", "index"))
    assert planned(entry(1), bundle, index, limits=Limits(1 << 60, 1 << 60)) == []
    assert planned(entry(1), bundle, index, limits=Limits(1 << 60, 1 << 60, age=0)) == [entry(1), bundle, index]


def test_default_share_is_a_quarter_of_the_memory() -> None:
    memory = look_at_memory()
    assert default_memory() == min(memory.total, memory.limit or memory.total) // 4
