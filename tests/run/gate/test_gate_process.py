"""The app is left alone by what fills its files: no child, no signal, no descriptor, no terminal, no limit of ours."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from kit.apps import App
from kit.gating import EVERYTHING, LINGER, Gated, helpers, is_complete, is_gone, only, tree_of, truth, unfilled
from kit.harness import Harness, environ_of, parse_report, wait_until
from kit.surroundings import unshare

from tmprun.pack.pack import pack

LEASE, TIE = 60, 61
PR_SET_CHILD_SUBREAPER = 36


def report(harness: Harness, app: App, mode: str, *arguments: str, **options: Any) -> dict[str, Any]:
    return harness.run(harness.door, "run", "--fill", mode, app.bundle, "probe:report", *arguments, **options).report()


@pytest.mark.parametrize("mode", ["background", "demand"])
def test_everything_is_as_without_us(harness: Harness, large_app: App, mode: str) -> None:
    """The report has limits, signals, timers, children, family and mask; what must differ is left out."""
    changed = "pid", "argv", "environ", "fd", "exe", "started_as"
    expected = harness.run(large_app.appdir / "AppRun", "probe:report").report()
    seen = report(harness, large_app, mode, "probe:sum")
    assert {key: value for key, value in seen.items() if key not in (*changed, "sum")} == {
        key: value for key, value in expected.items() if key not in (*changed, "sum")
    }
    assert seen["child"] == -1 and seen["pending"] == []
    assert large_app.sums_seen(seen, environ_of(seen)["APPDIR"])


@pytest.mark.parametrize("mode", ["background", "demand"])
def test_descriptors_are_the_callers_lease_and_tie(harness: Harness, large_app: App, mode: str) -> None:
    seen = sorted(report(harness, large_app, mode)["fd"])
    assert [fd[0] for fd in seen] == [0, 1, 2, LEASE, TIE]
    assert seen[3][1].endswith("/lease") and seen[4][1].startswith("socket:")


def test_a_complete_tree_needs_no_tie(harness: Harness, large_app: App) -> None:
    report(harness, large_app, "background")
    wait_until(lambda: is_complete(harness))
    assert [fd[0] for fd in sorted(report(harness, large_app, "background")["fd"])] == [0, 1, 2, LEASE]


@pytest.mark.parametrize("mode", ["background", "demand"])
def test_a_pipe_ends_with_the_app(harness: Harness, gated_app: Gated, mode: str) -> None:
    """In `demand` the filler stays for seconds: whoever reads the app's output must not wait for it."""
    script = '"$@" env=HOME 2>&1 < /dev/null | cat; "$@" env=HOME | cat'
    settings = truth(gated_app, mode) | {"TMPRUN_LOG": None}
    started = time.monotonic()
    result = harness.run("sh", "-c", script, "sh", gated_app.image, env=settings)
    assert result.stdout.count(b"env") == 2
    assert mode == "background" or (helpers(harness.store) and time.monotonic() - started < 3)


def test_helpers_have_left_session_and_terminal(harness: Harness, gated_app: Gated) -> None:
    ready, go = harness.base / "ready", harness.base / "go"
    words = [gated_app.image, f"touch={ready}", f"wait={go}"]
    process = harness.start(*words, env=truth(gated_app, "demand"))
    wait_until(ready.exists)
    for kind in ("filler", "guard"):
        helper = Path("/proc") / str(only(harness.store, kind).pid)
        _, ppid, _, session, terminal = (helper / "stat").read_text().rpartition(")")[2].split()[:5]
        assert int(session) != os.getsid(process.pid) and terminal == "0" and int(ppid) != process.pid
        targets = {os.readlink(helper / "fd" / str(fd)) for fd in range(3)}
        assert targets == {"/dev/null"}
        assert os.readlink(helper / "cwd") == "/"
    go.touch()
    harness.finish(process)


BASH_APP = """#!/bin/bash
wait -n; echo "nothing to wait for: $?"
(exit 7) & wait -n; echo "the child: $?"
wait -n; echo "nothing more: $?"
trap 'echo child' CHLD
/bin/true; read -t 0.2 < <(sleep 1); trap - CHLD
cat "$APPDIR"/data/* | cksum
"""


