"""An image's file: when its times tell of every change."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tmprun.images.identity import is_fresh


@pytest.mark.parametrize(
    ("fraction", "age", "fresh"),
    [(1, 49, True), (1, 51, False), (0, 51, True), (0, 1999, True), (0, 2001, False), (1, -60, False)],
)
def test_times_in_whole_seconds_are_coarse(
    monkeypatch: pytest.MonkeyPatch, fraction: int, age: int, fresh: bool
) -> None:
    """`age` in milliseconds; what has no fraction of a second may be of a clock that knows none."""
    changed = 1_800_000_000 * 10**9 + fraction
    monkeypatch.setattr(time, "time_ns", lambda: changed + age * 10**6)
    facts = os.stat_result((0,) * 10, {"st_ctime_ns": changed})
    assert is_fresh(facts) == fresh


def test_settled_means_older_than_a_tick(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"x")
    time.sleep(0.1)
    assert not is_fresh(image.stat())
    os.utime(image)
    assert is_fresh(image.stat())
