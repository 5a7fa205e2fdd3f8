"""What killed processes left in a store goes, unless somebody may still be at work on it."""

from __future__ import annotations

import fcntl
import os

import pytest
from kit.in_use import executable, working_directory
from kit.places import shelf
from kit.store_layout import (
    NOTHING,
    add_entry,
    key,
    lease_held,
)

from tmprun.store.prune import prune
from tmprun.store.shelves import Root


def test_trash_goes_unless_in_use(root: Root) -> None:
    idle = add_entry(root, f"{key(1)}.0a", part="trash")
    leased_entry = add_entry(root, f"{key(2)}.0b", part="trash")
    in_use = add_entry(root, f"{key(3)}.0c", part="trash")
    own = add_entry(root, f"{key(5)}.0e", part="trash")
    lease = os.open(own / "lease", os.O_RDONLY)
    fcntl.flock(lease, fcntl.LOCK_SH)
    half = shelf(root.path, "trash") / f"{key(4)}.0d"
    (half / "tree" / "usr").mkdir(parents=True)
    with lease_held(leased_entry), executable(in_use):
        assert prune([root], NOTHING).leftovers == 2
        assert [path.exists() for path in (idle, leased_entry, in_use, half, own)] == [False, True, True, False, True]
    os.close(lease)
    assert prune([root], NOTHING).leftovers == 3


def test_stage_goes_when_its_builder_is_dead(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan, built, locked, held = (add_entry(root, f"{key(n)}.0{n}", part="stage") for n in (1, 2, 3, 4))
    link = shelf(root.path, "stage") / f"{key(5)}.05"
    link.symlink_to(key(5))
    everything = (orphan, built, locked, held)
    assert prune([root], NOTHING).leftovers == 0, "a young stage may not have its locks yet"
    monkeypatch.setattr("tmprun.store.leftovers.YOUNG_STAGE", 0)
    build_lock = os.open(shelf(root.path, "lock") / key(3), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(build_lock, fcntl.LOCK_EX)
    with lease_held(built), working_directory(held):
        prune([root], NOTHING)
        assert [made.exists() for made in everything] == [False, True, True, True]
    os.close(build_lock)
    prune([root], NOTHING)
    assert not any(made.exists() for made in everything)
    assert not link.is_symlink()


def test_links_to_nothing_go(root: Root) -> None:
    add_entry(root, key(1))
    links = shelf(root.path, "id")
    (links / "1-2-3-4-5").symlink_to(key(1))
    (links / "1-2-3-4-6").symlink_to(key(2))
    (links / "1-2-3-4-7").symlink_to("../../../outside")
    (links / "something").symlink_to(key(2))
    prune([root], NOTHING)
    assert sorted(os.listdir(links)) == ["1-2-3-4-5", "something"]


def test_drafts_of_killed_writers_go(root: Root) -> None:
    images = shelf(root.path, "image")
    images.mkdir(mode=0o700)
    names = [f"{key(1)}.index.tmp", f"{key(2)}.bundle.tmp"]
    for name in names:
        (images / name).touch()
    with open(images / names[1]) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        prune([root], NOTHING)
        assert os.listdir(images) == [names[1]]


def test_old_locks_go(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    add_entry(root, key(1))
    locks = shelf(root.path, "lock")
    for number in (1, 2, 3):
        (locks / key(number)).touch()
    prune([root], NOTHING)
    assert len(os.listdir(locks)) == 3
    monkeypatch.setattr("tmprun.store.leftovers.OLD_LOCK", 0)
    with open(locks / key(3)) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prune([root], NOTHING)
    assert sorted(os.listdir(locks)) == [key(1), key(3)]
