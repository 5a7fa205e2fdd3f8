"""Some three hundred files made to hurt, in some fifty classes, for bundles and squashfs images alike.

Each is first given to a reader that takes it at its word (kit/naive.py), in a directory of its own: that must be
hurt, or the file shows nothing. Then it is started, extracted and listed by the real program.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from kit import craft, hostile_bundles, hostile_squashfs
from kit.apps import write
from kit.counting import Record, counted
from kit.foreign_images import write_image
from kit.harness import Harness, Result, remove
from kit.hostile import HONEST, Class
from kit.measured import measured
from kit.naive import TERMINAL, harm
from kit.places import VERSION
from kit.terminal import on_a_terminal
from kit.trees import below

SECONDS, MEMORY = 8, 300 << 20
CLASSES = [*hostile_bundles.hostile.classes, *hostile_squashfs.hostile.classes]
NAMES = [f"{each.make.__module__.rpartition('_')[2]}-{each.name}" for each in CLASSES]


@pytest.fixture
def place(in_memory: Harness) -> Iterator[Path]:
    """Where the naive reader works: what is outside of its directory there is nobody's."""
    place = in_memory.base / "naive"
    write(place / "outside" / "sentinel", b"sentinel")
    write(in_memory.work / "outside" / "sentinel", b"sentinel")
    write(in_memory.base / "outside" / "sentinel", b"sentinel")
    yield place
    remove(place)


def image(harness: Harness, data: bytes) -> Path:
    path = harness.base / "hostile"
    path.unlink(missing_ok=True)
    return write_image(path, data) if data.startswith(b"hsqs") else write(path, data, 0o755)


def outside(harness: Harness) -> list[tuple[str, bytes]]:
    """All that there is but what starts and extractions may make."""
    ours = ("store", "cache", "measured", "hostile")
    found = [path for path in below(harness.base) if path.relative_to(harness.base).parts[0] not in ours]
    found = [path for path in found if "squashfs-root" not in path.parts]
    return sorted((str(path), path.read_bytes() if path.is_file() else b"") for path in found)


def made(harness: Harness) -> Iterator[Path]:
    for top in (harness.work / "squashfs-root", *harness.store.glob(f"{VERSION}/*/*/tree")):
        yield from below(top)


def is_harmless(said: bytes) -> bool:
    """Whether a terminal only writes it down."""
    return all(byte >= 32 or byte == 10 for byte in said)


def check(harness: Harness, kind: Class, result: Result, seconds: float, memory: int, *, may_say: bool) -> bool:
    """One command's end: whether it refused the file. `may_say`: it does not look at content, so it need not refuse."""
    assert seconds < SECONDS, str(result)
    assert memory < MEMORY, f"{memory >> 20} MB:\n{result}"
    assert result.status in (0, 1, 126, 127), str(result)
    if result.status:
        text = result.stderr.decode("utf-8", "replace")
        assert text.startswith("tmprun: ") and text.count("\n") == 1, str(result)
    else:
        assert kind.tame or may_say, f"it was taken:\n{result}"
    assert is_harmless(result.stderr), str(result)
    for path in made(harness):
        mode = path.lstat().st_mode
        assert mode & 0o7000 == 0 or stat.S_ISLNK(mode), f"{path}: {mode:o}"
        assert stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode), f"{path}: {mode:o}"
    return result.status != 0


@pytest.mark.parametrize("count", [2, pytest.param(None, marks=pytest.mark.soak)], ids=["some", "all"])
@pytest.mark.parametrize("kind", CLASSES, ids=NAMES)
def test_a_class(in_memory: Harness, place: Path, kind: Class, count: int | None, record_property: Record) -> None:
    """The first two of a class, or all."""
    counts = {"hostile files": 0, "that hurt a naive reader": 0, "refused": 0, "classes": 1}
    before = outside(in_memory)
    for label, data in islice(kind.make(place), count):
        hurt = harm(data, place, HONEST)
        assert hurt & kind.harms, f"{label!r} does nothing: {hurt}"
        remake(in_memory, place)
        path = image(in_memory, data)
        refused = []
        for words_ in ([], ["--appimage-extract"], ["--appimage-list"]):
            ended = measured(in_memory, in_memory.door, path, *words_)
            refused.append(check(in_memory, kind, *ended, may_say=words_ == ["--appimage-list"]))
            assert outside(in_memory) == before, f"{label!r}: {ended[0]}"
        assert "AppRun" not in in_memory.history[-3].stderr.decode() or kind.tame or not refused[0], str(label)
        if TERMINAL in kind.harms:
            assert is_harmless(on_a_terminal(in_memory, in_memory.door, path, "--appimage-extract")), label
            assert is_harmless(on_a_terminal(in_memory, in_memory.door, path, "--appimage-list")), label
        counts["hostile files"] += 1
        counts["that hurt a naive reader"] += 1
        counts["refused"] += refused[0]
        in_memory.clear()
        remove(in_memory.work / "squashfs-root")
        in_memory.history.clear()
    counted(record_property, counts)


def remake(harness: Harness, place: Path) -> None:
    remove(place)
    write(place / "outside" / "sentinel", b"sentinel")


@pytest.mark.parametrize(
    "data", [craft.bundle(*hostile_bundles.honest()), hostile_squashfs.honest()], ids=["bundle", "squashfs"]
)
def test_the_tree_that_does_not_lie_hurts_nobody(in_memory: Harness, place: Path, data: bytes) -> None:
    """The control of the control: what all of them are made from."""
    assert harm(data, place, HONEST) == set()
    path = image(in_memory, data)
    assert in_memory.run(in_memory.door, path).stdout == b"ran\n"
    in_memory.run(in_memory.door, path, "--appimage-extract")
    root = in_memory.work / "squashfs-root"
    assert {name: (root / name).read_bytes() for name in HONEST} == HONEST
    assert os.readlink(root / "link") == "file" if (root / "link").is_symlink() else True


def test_there_are_enough() -> None:
    assert len(CLASSES) >= 40 and TERMINAL in {harm for each in CLASSES for harm in each.harms}
