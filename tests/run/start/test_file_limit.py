"""RLIMIT_FSIZE: the caller's, and the app's; what is unpacked may be larger, as far as the hard limit allows."""

from __future__ import annotations

import resource

import pytest
from kit.apps import App
from kit.harness import Harness

LOW = 10_000


def limited(soft: int, hard: int) -> list[str]:
    return ["prlimit", f"--fsize={soft}:{hard}"]


@pytest.mark.parametrize("fill", ["eager", "background", "demand"])
def test_soft_limit_is_the_apps_own(harness: Harness, large_app: App, fill: str) -> None:
    hard = 1 << 30
    result = harness.run(*limited(LOW, hard), harness.door, large_app.bundle, "probe:report", env={"TMPRUN_FILL": fill})
    assert [resource.RLIMIT_FSIZE, str(LOW), str(hard)] in result.report()["limit"]
    assert result.report()["ignored"] == []


@pytest.mark.parametrize("fill", ["eager", "background", "demand"])
def test_hard_limit_is_told_in_one_line(harness: Harness, large_app: App, fill: str) -> None:
    result = harness.run(*limited(LOW, LOW), harness.door, large_app.bundle, env={"TMPRUN_FILL": fill}, status=127)
    harness.refused(result, "limit for files is 10000", "ulimit -f", status=127)


def test_limit_of_an_extraction(harness: Harness, large_app: App) -> None:
    result = harness.run(*limited(LOW, LOW), large_app.bundle, "--appimage-extract", status=1)
    assert b"limit for files is 10000" in result.stderr
    harness.run(*limited(LOW, 1 << 30), large_app.bundle, "--appimage-extract")