def script_app(into: Path, script: str) -> Path:
    """An app whose AppRun is a script, with files to gate."""
    appdir = into / "Script.AppDir"
    (appdir / "data").mkdir(parents=True)
    (appdir / "AppRun").write_text(script)
    (appdir / "AppRun").chmod(0o755)
    for number in range(40):
        (appdir / "data" / f"{number:02}").write_bytes(os.urandom(150_000))
    pack(appdir, into / "script", level=1)
    return into / "script"


def test_a_shell_waits_for_its_own_children_only(harness: Harness, gated_app: Gated) -> None:
    image = script_app(harness.base / "app", BASH_APP)
    direct = harness.run(harness.base / "app/Script.AppDir/AppRun", env={"APPDIR": f"{harness.base}/app/Script.AppDir"})
    for mode in ("demand", "background"):
        harness.clear()
        result = harness.run(image, env={"TMPRUN_FILL": mode})
        assert result.stdout == direct.stdout
    assert b"the child: 7" in direct.stdout


def test_no_child_is_seen_by_any_wait(harness: Harness, gated_app: Gated) -> None:
    result = harness.run(gated_app.image, "read=1,2,1", "children", env=truth(gated_app, "demand"))
    assert result.stdout.endswith(b"children none, none\n")


def become_subreaper() -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def test_an_app_that_gets_orphans_does_not_get_ours(harness: Harness, gated_app: Gated) -> None:
    """The filler is then its child, but one that only wait(__WALL) shows, and that sends no signal when it ends."""
    result = harness.run(
        gated_app.image, "read=1,2,1", "children", env=truth(gated_app, "demand"), preexec_fn=become_subreaper
    )
    assert b"children none, " in result.stdout
    assert result.stdout.startswith(b"right %d\n" % EVERYTHING)


@pytest.mark.parametrize("mode", ["background", "demand"])
def test_as_the_first_process_of_a_namespace(harness: Harness, gated_app: Gated, mode: str) -> None:
    for _ in range(2):  # the second finds what the kernel left when it ended the namespace with the first
        words = [*unshare("-pf", "--mount-proc"), gated_app.image, "children", "read=1,2,2", "children"]
        result = harness.run(*words, env=truth(gated_app, mode))
        right = b"right %d\n" % (2 * EVERYTHING)
        assert result.stdout.count(right) == 2
        assert result.stdout.count(b"children none, ") == 2
    assert not helpers(harness.store)


class Terminal:
    """A pseudo-terminal, and an app in its foreground."""

    def __init__(self, harness: Harness, *words: str | Path, env: dict[str, str | None]) -> None:
        self.leader, follower = os.openpty()
        script = 'exec setsid -c "$@"'
        self.process = harness.start(
            "sh", "-c", script, "sh", *words, env=env, stdin=follower, stdout=follower, stderr=follower
        )
        os.close(follower)

    def type(self, keys: bytes) -> None:
        os.write(self.leader, keys)


@pytest.mark.parametrize("end", ["Ctrl-C", "Ctrl-\\", "hang-up"])
def test_the_terminal_hits_the_app_only(harness: Harness, gated_app: Gated, end: str) -> None:
    """Another start of the same app, elsewhere, goes on being served."""
    ready, go, joined = (harness.base / name for name in ("ready", "go", "joined"))
    settings = truth(gated_app, "demand")
    terminal = Terminal(harness, gated_app.image, f"touch={ready}", "sleep=60", env=settings)
    wait_until(ready.exists)
    other = harness.start(gated_app.image, f"touch={joined}", f"wait={go}", "read=1,1,1", env=settings)
    wait_until(joined.exists)
    before = sorted(helper.pid for helper in helpers(harness.store))
    assert len(before) == 2
    if end == "hang-up":
        os.close(terminal.leader)
    else:
        terminal.type(b"\x03" if end == "Ctrl-C" else b"\x1c")
    expected = {"Ctrl-C": signal.SIGINT, "Ctrl-\\": signal.SIGQUIT, "hang-up": signal.SIGHUP}[end]
    assert terminal.process.wait(10) == -expected
    assert sorted(helper.pid for helper in helpers(harness.store)) == before
    go.touch()
    assert harness.finish(other).stdout == b"right %d\n" % EVERYTHING
    if end != "hang-up":
        os.close(terminal.leader)


