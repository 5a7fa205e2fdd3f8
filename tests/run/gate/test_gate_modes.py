"""Every way to fill a tree gives the app the bytes of the image (docs/how-it-works.md)."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit.apps import App
from kit.gating import EVERYTHING, LINGER, Gated, helpers, is_complete, is_gone, only, tree_of, truth, unfilled
from kit.harness import Harness, wait_until

MODES = ["eager", "background", "demand"]


@pytest.mark.parametrize("mode", MODES)
def test_random_readers_get_the_images_bytes(harness: Harness, image: Gated, mode: str) -> None:
    for seed in range(4):
        harness.clear()
        result = harness.run(harness.door, "run", "--fill", mode, image.image, f"read={seed},3,3", env=truth(image))
        assert result.stdout == b"right %d\n" % (3 * EVERYTHING) * 3


def test_background_ends_in_a_published_tree(harness: Harness, image: Gated, door_with_python: Path) -> None:
    go = harness.base / "go"
    process = harness.start(harness.door, image.image, f"wait={go}", "read=1,1,1", env=truth(image, "background"))
    wait_until(lambda: harness.shelf("tree").is_dir() and any(harness.shelf("tree").iterdir()))
    wait_until(lambda: is_complete(harness))
    assert unfilled(tree_of(harness)) == frozenset()
    assert b"intact" in harness.run(door_with_python, "cache", "verify", image.image).stdout
    go.touch()
    assert harness.finish(process).stdout == b"right %d\n" % EVERYTHING


def test_the_next_start_is_warm(harness: Harness, image: Gated) -> None:
    first = harness.run(harness.door, image.image, env=truth(image, "background"))
    assert b"the rest while it runs" in first.stderr
    wait_until(lambda: is_complete(harness))
    second = harness.run(harness.door, image.image, "read=1,1,1", env=truth(image, "demand"))
    assert b"unpacked" not in second.stderr
    assert second.stdout == b"right %d\n" % EVERYTHING
    assert not helpers(harness.store)


def test_demand_fills_only_what_is_opened(harness: Harness, image: Gated) -> None:
    ready, go = harness.base / "ready", harness.base / "go"
    words = ["open=usr/lib/lib3.so.3", "open=usr/share/text2/09", f"touch={ready}", f"wait={go}"]
    process = harness.start(harness.door, image.image, *words, env=truth(image, "demand"))
    wait_until(ready.exists)
    tree = tree_of(harness)
    assert unfilled(tree) == image.gated - {"usr/lib/lib3.so.3", "usr/share/text2/09"}
    assert not (tree.parent / "watch").exists()
    go.touch()
    assert harness.finish(process).stdout == b"right 1\n" * 2
    wait_until(lambda: is_gone(harness), LINGER)


def test_a_second_start_joins_the_filler(harness: Harness, image: Gated) -> None:
    go, done = harness.base / "go", harness.base / "done"
    words = [harness.door, image.image]
    first = harness.start(*words, "open=usr/share/large", f"touch={go}", f"wait={done}", env=truth(image, "demand"))
    wait_until(go.exists)
    tree, filler = tree_of(harness), only(harness.store, "filler")
    second = harness.run(*words, "env=APPDIR", "open=usr/lib/lib1.so.1", env=truth(image, "demand"))
    assert second.stdout.decode() == f"env {tree}\nright 1\n"
    assert b"unpacked" not in second.stderr
    assert tree_of(harness) == tree and helpers(harness.store, "filler") == [filler]
    third = harness.start(*words, "sleep=4", "read=7,2,2", env=truth(image, "demand"))
    wait_until(lambda: len(list_leases(tree)) == 2)
    done.touch()
    assert harness.finish(first).stdout == b"right 1\n"
    assert harness.finish(third).stdout == b"right %d\n" % (2 * EVERYTHING) * 2


def list_leases(tree: Path) -> list[str]:
    """The processes, by number, that hold the tree's lease."""
    lease = str(tree.parent / "lease")
    found = []
    for fds in Path("/proc").glob("[0-9]*/fd"):
        try:
            if any(str(fd.readlink()) == lease for fd in fds.iterdir()):
                found.append(fds.parent.name)
        except OSError:
            continue
    return found


def test_the_option_is_stronger_than_the_variable(harness: Harness, gated_app: Gated) -> None:
    harness.run(harness.door, "run", "--fill", "eager", gated_app.image, env=truth(gated_app, "demand"))
    assert is_complete(harness)


@pytest.mark.parametrize("words", [["--fill", "lazy"], []])
def test_an_unknown_way_is_refused(harness: Harness, gated_app: Gated, words: list[str]) -> None:
    result = harness.run(harness.door, "run", *words, gated_app.image, env={"TMPRUN_FILL": "lazily"}, status=None)
    harness.refused(result, "auto, eager, background and demand", status=127)


def test_what_is_small_is_unpacked_at_once(harness: Harness, app: App) -> None:
    result = harness.run(app.bundle, env={"TMPRUN_LOG": "debug"})
    assert b"unpacking everything first: it is small" in result.stderr
    assert is_complete(harness)


def test_what_is_large_is_gated_by_itself(harness: Harness, gated_app: Gated) -> None:
    result = harness.run(gated_app.image, "read=1,1,1", env=truth(gated_app))
    assert b"the rest while it runs" in result.stderr
    assert result.stdout == b"right %d\n" % EVERYTHING


def test_the_same_image_in_two_stores_is_filled_twice(harness: Harness, gated_app: Gated) -> None:
    """Each filler sees its own users only: neither keeps the other alive."""
    other = harness.base / "other"
    for store in (harness.store, other):
        settings = truth(gated_app, "demand") | {"TMPRUN_STORE": str(store)}
        assert harness.run(gated_app.image, "open=usr/share/large", env=settings).stdout == b"right 1\n"
    assert len(helpers(harness.store, "filler")) == len(helpers(other, "filler")) == 1
    wait_until(lambda: is_gone(harness) and not helpers(other), LINGER)


def test_a_tree_being_filled_is_no_damaged_one(harness: Harness, gated_app: Gated) -> None:
    """Verifying opens every file, and so waits for it."""
    go = harness.base / "go"
    process = harness.start(gated_app.image, f"wait={go}", "read=1,1,1", env=truth(gated_app, "demand"))
    filler = only(harness.store, "filler")
    wait_until(lambda: any(harness.shelf("tree").iterdir()))
    harness.run(harness.door, "run", "--verify", gated_app.image, env=truth(gated_app, "demand"))
    go.touch()
    assert harness.finish(process).stdout == b"right %d\n" % EVERYTHING
    assert not helpers(harness.store) or helpers(harness.store, "filler") == [filler]


def test_what_is_only_built_stays(harness: Harness, gated_app: Gated) -> None:
    """`tmprun cache path` names a tree that nobody runs in yet."""
    harness.run(harness.door, "@build", gated_app.image, env=truth(gated_app, "demand"))
    assert is_complete(harness)
