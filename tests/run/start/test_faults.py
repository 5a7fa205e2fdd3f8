"""Every system call of a cold start fails, or is the last one (threats.md, 17, 18 and 25).

strace spoils the Nth call of each kind, for every N.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.apps import App
from kit.harness import Harness, Result, environ_of, remove
from kit.snapshot import facts
from kit.tracing import calls, strace, until_app

# What each call may answer on a bad day. `!` marks what must not even be noticed.
ERRORS = {
    "openat": ["EMFILE", "EIO", "EINTR", "ENOSPC"],
    "open": ["EMFILE", "EIO"],
    "openat2": ["ENOSYS!", "EPERM!", "EMFILE", "EIO"],
    "getrandom": ["ENOSYS!", "EPERM!", "EAGAIN!"],
    "sched_getaffinity": ["EPERM!", "ENOSYS!"],
    "clone": ["EAGAIN!", "ENOMEM!"],
    "clone3": ["ENOSYS!", "EAGAIN!"],
    "read": ["EINTR!", "EIO"],
    "pread64": ["EINTR!", "EIO"],
    "write": ["EINTR!", "ENOSPC", "EIO"],
    "pwrite64": ["EINTR!", "ENOSPC", "EDQUOT", "EIO"],
    "flock": ["EINTR", "ENOLCK"],
    "fstat": ["EIO"],
    "newfstatat": ["EIO"],
    "fstatfs": ["EIO"],
    "mkdir": ["ENOSPC", "EIO"],
    "mkdirat": ["ENOSPC", "EDQUOT", "EIO"],
    "symlinkat": ["EPERM", "ENOSPC"],
    "linkat": ["EPERM", "EMLINK"],
    "renameat": ["EIO", "ENOSPC"],
    "ftruncate": ["ENOSPC", "EIO"],
    "fchmod": ["EPERM", "EIO"],
    "utimensat": ["EPERM", "EIO"],
    "getdents64": ["EIO"],
    "readlink": ["EACCES"],
    "readlinkat": ["EIO"],
    "unlinkat": ["EIO"],
    "fcntl": ["EMFILE"],
    "mmap": ["ENOMEM"],
    "munmap": ["ENOMEM!"],
    "brk": ["ENOMEM!"],
}


@pytest.fixture
def harness(in_memory: Harness) -> Harness:
    """Everything at once, in this process: a filler of its own is another story, told elsewhere."""
    in_memory.settings["TMPRUN_FILL"] = "eager"
    return in_memory


def counts(harness: Harness, app: App) -> Counter[str]:
    """How often a cold start makes each system call: the most that one of its threads does."""
    log = harness.base / "trace"
    harness.run(*strace(log), app.bundle, "probe:exit=0")
    harness.clear()
    by_thread = Counter((call.pid, call.name) for call in until_app(calls(log)))
    most: Counter[str] = Counter()
    for (_, name), count in by_thread.items():
        most[name] = max(most[name], count)
    return most


def places(harness: Harness, app: App) -> Iterator[tuple[str, int]]:
    for name, count in counts(harness, app).items():
        for number in range(1, count + 1):
            if name != "execve":  # the first one is strace's own; the last starts the app, which is all there is to it
                yield name, number


def spoil(harness: Harness, app: App, name: str, number: int, how: str) -> Result:
    harness.clear()
    harness.history.clear()
    spoiled = [f"--trace={name}", f"--inject={name}:{how}:when={number}"]
    return harness.run(*strace(Path("/dev/null"), *spoiled), app.bundle, "probe:exit=7", status=None)


def soundly(harness: Harness, app: App, name: str, number: int, how: str) -> Result:
    """A spoiled start. The next one is right, and what was left behind is gone.

    As an ordinary user of some tries once: it is kept while a process of ours cannot be looked at, as other tests make.
    """
    for tries in range(1 if os.geteuid() == 0 else 20, 0, -1):
        spoiled = spoil(harness, app, name, number, how)
        result = harness.run(app.bundle, "probe:report", "probe:sum")
        assert app.sums_seen(result.report(), environ_of(result.report())["APPDIR"]), f"after {spoiled}:\n{result}"
        left = [name for name in harness.left() if not name.startswith("id/")]
        if left == [f"tree/{app.key}"]:
            break
        assert tries > 1, f"{left} left after {spoiled}"
        time.sleep(1)
    return spoiled


def test_killed_at_any_call(harness: Harness, app: App) -> None:
    every = [(name, number, "signal=KILL") for name, number in places(harness, app)]
    assert len(every) > 100, "hardly a call was seen"
    reached = 0
    for place in every:
        result = soundly(harness, app, *place)
        reached += result.status != 7  # how work is shared between threads differs from time to time
    assert reached > len(every) * 0.9


def test_any_call_fails(harness: Harness, app: App) -> None:
    every = [(name, number, error) for name, number in places(harness, app) for error in ERRORS.get(name, [])]
    assert {name for name, _, _ in every} >= {"openat", "pwrite64", "renameat", "flock"}
    for name, number, error in every:
        result = soundly(harness, app, name, number, f"error={error.rstrip('!')}")
        if result.status != 7:
            assert not error.endswith("!"), f"{name} number {number}, {error}:\n{result}"
            assert result.status in (126, 127) and result.stdout == b"", f"{name} number {number}, {error}:\n{result}"
            assert result.stderr.startswith(b"tmprun: ") and result.stderr.count(b"\n") == 1, (
                f"{name} {number} {error}\n{result}"
            )


@pytest.mark.parametrize(
    "name", ["openat2", "getrandom", "renameat2", "memfd_create", "io_uring_setup", "clone3", "sched_getaffinity"]
)
@pytest.mark.parametrize("error", ["ENOSYS", "EPERM"])
def test_calls_that_a_sandbox_may_refuse_are_not_needed(harness: Harness, app: App, name: str, error: str) -> None:
    spoiled = [f"--trace={name}", f"--inject={name}:error={error}"]
    result = harness.run(*strace(Path("/dev/null"), *spoiled), app.bundle, "probe:report", "probe:sum")
    assert app.sums_seen(result.report(), environ_of(result.report())["APPDIR"])


def test_any_call_of_an_extraction_fails(harness: Harness, app: App) -> None:
    """Either all of it is there, or that is said: a peer's full disk gave exit status 0 and empty files."""
    log = harness.base / "trace"
    out = harness.work / "squashfs-root"
    harness.run(*strace(log), app.bundle, "--appimage-extract")
    expected = facts(out)
    by_thread = Counter((call.pid, call.name) for call in calls(log))
    tried = 0
    for (_, name), count in by_thread.items():
        for number, error in ((n, e) for n in range(1, count + 1) for e in ERRORS.get(name, [])):
            remove(out)
            harness.history.clear()
            spoiled = [f"--trace={name}", f"--inject={name}:error={error.rstrip('!')}:when={number}"]
            result = harness.run(*strace(Path("/dev/null"), *spoiled), app.bundle, "--appimage-extract", status=None)
            tried += 1
            if result.status == 0:
                assert facts(out) == expected, f"{name} number {number}, {error}:\n{result}"
            else:
                assert not error.endswith("!"), f"{name} number {number}, {error}:\n{result}"
                assert (
                    result.status == 1 and result.stderr.startswith(b"tmprun: ") and result.stderr.count(b"\n") == 1
                ), result
    assert tried > 100
