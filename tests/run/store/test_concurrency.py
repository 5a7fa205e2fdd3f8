"""Many starts at once, pruning meanwhile, and builders that stop or die: threats.md, "Concurrency, crash, clean-up"."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from kit.apps import App
from kit.harness import Harness, Result, environ_of, remove, wait_until
from kit.places import PUBLISHED

DEBUG = {"TMPRUN_LOG": "debug"}


def right(app: App, result: Result) -> bool:
    report = result.report()
    return result.status == 0 and app.sums_seen(report, environ_of(report)["APPDIR"])


def start_many(harness: Harness, app: App, count: int) -> list[Result]:
    started = [harness.start(app.bundle, "probe:report", "probe:sum", env=DEBUG) for _ in range(count)]
    return [harness.finish(process) for process in started]


@pytest.mark.parametrize("count", [64, pytest.param(200, marks=pytest.mark.soak)])
def test_cold_starts_at_once_share_one_extraction(harness: Harness, large_app: App, count: int) -> None:
    results = start_many(harness, large_app, count)
    assert all(right(large_app, result) for result in results)
    assert sum(b"unpacked into" in result.stderr for result in results) == 1
    wait_until(lambda: harness.left()[1:] == [f"tree/{large_app.key}"])


def test_different_apps_at_once(harness: Harness, app: App, large_app: App) -> None:
    both = [app, large_app] * 10
    started = [harness.start(each.bundle, "probe:report", "probe:sum") for each in both]
    assert all(right(each, harness.finish(process)) for each, process in zip(both, started, strict=True))


def prune(harness: Harness, app: App) -> bool:
    """What docs/store.md says of pruning, without the look at processes: that would only make it rarer."""
    entry = harness.shelf("tree") / app.key
    with suppress(FileNotFoundError), ExitStack() as stack:
        for path in (harness.shelf("lock") / app.key, entry / "lease"):
            lock = stack.enter_context(path.open("rb"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        away = harness.shelf("trash") / f"{app.key}.{os.urandom(8).hex()}"
        entry.rename(away)
        remove(away)
        return True
    return False


@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.soak)])
def test_starts_while_everything_is_pruned_again_and_again(in_memory: Harness, app: App, seconds: int) -> None:
    """Each start finds a whole tree, and keeps it while it runs."""
    in_memory.run(app.bundle)
    wrong: list[Result] = []
    threads = [threading.Thread(target=start_until, args=(in_memory, app, seconds, wrong)) for _ in range(3)]
    for thread in threads:
        thread.start()
    pruned = 0
    while any(thread.is_alive() for thread in threads):
        pruned += prune(in_memory, app)
        time.sleep(random.uniform(0, 0.002))
    assert not wrong, wrong[0]
    assert pruned > 5, "nothing was ever pruned"


def start_until(harness: Harness, app: App, seconds: float, wrong: list[Result]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not wrong:
        time.sleep(random.uniform(0, 0.03))
        result = harness.run(app.bundle, "probe:report", "probe:sum", status=None)
        if not right(app, result):
            wrong.append(result)


def test_the_store_is_wiped_while_an_app_runs(harness: Harness, app: App) -> None:
    """As a runtime directory is at logout: the next start builds anew."""
    ready, go = harness.base / "ready", harness.base / "go"
    process = harness.start(app.bundle, f"probe:touch={ready}", f"probe:wait={go}", "probe:print=done")
    wait_until(ready.exists)
    harness.clear()
    assert right(app, harness.run(app.bundle, "probe:report", "probe:sum"))
    go.touch()
    assert harness.finish(process).stdout == b"done\n"


class Builder:
    """A start that was stopped in the middle of unpacking, holding the build lock."""

    def __init__(self, harness: Harness, app: App) -> None:
        self.harness = harness
        stage = harness.shelf("stage")
        for _ in range(50):
            harness.clear()
            self.process = harness.start(app.bundle, "probe:report", "probe:sum", env={"TMPRUN_FILL": "eager"})
            wait_until(lambda: stage.is_dir() and any(stage.iterdir()), step=0.0002)
            self.process.send_signal(signal.SIGSTOP)
            time.sleep(0.02)
            if any(name.startswith("stage/") for name in harness.left()):
                return
            self.finish()
        raise AssertionError("it was always faster than us")

    def finish(self) -> Result:
        self.process.send_signal(signal.SIGCONT)
        return self.harness.finish(self.process)


def test_a_stopped_builder_is_waited_for_with_words(in_memory: Harness, large_app: App) -> None:
    builder = Builder(in_memory, large_app)
    began = time.monotonic()
    waiting = in_memory.start(large_app.bundle, "probe:report", "probe:sum")
    assert waiting.stderr is not None
    line = waiting.stderr.readline()
    assert 0.9 < time.monotonic() - began < 3
    assert line == b"tmprun: waiting for another start of the same app to finish unpacking it\n"
    assert right(large_app, builder.finish())
    result = in_memory.finish(waiting)
    assert right(large_app, result) and result.stderr == b""


@pytest.mark.parametrize("blocked", [signal.SIGALRM, signal.SIGUSR1])
def test_waiting_goes_on_whatever_signals_the_caller_blocks(
    in_memory: Harness, large_app: App, blocked: signal.Signals
) -> None:
    builder = Builder(in_memory, large_app)
    waiting = in_memory.start(
        large_app.bundle,
        "probe:report",
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {blocked}) and None,
        restore_signals=False,
    )
    assert waiting.stderr is not None
    os.set_blocking(waiting.stderr.fileno(), False)
    time.sleep(2)
    line = waiting.stderr.read()
    builder.finish()
    report = in_memory.finish(waiting).report()
    assert line and b"waiting" in line
    assert report["blocked"] == [int(blocked)] and report["pending"] == [] and report["alarm"] == 0


@pytest.mark.soak
def test_waiting_for_a_stopped_builder_ends(in_memory: Harness, large_app: App) -> None:
    """After thirty seconds all who wait build for themselves at once, in each other's sight, and none fails."""
    builder = Builder(in_memory, large_app)
    began = time.monotonic()
    waiting = [in_memory.start(large_app.bundle, "probe:report", "probe:sum") for _ in range(12)]
    results = [in_memory.finish(process, timeout=90) for process in waiting]
    assert 28 < time.monotonic() - began < 60
    assert all(right(large_app, result) for result in results)
    assert {environ_of(result.report())["APPDIR"] for result in results} == {
        f"{in_memory.store}{PUBLISHED}{large_app.key}/tree"
    }
    assert right(large_app, builder.finish())
    assert right(large_app, in_memory.run(large_app.bundle, "probe:report", "probe:sum"))


