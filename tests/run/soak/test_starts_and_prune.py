"""Starts of two apps without a pause, in memory, while everything that is idle is pruned without a pause, too."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

import pytest
from kit.apps import App
from kit.counting import Record, counted
from kit.harness import Harness, Result, environ_of
from kit.store_layout import EVERYTHING

from tmprun.store.prune import prune
from tmprun.store.shelves import Root


class Starts:
    """So many starts to be made by whoever takes the next."""

    def __init__(self, harness: Harness, images: list[App], count: int) -> None:
        self.harness, self.images, self.left = harness, images, count
        self.lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.wrong: list[Result] = []

    def take(self) -> App | None:
        with self.lock:
            if self.wrong or not self.left:
                return None
            self.left -= 1
            return self.images[self.left % len(self.images)]

    def go_on(self) -> None:
        chance = random.Random()
        while app := self.take():
            time.sleep(chance.uniform(0, 0.01))
            orders = (self.harness.door, app.bundle, "probe:report", "probe:sum")
            result = self.harness.run(*orders, status=None, env={"TMPRUN_LOG": "debug"})
            with self.lock:
                self.note(app, result)

    def note(self, app: App, result: Result) -> None:
        report = result.report() if result.status == 0 else {}
        if not report.get("sum") or not app.sums_seen(report, environ_of(report)["APPDIR"]):
            self.wrong.append(result)
        self.counts["starts"] += 1
        self.counts["of them cold"] += b"unpacked into" in result.stderr
        self.harness.history.clear()


@pytest.mark.parametrize("count", [120, pytest.param(10_000, marks=pytest.mark.soak)])
def test_starts_while_everything_idle_is_pruned(
    in_memory: Harness, app: App, large_app: App, foreign: App, count: int, record_property: Record
) -> None:
    """Each start finds a whole tree, and keeps it as long as it runs."""
    starts = Starts(in_memory, [app, foreign, app, foreign, large_app], count)
    threads = [threading.Thread(target=starts.go_on) for _ in range(3)]
    root = Root(str(in_memory.store), "tmpfs", True, "")
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        report = prune([root], EVERYTHING)
        starts.counts["prunes"] += 1
        starts.counts["trees removed"] += len(report.removed)
        starts.counts["trees kept since they were in use"] += len(report.kept)
    counted(record_property, starts.counts)
    assert not starts.wrong, starts.wrong[0]
    assert starts.counts["trees removed"] > count // 40, starts.counts
