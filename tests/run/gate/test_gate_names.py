"""Names are made by several threads at once, and directories finished as soon as they hold all that they will."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest
from kit.apps import SETTLED, write
from kit.gating import Gated, compile_reader, only, tree_of, truth
from kit.harness import Harness, wait_until
from kit.trees import below

from tmprun.pack.pack import pack


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Gated:
    """A directory with more names than one thread makes at once, very many directories, deep ones, and
    directories that get something later, which are programs and hard links."""
    into = tmp_path_factory.mktemp("names")
    appdir, reader = into / "Names.AppDir", compile_reader(into)
    write(appdir / "AppRun", reader.read_bytes(), 0o755)
    for number in range(1000):
        write(appdir / "many" / f"{number:04}", b"%d" % number * 50)
    for number in range(300):
        write(appdir / "wide" / f"{number:03}" / "in" / "file", b"%d" % number * 9)
        (appdir / "wide" / f"{number:03}" / "empty").mkdir()
        (appdir / "wide" / f"{number:03}" / "link").symlink_to("in/file")
    write(appdir / "/".join(["deep"] * 60) / "file", "at the end")
    write(appdir / "late" / "program", reader.read_bytes() + b"more", 0o755)
    (appdir / "late" / "linked").mkdir()
    os.link(appdir / "many" / "0007", appdir / "late" / "linked" / "hard")
    for number, path in enumerate(sorted(below(appdir), reverse=True)):
        os.utime(path, (1_400_000_000 + number, 1_400_000_000 + number), follow_symlinks=False)
    os.utime(appdir, (1_300_000_000, 1_300_000_000))
    pack(appdir, into / "names", level=1)
    time.sleep(SETTLED)
    for path in (into, into.parent, into.parent.parent):
        path.chmod(path.stat().st_mode | 0o055)  # for the other user
    return Gated(into / "names", appdir, frozenset())


@pytest.mark.parametrize("ordinary", [False, True], ids=["as root", "as a user"])
@pytest.mark.parametrize("processors", [1, 2])
def test_all_names_are_there_and_as_they_should_be(
    in_memory: Harness, nobody: int, image: Gated, ordinary: bool, processors: int
) -> None:
    """A user cannot put anything into a directory that has lost its write bit."""
    appdir = image.appdir
    ready, go = in_memory.work / "ready", in_memory.work / "go"
    user = {"user": nobody, "group": nobody, "extra_groups": []} if ordinary else {}
    if ordinary:
        for name in ("home", "work", "cache"):
            os.chown(in_memory.base / name, nobody, nobody)
        in_memory.base.chmod(0o755)
        in_memory.store.mkdir(mode=0o700, exist_ok=True)
        os.chown(in_memory.store, nobody, nobody)
    allowed = sorted(os.sched_getaffinity(0))[:processors]
    confined = ["taskset", "-c", ",".join(map(str, allowed))]
    command = [*confined, in_memory.door, image.image, f"touch={ready}", f"wait={go}"]
    process = in_memory.start(*command, env=truth(image, "demand"), **user)
    wait_until(lambda: ready.exists() or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    tree = tree_of(in_memory)
    for path in [appdir, *below(appdir)]:
        here, expected = (tree / path.relative_to(appdir)).lstat(), path.lstat()
        assert here.st_mtime == expected.st_mtime, str(path)
        if not path.is_symlink():
            program = path.is_file() and path.read_bytes()[:4] == b"\x7fELF"
            assert stat.S_IMODE(here.st_mode) == expected.st_mode & (0o555 if program else 0o777), str(path)
        if not path.is_dir():
            assert here.st_size == expected.st_size, str(path)
    assert len(below(tree)) == len(below(appdir))
    assert (tree / "late" / "linked" / "hard").samefile(tree / "many" / "0007")
    assert (tree / "late" / "program").read_bytes() == (appdir / "late" / "program").read_bytes()
    go.touch()
    in_memory.finish(process)


@pytest.mark.parametrize("mode", ["eager", "background", "demand"])
def test_the_processors_are_the_callers(harness: Harness, image: Gated, mode: str) -> None:
    """Threads are moved away from where they were started; none is bound to a processor, least of all the app."""
    ready, go = harness.work / "ready", harness.work / "go"
    command = [harness.door, image.image, f"touch={ready}", f"wait={go}"]
    process = harness.start(*command, env=truth(image, mode))
    wait_until(ready.exists)
    allowed = os.sched_getaffinity(0)
    assert os.sched_getaffinity(process.pid) == allowed
    if mode == "demand":
        tasks = list(Path(f"/proc/{only(harness.store, 'filler').pid}/task").iterdir())
        assert len(tasks) > 1
        assert all(os.sched_getaffinity(int(task.name)) == allowed for task in tasks)
    go.touch()
    harness.finish(process)