def test_a_killed_builder_leaves_nothing_behind(in_memory: Harness, large_app: App) -> None:
    builder = Builder(in_memory, large_app)
    builder.process.kill()
    builder.process.communicate()
    assert right(large_app, in_memory.run(large_app.bundle, "probe:report", "probe:sum"))
    wait_until(lambda: [name for name in in_memory.left() if not name.startswith("id/")] == [f"tree/{large_app.key}"])


def test_what_another_apps_builder_left_goes_when_it_is_old(in_memory: Harness, app: App, large_app: App) -> None:
    """A young one may be between making its directory and locking its lease: it is left alone."""
    builder = Builder(in_memory, large_app)
    builder.process.kill()
    builder.process.communicate()
    (stage,) = (in_memory.shelf("stage")).iterdir()
    assert right(app, in_memory.run(app.bundle, "probe:report", "probe:sum"))
    assert stage.exists()
    time.sleep(11 - (time.time() - stage.stat().st_ctime))
    remove_tree(in_memory, app)
    assert right(app, in_memory.run(app.bundle, "probe:report", "probe:sum"))
    assert not stage.exists()


def remove_tree(harness: Harness, app: App) -> None:
    os.rename(harness.shelf("tree") / app.key, harness.base / f"away-{random.random()}")


@pytest.mark.parametrize("rounds", [60, pytest.param(2000, marks=pytest.mark.soak)])
def test_sigkill_at_any_moment(in_memory: Harness, large_app: App, rounds: int) -> None:
    """The next start works, and clears up."""
    chance = random.Random(rounds)
    in_memory.run(large_app.bundle)
    in_memory.clear()
    began = time.monotonic()
    in_memory.run(large_app.bundle, "probe:exit=0")
    whole = time.monotonic() - began
    killed = 0
    for _ in range(rounds):
        in_memory.clear()
        process = in_memory.start(large_app.bundle, "probe:exit=0")
        time.sleep(chance.uniform(0, whole))
        process.kill()
        process.communicate()
        killed += process.returncode != 0
        result = in_memory.run(large_app.bundle, "probe:report", "probe:sum")
        assert right(large_app, result)
        left = [name for name in in_memory.left() if not name.startswith("id/")]
        assert left == [f"tree/{large_app.key}"], result
        in_memory.history.clear()
    assert killed > rounds // 4


def test_a_file_whose_times_lie_starts_all_the_same(harness: Harness, app: App, tmp_path: Path) -> None:
    """1970, before it, and long after us (threats.md, 20)."""
    bundle = Path(shutil.copy(app.bundle, tmp_path / "app"))
    for when in (0, -86400 * 365, 4_000_000_000):
        os.utime(bundle, (when, when))
        time.sleep(0.06)
        for _ in range(2):
            assert right(app, harness.run(bundle, "probe:report", "probe:sum"))
