"""Whoever starts or fills is killed at each of its calls: nobody reads a wrong byte, and the next start is right."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice, zip_longest
from pathlib import Path

import pytest
from kit.counting import Record, counted
from kit.gating import Gated, compile_reader, gated_image, helpers, little_bundle, truth
from kit.harness import Harness, Result, make_writable, wait_until
from kit.store_layout import EVERYTHING
from kit.tracing import calls, strace
from kit.trees import below

from tmprun.store.prune import prune
from tmprun.store.shelves import Root

# The first of a process is strace's own, and the last is the app.
LEFT_OUT = {"execve", "exit", "exit_group"}
# Seconds. Each helper that replaces another is killed at the same call; then nobody kills any more.
PATIENCE = 2
HELPERS_KILLED = b": what fills its files was killed; start it again\n"


@dataclass(frozen=True)
class Scene:
    """A start of `image` in one mode, from a store that `before` has prepared."""

    name: str
    image: Gated
    mode: str
    before: Callable[[Harness, Scene], None]

    @property
    def is_foreign(self) -> bool:
        return self.image.image.suffix == ".AppImage"

    def right(self) -> bytes:
        """What the app says when it has read each of its files and found what is in the AppDir."""
        return b"right %d\n" % sum(path.is_file() and not path.is_symlink() for path in below(self.image.appdir))

    def words(self, harness: Harness) -> tuple[str | Path, ...]:
        return (harness.door, self.image.image, "read=1,1,1")

    def environment(self) -> dict[str, str | None]:
        return truth(self.image, self.mode)


def nothing(harness: Harness, scene: Scene) -> None:
    """A store without the app."""
    harness.clear()


def cleaned(harness: Harness, scene: Scene) -> None:
    """A tmp cleaner has taken a file from a tree that is in use, so that the next start exchanges the tree."""
    harness.clear()
    harness.run(*scene.words(harness), env=scene.environment() | {"TMPRUN_FILL": "eager"})
    (tree,) = harness.shelf("tree").glob("*/tree")
    make_writable(tree)
    (tree / "usr/share/large").unlink()


def scenes(bundle: Gated, foreign: Gated) -> list[Scene]:
    return [
        Scene("a bundle unpacked first", bundle, "eager", nothing),
        Scene("a bundle filled behind its app", bundle, "background", nothing),
        Scene("an AppImage filled behind its app", foreign, "background", nothing),
        Scene("an AppImage unpacked first", foreign, "eager", nothing),
        Scene("a tree built again", bundle, "eager", cleaned),
    ]


def places(harness: Harness, scene: Scene) -> list[tuple[str, int]]:
    """Each call by name and number: the most that one thread makes of it, helpers' threads included."""
    log = harness.base / "trace"
    scene.before(harness, scene)
    harness.run(*strace(log), *scene.words(harness), env=scene.environment())
    by_thread = Counter((call.pid, call.name) for call in calls(log))
    most: Counter[str] = Counter()
    for (_, name), count in by_thread.items():
        most[name] = max(most[name], count)
    return [(name, number) for name, count in most.items() if name not in LEFT_OUT for number in range(1, count + 1)]


def points(harness: Harness, found: list[Scene], count: int) -> Iterator[tuple[Scene, str, int]]:
    """So many of all scenes' places, call by call in turn: none that is made a thousand times hides the others.

    When there are no more, once more from the beginning: what the other processes do meanwhile is never the same.
    """
    chance = random.Random(count)
    by_call: dict[tuple[str, str], list[tuple[Scene, str, int]]] = {}
    for scene in found:
        for name, number in places(harness, scene):
            by_call.setdefault((scene.name, name), []).append((scene, name, number))
    calls_made = list(by_call.values())
    chance.shuffle(calls_made)
    for each in calls_made:
        chance.shuffle(each)
    in_turn = [place for turn in zip_longest(*calls_made) for place in turn if place]
    return islice(cycle(in_turn), count)


def kill_at(harness: Harness, scene: Scene, name: str, number: int) -> Result:
    scene.before(harness, scene)
    harness.history.clear()
    spoil = [f"--trace={name}", f"--inject={name}:signal=KILL:when={number}"]
    process = harness.start(*strace(Path("/dev/null"), *spoil), *scene.words(harness), env=scene.environment())
    try:
        return harness.finish(process, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return harness.finish(process)
    finally:
        harness.started.clear()


def check(harness: Harness, scene: Scene, killed: Result, sampled: bool) -> None:
    """The app read its own bytes or none; the next start is right; and when nobody uses it, all of it can go."""
    assert b"wrong" not in killed.stdout and b"failed" not in killed.stdout, str(killed)
    if killed.status == 127:  # both helpers, each at the first such call of its own, between its going and its exec
        assert HELPERS_KILLED in killed.stderr and not killed.stdout, str(killed)
    else:
        assert killed.status in (0, -signal.SIGKILL, 128 + signal.SIGKILL), str(killed)
    again = harness.run(*scene.words(harness), env=scene.environment())
    assert again.stdout == scene.right(), f"after {killed}:\n{again}"
    wait_until(lambda: not helpers(harness.store))
    left = [name for name in harness.left() if name.startswith("tree/")]
    # An AppImage has a provisional tree until it is hashed; what was killed in between leaves that one to prune.
    assert len(left) in ((1, 2) if scene.is_foreign else (1,)), f"{left} left after {killed}"
    # It costs more than all the rest.
    if sampled:
        prune([Root(str(harness.store), "tmpfs", True, "")], EVERYTHING)
        # Prune leaves alone a stage of under a minute, whose builder may be about to lock it; the next build does not.
        if harness.left():
            assert all(name.startswith("stage/") for name in harness.left()), f"{harness.left()} left after {killed}"
            if scene.is_foreign:  # the stage of a provisional key is another app's to it, and goes when it is older
                return
            harness.run(*scene.words(harness), env=scene.environment())
            wait_until(lambda: not any(name.startswith(("stage/", "trash/")) for name in harness.left()))


@pytest.mark.parametrize("count", [40, pytest.param(5_000, marks=pytest.mark.soak)])
def test_killed_at_any_call_of_anybody(in_memory: Harness, shared: Path, count: int, record_property: Record) -> None:
    little = little_bundle(shared / "little", compile_reader(shared))
    foreign = gated_image(little, little.image.with_name("little.AppImage"))
    counts: Counter[str] = Counter()
    for scene, name, number in points(in_memory, scenes(little, foreign), count):
        killed = kill_at(in_memory, scene, name, number)
        check(in_memory, scene, killed, sampled=counts["kill points"] % 8 == 0)
        counts["kill points"] += 1
        counts["that ended the app or its start"] += killed.status != 0
        shutil.rmtree(in_memory.base / "cache")
        (in_memory.base / "cache").mkdir(mode=0o700)
    counted(record_property, counts)
    assert counts["kill points"] == count
    assert counts["that ended the app or its start"] > count // 5, counts
