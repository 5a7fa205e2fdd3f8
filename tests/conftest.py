"""What all tests share. In CI and under `make test` a skipped test is a failure: what it needs must be there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


class NoSkips:
    """Fails the run when tests were skipped, and names them last, where they are seen."""

    def __init__(self) -> None:
        self.skipped: list[str] = []

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        # An expected failure is reported as skipped too, and is none.
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self.skipped.append(f"{report.nodeid}: {reason}")

    pytest_runtest_logreport = note
    pytest_collectreport = note

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.skipped:
            terminalreporter.section("skipped tests: they must run here", red=True, bold=True)
            for line in self.skipped:
                terminalreporter.line(line, red=True)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("CI") or os.environ.get("TMPRUN_NO_SKIPS"):
        config.pluginmanager.register(NoSkips(), "no-skips")


@pytest.fixture(scope="session")
def linuxdeploy() -> Path:
    """A real AppImage made by others: type 2, zlib, 13 MB, 111 inodes; prints its help to `--help`."""
    path = ROOT / "build" / "corpora" / "linuxdeploy.AppImage"
    assert path.exists(), f"{path} is missing: `make test` fetches it"
    return path
