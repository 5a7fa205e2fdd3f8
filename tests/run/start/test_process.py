"""The app is the process that was started: what it is given, and what comes back of it."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.apps import App
from kit.harness import Harness, environ_of, parse_report, wait_until
from kit.places import PUBLISHED

Start = Callable[..., list[Any]]

LEASE, TIE = 60, 61  # the tie only where the app was gated: tests/run/gate says where


@pytest.fixture(params=["bundle", "door", "cold bundle", "cold door", "gated", "foreign", "cold foreign"])
def start(request: pytest.FixtureRequest, harness: Harness, app: App) -> Start:
    """The words that start the probe with the given arguments: by itself, by the front door, before its files are
    filled, and as an AppImage of others, which at its first start comes by way of Python."""
    words = [harness.door, app.bundle] if "door" in request.param else [app.bundle]
    if "foreign" in request.param:
        words = [request.getfixturevalue("door_with_python"), request.getfixturevalue("foreign").bundle]
    if request.param == "gated":
        harness.settings["TMPRUN_FILL"] = "background"
    elif "cold" not in request.param:
        harness.run(*words)
    return lambda *arguments: [*words, *arguments]


def direct(harness: Harness, app: App, *arguments: Any, **options: Any) -> dict[str, Any]:
    """What the probe says when it is started by its path, without us."""
    return harness.run(app.appdir / "AppRun", *arguments, **options).report()


@pytest.mark.parametrize("status", [0, 1, 7, 126, 255])
def test_the_exit_status_is_the_apps(harness: Harness, start: Start, status: int) -> None:
    harness.run(*start(f"probe:exit={status}"), status=status)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE])
def test_a_signal_that_ends_the_app_is_seen_as_such(harness: Harness, start: Start, number: int) -> None:
    harness.run(*start(f"probe:signal={number}"), status=-number)


def test_a_signal_reaches_the_app(harness: Harness, start: Start) -> None:
    ready = harness.base / "ready"
    process = harness.start(*start(f"probe:touch={ready}", "probe:sleep=60"))
    wait_until(ready.exists)
    process.terminate()
    assert harness.finish(process).status == -signal.SIGTERM


def test_it_is_the_same_process_in_the_same_family(harness: Harness, start: Start) -> None:
    process = harness.start(*start("probe:report"))
    seen = harness.finish(process).report()
    assert seen["pid"] == process.pid
    assert seen["ppid"] == os.getpid()
    assert (seen["pgid"], seen["sid"]) == (os.getpgrp(), os.getsid(0))


def test_everything_inherited_is_as_without_us(harness: Harness, app: App, start: Start) -> None:
    changed = "pid", "argv", "environ", "fd", "exe", "started_as"
    expected = direct(harness, app, "probe:report")
    seen = harness.run(*start("probe:report")).report()
    assert {key: value for key, value in seen.items() if key not in changed} == {
        key: value for key, value in expected.items() if key not in changed
    }
    assert seen["child"] == -1


def test_descriptors_are_the_callers_and_the_lease(harness: Harness, app: App, start: Start) -> None:
    with (harness.base / "file").open("w") as file, socket.socket() as other:
        handed = (file.fileno(), other.fileno())
        expected = direct(harness, app, "probe:report", pass_fds=handed)["fd"]
        seen = harness.run(*start("probe:report"), pass_fds=handed).report()["fd"]
    *theirs, lease = (fd for fd in sorted(seen) if fd[0] != TIE)
    assert [fd[0] for fd in theirs] == [fd[0] for fd in sorted(expected)]
    assert theirs[3:] == sorted(expected)[3:]  # 0 to 2 are pipes, new ones each time
    assert lease[0] == LEASE and lease[1].startswith(f"{harness.store}{PUBLISHED}") and lease[1].endswith("/lease")
    assert lease[2] & os.O_ACCMODE == os.O_RDONLY and lease[3] & fcntl.FD_CLOEXEC == 0


def test_a_taken_lease_number_is_left_to_its_owner(harness: Harness, start: Start) -> None:
    with (harness.base / "file").open("w") as file:
        os.dup2(file.fileno(), LEASE)
        try:
            seen = harness.run(*start("probe:report"), pass_fds=(LEASE,)).report()["fd"]
        finally:
            os.close(LEASE)
    assert next(fd for fd in seen if fd[0] == LEASE)[1] == str(harness.base / "file")
    assert sum(fd[1].endswith("/lease") for fd in seen) == 1


def test_closed_standard_descriptors_stay_closed(harness: Harness, app: App, start: Start) -> None:
    def close_all() -> None:
        for fd in range(3):
            os.close(fd)

    report = harness.base / "report"
    words = start(f"probe:report={report}", f"probe:sum={app.appdir}")
    subprocess.run(words, preexec_fn=close_all, env=harness.environment(), check=True, timeout=60)
    seen = parse_report(report.read_bytes())["fd"]
    assert [fd[0] for fd in seen if fd[0] != TIE] == [LEASE]
    check = harness.run(*start("probe:report", "probe:sum")).report()
    assert app.sums_seen(check, environ_of(check)["APPDIR"])


def test_few_descriptors_are_enough(harness: Harness, start: Start) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))

    seen = harness.run(*start("probe:report"), preexec_fn=limit).report()
    assert ["7", "40", "40"] not in seen["limit"] and [7, "40", "40"] in seen["limit"]
    assert [fd[1].endswith("/lease") for fd in seen["fd"]].count(True) == 1


def test_standard_input_is_the_apps(harness: Harness, start: Start) -> None:
    data = bytes(range(256)) * 100
    assert harness.run(*start("probe:stdin"), stdin=data).report()["stdin"] == [data.decode("latin-1")]


def test_a_pipe_ends_with_the_app(harness: Harness, start: Start) -> None:
    process = harness.start(*start("probe:print=said", "probe:exit=3"))
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.read() == b"said\n"
    assert process.stderr.read() == b""
    assert process.wait(10) == 3


def test_a_pipeline_of_the_shell_ends(harness: Harness, app: App) -> None:
    assert harness.run("sh", "-c", '"$1" probe:print=x | cat', "sh", app.bundle, timeout=10).stdout == b"x\n"


@pytest.mark.parametrize("name", [signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGALRM, signal.SIGHUP])
@pytest.mark.parametrize("ignored", [True, False])
def test_dispositions_and_mask_are_the_callers(
    harness: Harness, start: Start, name: signal.Signals, ignored: bool
) -> None:
    def prepare() -> None:
        for each in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(each, signal.SIG_DFL)
        signal.signal(name, signal.SIG_IGN if ignored else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, {name, signal.SIGUSR1})

    seen = harness.run(*start("probe:report"), preexec_fn=prepare, restore_signals=False).report()
    assert (seen["ignored"], seen["handled"]) == ([int(name)] if ignored else [], [])
    assert sorted(seen["blocked"]) == sorted({int(name), int(signal.SIGUSR1)})


def test_a_timer_of_the_caller_goes_on(harness: Harness, start: Start) -> None:
    seen = harness.run(*start("probe:report"), preexec_fn=lambda: signal.alarm(100) and None).report()
    assert 90 <= seen["alarm"] <= 100


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_the_umask_is_the_callers_and_the_store_does_not_feel_it(
    harness: Harness, app: App, start: Start, mask: int
) -> None:
    seen = harness.run(*start("probe:report"), umask=mask).report()
    assert seen["umask"] == mask
    tree = Path(environ_of(seen)["APPDIR"])
    assert oct(tree.stat().st_mode & 0o7777) == oct(0o755)
    assert oct((tree / "AppRun").stat().st_mode & 0o7777) == oct(0o555)  # a program


def test_limits_and_directory_are_the_callers(harness: Harness, start: Start) -> None:
    where = harness.base / "some where"
    where.mkdir()
    seen = harness.run(*start("probe:report"), cwd=where).report()
    assert seen["cwd"] == str(where)
    assert environ_of(seen)["OWD"] == str(where)


def test_a_removed_working_directory_is_no_obstacle(harness: Harness, app: App) -> None:
    """OWD cannot be told then; one of an app that started us would be wrong."""
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
    seen = harness.run("sh", "-c", script, "sh", app.bundle, "probe:report", env={"OWD": "/elsewhere"}).report()
    assert "OWD" not in environ_of(seen)


def test_a_controlling_terminal_stays_and_is_in_the_foreground(harness: Harness, start: Start) -> None:
    leader, follower = os.openpty()

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(follower, 0x540E, 0)  # TIOCSCTTY

    report = harness.base / "report"
    process = harness.start(
        *start(f"probe:report={report}"), stdin=follower, stdout=follower, stderr=follower, preexec_fn=take_terminal
    )
    assert process.wait(30) == 0
    os.close(follower)
    os.close(leader)
    seen = parse_report(report.read_bytes())
    assert seen["tty"] == seen["pgid"] == seen["sid"] == process.pid


def test_socket_activation_finds_its_process(harness: Harness, app: App, start: Start) -> None:
    """LISTEN_PID names the process that gets the sockets, from descriptor 3 on (sd_listen_fds(3))."""
    with socket.socket() as listening:
        script = 'LISTEN_PID=$$ exec "$@"'
        seen = harness.run(
            "sh", "-c", script, "sh", *start("probe:report"), env={"LISTEN_FDS": "1"}, pass_fds=(listening.fileno(),)
        ).report()
    environ = environ_of(seen)
    assert (environ["LISTEN_PID"], environ["LISTEN_FDS"]) == (str(seen["pid"]), "1")


def test_nothing_of_ours_outlives_the_app(harness: Harness, start: Start) -> None:
    process = harness.start(*start("probe:exit=0"), start_new_session=True)
    harness.finish(process)
    time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


@pytest.mark.parametrize("fill", ["eager", "background", "demand"])
def test_small_stack(harness: Harness, large_app: App, fill: str) -> None:
    """A limit for the stack is the app's own; what unpacks it needs less than any app."""
    command = ["prlimit", f"--stack={128 << 10}", harness.door, large_app.bundle, "probe:report"]
    report = harness.run(*command, env={"TMPRUN_FILL": fill}).report()
    assert [resource.RLIMIT_STACK, str(128 << 10), str(128 << 10)] in report["limit"]
