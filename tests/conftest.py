"""What all tests share. In CI and under `make test` a skipped test is a failure: what it needs must be there. Only an
ordinary user may lack a right that root has."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from kit import counting
from kit.real_images import LINUXDEPLOY, TYPE_1_BESIDE, hello_appdir, hello_images, present, type_1_image
from kit.surroundings import is_excused

ROOT = Path(__file__).resolve().parent.parent


class Skips:
    """Names the skipped tests last, where they are seen: those for want of a right counted by their reason, all others
    one by one, and these fail the run."""

    def __init__(self) -> None:
        self.excused: Counter[str] = Counter()
        self.others: list[str] = []
        self.files: set[tuple[str, str]] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # An expected failure is reported as skipped too, and is none.
        if report.skipped and not hasattr(report, "wasxfail"):
            self.note(report.nodeid, reason_of(report))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.note_file(report.nodeid, reason_of(report))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A process of pytest-xdist ends: it has reported its tests, but not the files that it skipped."""
        for nodeid, reason in getattr(node, "workeroutput", {}).get("skipped files", ()):
            self.note_file(nodeid, reason)

    def note_file(self, nodeid: str, reason: str) -> None:
        if (nodeid, reason) not in self.files:
            self.files.add((nodeid, reason))
            self.note(nodeid, reason)

    def note(self, nodeid: str, reason: str) -> None:
        if is_excused(reason):
            self.excused[reason.removeprefix("Skipped: ")] += 1
        else:
            self.others.append(f"{nodeid}: {reason}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["skipped files"] = sorted(self.files)
        if self.others and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.excused:
            terminalreporter.section("not run here")
            for reason, count in self.excused.items():
                terminalreporter.line(f"{count} {reason}")
        if self.others:
            terminalreporter.section("skipped tests: they must run here", red=True, bold=True)
            for line in self.others:
                terminalreporter.line(line, red=True)


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)


def pytest_configure(config: pytest.Config) -> None:
    heed_signals()
    if os.environ.get("CI") or os.environ.get("TMPRUN_NO_SKIPS"):
        config.pluginmanager.register(Skips(), "skips")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counting.show(terminalreporter)


def heed_signals() -> None:
    """What ends a program ends those that tests start, also when we run behind nohup or as a shell's background job,
    which ignore some signals: that is inherited."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP, signal.SIGTTOU):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def _reachable(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Lets other users go as far as each test's own directory; for pytest-xdist there is one more above it."""
    base = tmp_path_factory.getbasetemp()
    for path in (base, *base.parents):
        if path.name.startswith(("popen-", "pytest-")) and path.stat().st_uid == os.geteuid():
            path.chmod(0o755)


@pytest.fixture(scope="session")
def linuxdeploy() -> Path:
    """A real AppImage made by others: type 2, zlib, 13 MB, 111 inodes; prints its help to `--help`."""
    return present(LINUXDEPLOY.path)


@pytest.fixture(scope="session")
def hello(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """AppImages behind a real runtime that print "Hello world" and their arguments, by codec."""
    return hello_images(tmp_path_factory.mktemp("hello"))


@pytest.fixture(scope="session")
def type_1_images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """AppImages of type 1: one made here, and a real one where the folder beside the checkout has it."""
    folder = tmp_path_factory.mktemp("type 1")
    return [type_1_image(folder / "hello.AppImage", hello_appdir(folder / "Hello.AppDir")), *TYPE_1_BESIDE]
