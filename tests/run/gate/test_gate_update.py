"""An image that is written over while files of it are missing: the writer waits until they are there."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from kit.apps import SETTLED, noise, write
from kit.gating import EVERYTHING, LINGER, Gated, copy_of, helpers, only, truth
from kit.harness import Harness, wait_until

RIGHT = b"right %d\n" % EVERYTHING


@pytest.fixture
def image(tmp_path: Path, gated_app: Gated) -> Gated:
    """A copy that may be spoilt."""
    return copy_of(gated_app, tmp_path / "copy")


class Updated:
    """An app that has started with its files missing, and goes on when it is told to; and what its image becomes."""

    def __init__(self, harness: Harness, image: Gated, mode: str) -> None:
        self.harness, self.image = harness, image.image
        ready, self.gate = harness.base / "ready", harness.base / "go"
        self.new = write(harness.base / "new", noise(30_000_000, 5))
        orders = [f"touch={ready}", f"wait={self.gate}", "read=1,2,2"]
        self.process = harness.start(harness.door, self.image, *orders, env=truth(image, mode))
        wait_until(ready.exists)

    def copy(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["cp", self.new, self.image])

    def check(self, copying: subprocess.Popen[bytes]) -> None:
        assert copying.wait(20) == 0
        self.gate.touch()
        assert self.harness.finish(self.process).stdout == b"right %d\n" % (2 * EVERYTHING) * 2
        assert self.image.read_bytes() == self.new.read_bytes()
        wait_until(lambda: not helpers(self.harness.store), LINGER)


@pytest.mark.parametrize("mode", ["background", "demand"])
def test_a_copy_over_the_image_waits_for_what_is_missing(harness: Harness, image: Gated, mode: str) -> None:
    app = Updated(harness, image, mode)
    app.check(app.copy())


def kill_filler(store: Path) -> None:
    only(store, "filler").send(signal.SIGKILL)


def kill_guard(store: Path) -> None:
    guard = only(store, "guard")
    guard.send(signal.SIGKILL)
    wait_until(lambda: only(store, "guard") != guard)


def kill_one_after_the_other(store: Path) -> None:
    kill_guard(store)
    filler = only(store, "filler")
    filler.send(signal.SIGKILL)
    wait_until(lambda: only(store, "filler") != filler)
    kill_guard(store)


@pytest.mark.parametrize("kill", [kill_filler, kill_guard, kill_one_after_the_other])
def test_the_lease_survives_the_death_of_a_helper(harness: Harness, image: Gated, kill: Callable[[Path], None]) -> None:
    app = Updated(harness, image, "demand")
    kill(harness.store)
    app.check(app.copy())


def test_a_filler_is_killed_while_a_writer_waits(harness: Harness, image: Gated) -> None:
    app = Updated(harness, image, "demand")
    filler = only(harness.store, "filler")
    filler.send(signal.SIGSTOP)
    copying = app.copy()
    time.sleep(0.2)
    assert copying.poll() is None
    assert app.image.stat().st_size < app.new.stat().st_size
    filler.send(signal.SIGKILL)
    app.check(copying)


def test_who_does_not_wait_for_the_image_does_no_harm(harness: Harness, image: Gated) -> None:
    """touch opens it with O_NONBLOCK; the next writer waits as well."""
    app = Updated(harness, image, "demand")
    subprocess.run(["touch", app.image], check=True)
    with pytest.raises(BlockingIOError):
        os.close(os.open(app.image, os.O_WRONLY | os.O_NONBLOCK))
    time.sleep(1.2)  # two rounds of the filler's
    filler = only(harness.store, "filler")
    filler.send(signal.SIGSTOP)
    copying = app.copy()
    time.sleep(0.2)
    assert copying.poll() is None
    filler.send(signal.SIGCONT)
    app.check(copying)


def test_what_cannot_be_had_ends_the_app_before_the_image_changes(harness: Harness, image: Gated) -> None:
    spoilt = bytearray(image.image.read_bytes())
    spoilt[len(spoilt) // 2] ^= 1
    image.image.write_bytes(spoilt)
    time.sleep(SETTLED)
    app = Updated(harness, image, "demand")
    states: list[int | None] = []

    def overwrite() -> None:
        with image.image.open("r+b"):
            states.append(app.process.poll())

    writer = Thread(target=overwrite)
    writer.start()
    writer.join(20)
    assert states == [-signal.SIGKILL]
    result = harness.finish(app.process)
    assert b"its image is being overwritten" in result.stderr, str(result)
    wait_until(lambda: not helpers(harness.store), LINGER)
