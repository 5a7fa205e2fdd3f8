"""Nothing in use is removed."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from kit.in_use import USES, daemon, executable, leased, working_directory
from kit.places import shelf
from kit.store_layout import (
    EVERYTHING,
    add_entry,
    as_user,
    key,
    make_root,
    user_folder,
)
from kit.surroundings import needs_root

from tmprun.store import entries as store
from tmprun.store import usage
from tmprun.store.entries import Entry
from tmprun.store.eviction import evict
from tmprun.store.prune import prune
from tmprun.store.shelves import Root


@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_entry_in_use_stays(root: Root, use: object) -> None:
    made, idle = add_entry(root, key(1)), add_entry(root, key(2))
    assert callable(use)
    with use(made):
        report = prune([root], EVERYTHING)
        assert [(item.key, why) for item, why in report.kept if isinstance(item, Entry)] == [(key(1), "in use")]
        assert (made / "tree" / "AppRun").exists()
        assert not idle.exists()


@pytest.mark.parametrize("use", [executable, working_directory, daemon], ids=lambda use: use.__name__)
def test_entry_in_use_by_ordinary_user_stays(use: object) -> None:
    assert callable(use)

    def prune_while_in_use() -> bool:
        root = make_root(Path(top) / "store")
        made = add_entry(root, key(1))
        with use(made):
            prune([root], EVERYTHING)
            return made.exists()

    with user_folder() as top:
        assert as_user(prune_while_in_use)


def test_idle_entry_goes_after_its_app_ended(root: Root) -> None:
    made = add_entry(root, key(1))
    with leased(made), executable(made):
        assert prune([root], EVERYTHING).removed == []
    assert len(prune([root], EVERYTHING).removed) == 1


def test_use_that_begins_after_the_first_look_is_seen(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry is idle when the plan is made; an app starts from it before it is locked."""
    made = add_entry(root, key(1))
    looks = []
    with open(made / "lease") as lease:

        def look_then_start() -> usage.View:
            looks.append(usage_look())
            fcntl.flock(lease, fcntl.LOCK_SH)
            return looks[-1]

        usage_look = usage.look
        monkeypatch.setattr(usage, "look", look_then_start)
        listed = store.entries([root])
        monkeypatch.setattr(store, "entries", lambda _: listed)
        report = prune([root], EVERYTHING)
    assert [why for _, why in report.kept] == ["in use"]
    assert made.exists()


def test_evict_trusts_no_earlier_look(root: Root) -> None:
    """Whoever comes between plan and deed is seen all the same: by the build lock, the lease, or the processes."""
    built, leased_one, used, idle = (add_entry(root, key(n)) for n in range(4))
    lock = os.open(shelf(root.path, "lock") / key(0), os.O_RDWR | os.O_CREAT, 0o600)
    lease = os.open(leased_one / "lease", os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    fcntl.flock(lease, fcntl.LOCK_SH)  # by this process, which the look at all processes leaves out
    with daemon(used):
        assert evict(root.path, [key(n) for n in range(5)]) == {
            key(0): "being built",
            key(1): "in use",
            key(2): "in use",
        }
    os.close(lock)
    os.close(lease)
    assert [made.exists() for made in (built, leased_one, used, idle)] == [True, True, True, False]


def test_entry_that_is_being_built_stays(root: Root) -> None:
    made = add_entry(root, key(1))
    with open(shelf(root.path, "lock") / key(1), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prune([root], EVERYTHING)
        assert made.exists()


@needs_root
def test_another_container_is_given_the_benefit_of_the_doubt(root: Root) -> None:
    """In a PID namespace of its own, prune cannot see the others: it goes by the last use, unless told it is alone."""
    now = time.time()
    days = (-6, -1, 0, 6, -8, 100)
    made = [add_entry(root, key(n), last_use=now + day * 86400) for n, day in enumerate(days)]
    script = f"""
from tmprun.store.prune import prune, Limits
from tmprun.store.shelves import (Root)
import sys
prune([Root({root.path!r}, "disk", True, "")], Limits(0, 0, alone=len(sys.argv) > 1))
"""
    inside = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", script]
    subprocess.run(inside, check=True, cwd=Path(__file__).parents[3])
    assert [path.exists() for path in made] == [True] * 4 + [False] * 2
    subprocess.run([*inside, "alone"], check=True, cwd=Path(__file__).parents[3])
    assert not any(path.exists() for path in made)


def test_without_proc_nothing_recent_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "PROCFS_PATH", "/nonexistent")
    assert usage.look() == (frozenset(), frozenset(), False, (float("inf"),))


def test_own_process_does_not_count(root: Root) -> None:
    made = add_entry(root, key(1))
    with open(made / "tree" / "AppRun"):
        assert len(prune([root], EVERYTHING).removed) == 1