def test_a_stopped_job_goes_on(harness: Harness, gated_app: Gated) -> None:
    """Ctrl-Z, and fg, in a shell with a terminal."""
    ready, go, out = (harness.base / name for name in ("ready", "go", "out"))
    script = '"$@" >> "$OUT"; jobs >> "$OUT"; touch "$GO"; fg >> "$OUT"'
    words = ["bash", "-m", "-c", script, "sh", gated_app.image, f"touch={ready}", f"wait={go}", "read=1,1,1"]
    settings = {"OUT": str(out), "GO": str(go)}
    terminal = Terminal(harness, *words, env=truth(gated_app, "demand") | settings)
    wait_until(ready.exists)
    terminal.type(b"\x1a")
    assert terminal.process.wait(20) == 0
    assert b"Stopped" in out.read_bytes()
    assert b"right %d\n" % EVERYTHING in out.read_bytes()
    os.close(terminal.leader)


@pytest.mark.parametrize("limit", [128, 4096])
def test_few_descriptors_gate_the_largest_files(harness: Harness, gated_app: Gated, limit: int) -> None:
    ready, go = harness.base / "ready", harness.base / "go"
    words = ["prlimit", f"--nofile={limit}:{limit}", gated_app.image, f"touch={ready}", f"wait={go}", "read=1,1,1"]
    process = harness.start(*words, env=truth(gated_app, "demand"))
    wait_until(ready.exists)
    left = unfilled(tree_of(harness))
    sizes = {path: (gated_app.appdir / path).stat().st_size for path in gated_app.gated}
    if limit == 128:
        assert 32 <= len(left) <= 64
        assert min(sizes[path] for path in left) >= max(sizes[path] for path in gated_app.gated - left)
    else:
        assert left == gated_app.gated
    go.touch()
    assert harness.finish(process).stdout == b"right %d\n" % EVERYTHING


def test_too_few_descriptors_unpack_everything_first(harness: Harness, gated_app: Gated) -> None:
    words = ["prlimit", "--nofile=40:40", gated_app.image, "read=1,1,1"]
    result = harness.run(*words, env=truth(gated_app, "demand"))
    assert result.stdout == b"right %d\n" % EVERYTHING
    assert b"unpacking everything first" in result.stderr


def test_the_apps_limit_stays_when_the_filler_raises_its_own(harness: Harness, large_app: App) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (96, 4096))

    assert [7, "96", "4096"] in report(harness, large_app, "demand", preexec_fn=limit)["limit"]


def test_ignored_and_blocked_signals_do_not_stop_the_filler(harness: Harness, gated_app: Gated) -> None:
    """The filler waits for some that a caller may have left ignored or blocked."""

    def prepare() -> None:
        numbers = set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}
        for number in numbers - {32, 33}:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, numbers - {signal.SIGCHLD})

    result = subprocess.run(
        [gated_app.image, "read=1,1,2"], env=harness.environment(truth(gated_app, "demand")), preexec_fn=prepare,
        restore_signals=False, capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert result.stdout == b"right %d\n" % (2 * EVERYTHING)


def test_a_tree_in_use_without_its_lease_is_kept(harness: Harness, large_app: App) -> None:
    """An app that closes every descriptor, and daemonises, still runs in it."""
    go, out = harness.base / "go", harness.base / "report"
    orders = ["probe:daemon", f"probe:wait={go}", f"probe:report={out}"]
    harness.run(harness.door, "run", "--fill", "demand", large_app.bundle, *orders)
    time.sleep(4)
    tree = tree_of(harness)
    assert (tree / "usr/large/noise").read_bytes() == (large_app.appdir / "usr/large/noise").read_bytes()
    go.touch()
    wait_until(out.exists)
    assert parse_report(out.read_bytes())["exe"] == str(tree / "AppRun")
    wait_until(lambda: is_gone(harness), LINGER)


def test_the_terminal_is_not_touched(harness: Harness, gated_app: Gated) -> None:
    terminal = Terminal(harness, gated_app.image, "read=1,1,1", env=truth(gated_app, "background"))
    before = termios.tcgetattr(terminal.leader)
    assert terminal.process.wait(20) == 0
    assert termios.tcgetattr(terminal.leader) == before
    os.close(terminal.leader)
