"""An app and its helpers are frozen together at any moment, for longer than the kernel waits for leases.

The kernel's own freezer does it (cgroup v2, as `docker pause`), for many apps at once. What how-it-works.md does not
promise would show here: an open in the very microseconds before the freeze.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kit.counting import Record, counted
from kit.gating import EVERYTHING, Gated, helpers, truth
from kit.harness import Harness, Result, remove, wait_until
from kit.surroundings import require_root

PLACES = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
# Seconds. The kernel lets openers through when a lease was not given back for lease-break-time, which is 45.
LONG = 50
# Four threads read everything. (Processes that the app starts are not tied: docs/how-it-works.md.)
READ, RIGHT = "1,4", b"right %d\n" % (4 * EVERYTHING)


class Group:
    """A control group of this test's own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def enter(self) -> None:
        """For the child, before it becomes the program."""
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def freeze(self, on: bool) -> None:
        (self.path / "cgroup.freeze").write_text(str(int(on)))
        wait_until(lambda: f"frozen {int(on)}" in (self.path / "cgroup.events").read_text())

    def is_empty(self) -> bool:
        return "populated 0" in (self.path / "cgroup.events").read_text()


@contextmanager
def group() -> Iterator[Group]:
    require_root()
    place = next(path for path in PLACES if (path / "cgroup.subtree_control").exists())
    path = place / f"tmprun-freezes-{os.getpid()}"
    path.mkdir()
    made = Group(path)
    try:
        yield made
    finally:
        made.freeze(on=False)
        wait_until(made.is_empty, 30)
        path.rmdir()


def freeze_all(harness: Harness, image: Gated, apps: int, seconds: float, chance: random.Random) -> Counter[str]:
    """So many apps, each with a store of its own, begin to read and are frozen for so long; how they ended."""
    counts: Counter[str] = Counter()
    stores = [harness.base / f"store {number}" for number in range(apps)]
    go = harness.base / "go"
    go.unlink(missing_ok=True)
    with group() as frozen:
        started = []
        for number, store in enumerate(stores):
            orders = [f"touch={store}.ready", f"wait={go}", f"read={chance.randrange(1000)},{READ}"]
            settings = truth(image, "demand" if number % 4 else "background") | {"TMPRUN_STORE": str(store)}
            started.append(harness.start(harness.door, image.image, *orders, env=settings, preexec_fn=frozen.enter))
        wait_until(lambda: all(Path(f"{store}.ready").exists() for store in stores), 60)
        go.touch()
        time.sleep(chance.uniform(0, 0.2))
        frozen.freeze(on=True)
        time.sleep(seconds)
        counts["frozen at work"] += sum(process.poll() is None for process in started)
        frozen.freeze(on=False)
        for process in started:
            counts[outcome(harness.finish(process))] += 1
        for store in stores:
            wait_until(lambda store=store: not helpers(store), 30)
            remove(store)
            Path(f"{store}.ready").unlink()
    harness.started.clear()
    harness.history.clear()
    return counts


def outcome(result: Result) -> str:
    if b"wrong" in result.stdout:
        return "read zeros"
    if result.status == -signal.SIGKILL:
        return "ended"
    assert (result.status, result.stdout) == (0, RIGHT), str(result)
    return "right"


@pytest.mark.parametrize(
    ("times", "apps", "seconds"),
    [(2, 6, 0.5), pytest.param(10, 50, LONG, marks=pytest.mark.soak)],
)
def test_frozen_and_thawed(
    in_memory: Harness, gated_app: Gated, times: int, apps: int, seconds: float, record_property: Record
) -> None:
    chance = random.Random(times)
    counts: Counter[str] = Counter({"freezes of an app": 0})
    for _ in range(times):
        counts["freezes of an app"] += apps
        counts += freeze_all(in_memory, gated_app, apps, seconds, chance)
    counted(record_property, counts)
    assert counts["read zeros"] == 0, counts
    if seconds < 1:
        assert counts["right"] == counts["freezes of an app"], counts
