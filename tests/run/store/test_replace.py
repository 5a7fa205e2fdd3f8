"""A damaged tree is built anew while an app runs in it: whoever opens files by their paths notices nothing."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from kit.apps import noise, write
from kit.harness import Harness, wait_until

from tmprun.pack.pack import pack

FILES = 60


@pytest.fixture
def image(in_memory: Harness) -> Path:
    """An app of 9 MB that says where it is, and stays until a file is there."""
    appdir = in_memory.base / "Reader.AppDir"
    for number in range(FILES):
        write(appdir / "data" / f"{number:02}", noise(150_000, number))
    write(appdir / "AppRun", '#!/bin/sh\necho "$APPDIR"\nwhile [ ! -e "${1:-/}" ]; do sleep 0.02; done\n', 0o755)
    pack(appdir, in_memory.base / "reader", level=1)
    return in_memory.base / "reader"


class Reader(threading.Thread):
    """Opens files of the tree by their paths, again and again; all but the one that was taken."""

    def __init__(self, tree: Path, without: int) -> None:
        super().__init__()
        self.names = [tree / "data" / f"{number:02}" for number in range(FILES) if number != without]
        self.right = {name: noise(150_000, int(name.name)) for name in self.names}
        self.faults: list[str] = []
        self.rounds = 0
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.over.is_set():
            for name in self.names:
                try:
                    if name.read_bytes() != self.right[name]:
                        self.faults.append(f"wrong bytes in {name.name}")
                except OSError as error:
                    self.faults.append(f"{name.name}: {error.strerror}")
            self.rounds += 1

    def finish(self) -> None:
        self.over.set()
        self.join()
        assert self.rounds > 2 and self.faults == []


def clean_away(file: Path) -> None:
    """As a tmp cleaner that is root does."""
    mode = file.parent.stat().st_mode
    file.parent.chmod(0o755)
    file.unlink()
    file.parent.chmod(mode)


def shelf(harness: Harness, name: str) -> list[str]:
    return os.listdir(harness.shelf(name))


@pytest.mark.parametrize("mode", ["eager", "background"])
def test_no_file_is_ever_missing(in_memory: Harness, image: Path, mode: str) -> None:
    settings = {"TMPRUN_FILL": mode, "TMPRUN_LOG": "debug"}
    go = in_memory.base / "go"
    first = in_memory.start(image, go, env=settings)
    assert first.stdout
    tree = Path(os.fsdecode(first.stdout.readline().strip()))
    wait_until((tree.parent / "watch").exists)
    before = tree.stat().st_ino
    reader = Reader(tree, without=7)
    for _ in range(3):
        clean_away(tree / "data" / "07")
        second = in_memory.run(image, env=settings)
        assert second.stdout == b"%s\n" % os.fsencode(tree) and b"the tree that it replaces is in use" in second.stderr
        assert (tree / "data" / "07").read_bytes() == noise(150_000, 7)
    reader.finish()
    assert tree.stat().st_ino != before and shelf(in_memory, "stage") == []
    # The first app's stays. Of the others, one whose helpers had not quite ended may lie there until the next start.
    assert before in [os.stat(in_memory.shelf("trash") / name / "tree").st_ino for name in shelf(in_memory, "trash")]
    go.touch()
    first.wait(10)
    clean_away(tree / "data" / "07")
    in_memory.run(image, env=settings)
    assert shelf(in_memory, "trash") == []


def test_an_idle_tree_is_not_kept_beside_the_new_one(in_memory: Harness, image: Path) -> None:
    settings = {"TMPRUN_FILL": "background", "TMPRUN_LOG": "debug"}
    tree = Path(os.fsdecode(in_memory.run(image, env=settings | {"TMPRUN_FILL": "eager"}).stdout.strip()))
    clean_away(tree / "data" / "07")
    again = in_memory.run(image, env=settings)
    assert b"the rest while it runs" in again.stderr and shelf(in_memory, "trash") == []


def test_what_is_in_use_is_left_alone_without_room_for_two(in_memory: Harness, image: Path) -> None:
    """The limit on a file's size stands for a full file system: the new one fails, and the old one keeps its name."""
    go = in_memory.base / "go"
    first = in_memory.start(image, go, env={"TMPRUN_FILL": "eager"})
    assert first.stdout
    tree = Path(os.fsdecode(first.stdout.readline().strip()))
    clean_away(tree / "data" / "07")
    before = tree.stat().st_ino
    second = in_memory.run("sh", "-c", 'ulimit -f 100; trap "" XFSZ; exec "$0"', image, status=None)
    assert second.status == 127 and tree.stat().st_ino == before and shelf(in_memory, "stage") == []
    go.touch()
    first.wait(10)


def test_killed_between_exchange_and_trash(in_memory: Harness, image: Path) -> None:
    """The old tree then lies in the stage: it stays while it is in use, and whoever builds next deletes it."""
    go = in_memory.base / "go"
    eager = {"TMPRUN_FILL": "eager"}
    first = in_memory.start(image, go, env=eager)
    assert first.stdout
    tree = Path(os.fsdecode(first.stdout.readline().strip()))
    before = tree.stat().st_ino
    clean_away(tree / "data" / "07")
    # The first rename names the new tree's watch list, the second would move the old tree.
    inject = ["strace", "-o", "/dev/null", "-e", "trace=renameat", "-e", "inject=renameat:signal=KILL:when=2"]
    assert in_memory.run(*inject, image, env=eager, status=None).status == -signal.SIGKILL
    (staged,) = shelf(in_memory, "stage")
    assert (in_memory.shelf("stage") / staged / "tree").stat().st_ino == before
    assert (tree / "data" / "07").read_bytes() == noise(150_000, 7)
    clean_away(tree / "data" / "07")
    in_memory.run(image, env=eager)
    assert shelf(in_memory, "stage") == [staged]
    go.touch()
    first.wait(10)
    clean_away(tree / "data" / "07")
    in_memory.run(image, env=eager)
    assert shelf(in_memory, "stage") == shelf(in_memory, "trash") == []
