"""The first start ever of an image goes before it is hashed; digests are made behind the app (docs/how-it-works.md)."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from kit.apps import SETTLED
from kit.gating import EVERYTHING, LINGER, Gated, copy_of, helpers, is_complete, is_gone, only, tree_of, truth
from kit.harness import Harness, Result, wait_until
from kit.real_images import LINUXDEPLOY
from kit.tracing import calls, strace

ENDED = b"the app was ended, since a file of it cannot be unpacked: "
DEBUG = {"TMPRUN_LOG": "debug"}
READ = re.compile(r"^\d+<(?P<path>[^>]*)>.* = (?P<bytes>\d+)$")


@pytest.fixture
def image(tmp_path: Path, gated_foreign: Gated) -> Gated:
    """A copy that nobody has seen, and that may be spoilt."""
    return copy_of(gated_foreign, tmp_path / "never seen.AppImage")


def content_key(harness: Harness, image: Gated) -> str:
    """The name of the image's tree once it was hashed."""
    return hashlib.sha256(harness.run(harness.door, "@index", image.image).stdout).hexdigest()


def key_of_tree(harness: Harness) -> str:
    return tree_of(harness).parent.name


def run(harness: Harness, image: Gated, *orders: str, mode: str = "background", status: int | None = 0) -> Result:
    return harness.run(harness.door, image.image, *orders, env=truth(image, mode), status=status)


def test_little_is_read_before_the_app_runs(harness: Harness, image: Gated) -> None:
    """The tables, and the programs and scripts, which are never gated; on demand, that is all there is to see."""
    log = harness.base / "log"
    command = [*strace(log), harness.door, image.image, "open=usr/share/text1/01"]
    assert harness.run(*command, env=truth(image, "demand")).stdout == b"right 1\n"
    size = image.image.stat().st_size
    reads = [READ.match(call.rest) for call in calls(log) if call.name in ("read", "pread64")]
    ours = sum(int(found["bytes"]) for found in reads if found and found["path"] == str(image.image))
    programs = sum(path.stat().st_size for path in (image.appdir / "usr/bin").iterdir()) + 2 * (128 << 10)
    assert 0 < ours < (2 << 20) + programs < size


def test_digests_are_made_behind_the_app(harness: Harness, door_with_python: Path, image: Gated) -> None:
    assert run(harness, image, "read=1,2,1").stdout == b"right %d\n" % EVERYTHING * 2
    wait_until(lambda: is_complete(harness), LINGER)
    first = key_of_tree(harness)
    digest = hashlib.sha256(image.image.read_bytes()).hexdigest()
    kept = harness.kept("image") / f"{digest}.index"
    wait_until(kept.exists)
    assert kept.read_bytes() == harness.run(harness.door, "@index", image.image).stdout
    assert [os.readlink(link) for link in harness.kept("known").iterdir()] == [f"{digest}.index"]
    # The entry's own index is that one now, so that whoever looks for the image's tree finds it.
    assert (tree_of(harness).parent / "index").read_bytes() == kept.read_bytes()
    (found,) = json.loads(harness.run(door_with_python, "cache", "verify", "--json", image.image).stdout)
    assert (found["result"], found["differences"]) == ("intact", [])
    told = json.loads(harness.run(door_with_python, "info", "--json", image.image).stdout)
    assert told["cached"] == str(tree_of(harness)) and told["trace"]["files"] > 0
    # Warm, as long as that tree is there; and by its content from then on.
    assert b"unpacked into" not in run(harness, image, "open=usr/share/large").stderr
    harness.clear()
    again = run(harness, image, "open=usr/share/large")
    assert b"nothing is known" not in again.stderr and b"unpacked into" in again.stderr
    wait_until(lambda: is_complete(harness), LINGER)
    assert key_of_tree(harness) == content_key(harness, image) != first


@pytest.mark.parametrize("how", ["eager", "verify", "fresh", "@build"])
def test_hashed_first_where_that_must_be(harness: Harness, image: Gated, how: str) -> None:
    """Where all is read anyway, where somebody asks for certainty, and where times could not tell of a change."""
    if how == "verify":
        harness.run(harness.door, "run", "--verify", image.image, "open=usr/hard", env=truth(image, "background"))
    elif how == "@build":
        harness.run(harness.door, "@build", image.image)
    else:
        if how == "fresh":
            image.image.touch()
        run(harness, image, "open=usr/hard", mode="eager" if how == "eager" else "background")
        if how == "fresh" and time.time() - image.image.stat().st_ctime > 2:
            pytest.fail("this machine is too slow to show anything")
    wait_until(lambda: not helpers(harness.store), LINGER)
    assert key_of_tree(harness) == content_key(harness, image)


def test_hashed_before_the_app_where_it_cannot_be_gated(harness: Harness, door_with_python: Path, image: Gated) -> None:
    """It was found out too late for hashing it first; its tree is found by its content all the same."""
    command = ["prlimit", "--nofile=40:40", harness.door, image.image, "open=usr/hard"]
    done = harness.run(*command, env=truth(image, "background"))
    assert b"unpacking everything first: " in done.stderr
    assert (tree_of(harness).parent / "index").read_bytes() == harness.run(harness.door, "@index", image.image).stdout
    (found,) = json.loads(harness.run(door_with_python, "cache", "verify", "--json", image.image).stdout)
    assert (found["result"], found["differences"]) == ("intact", [])
    assert b"unpacked into" not in run(harness, image, "open=usr/share/large").stderr


def test_a_file_that_was_fresh_has_one_tree(harness: Harness, image: Gated) -> None:
    """What was hashed first is not remembered by its identity; the next start hashes again, for the same tree."""
    image.image.touch()
    run(harness, image, "open=usr/hard")
    wait_until(lambda: is_complete(harness), LINGER)
    time.sleep(0.1)
    assert b"unpacked into" not in run(harness, image, "open=usr/hard").stderr
    assert key_of_tree(harness) == content_key(harness, image)


class Waiting:
    """An app on demand that waits for a word, of an image that somebody has had open to write all the time."""

    def __init__(self, harness: Harness, image: Gated, *orders: str) -> None:
        self.harness, self.go = harness, harness.base / f"go {image.image.name}"
        ready = harness.base / f"ready {image.image.name}"
        words = [harness.door, image.image, f"touch={ready}", f"wait={self.go}", *orders]
        self.process = harness.start(*words, env=truth(image, "demand"))
        wait_until(ready.exists)

    def result(self) -> Result:
        self.go.touch()
        return self.harness.finish(self.process)


@pytest.mark.parametrize("change", ["one byte", "cut short", "one byte, and its time put back"])
def test_an_image_that_changes_ends_the_app(harness: Harness, image: Gated, change: str) -> None:
    """No digest could tell, so any change does, wherever in the file it was."""
    before = image.image.stat()
    with image.image.open("r+b") as file:  # so there is no lease that would keep the writer waiting
        app = Waiting(harness, image, "open=usr/share/large")
        if change == "cut short":
            file.truncate(before.st_size // 2)
        else:
            file.seek(100)
            file.write(b"X")
            file.flush()
        if "put back" in change:
            os.utime(image.image, ns=(before.st_atime_ns, before.st_mtime_ns))
    result = app.result()
    assert result.status == -signal.SIGKILL and b"wrong" not in result.stdout and ENDED in result.stderr, str(result)
    wait_until(lambda: is_gone(harness), LINGER)


def test_an_image_that_is_replaced_does_not_matter(harness: Harness, image: Gated) -> None:
    app = Waiting(harness, image, "read=1,1,1")
    (harness.base / "other").write_bytes(b"another file")
    (harness.base / "other").rename(image.image)
    assert app.result().stdout == b"right %d\n" % EVERYTHING


@pytest.mark.parametrize("what", ["mv {0} {0}.old", "chmod 700 {0}", "touch {0}", "ln {0} {0}.link", "rm {0}"])
def test_what_does_not_change_the_content_does_not_matter(harness: Harness, image: Gated, what: str) -> None:
    """A lease of ours says that nobody has written to it, whatever its times say."""
    app = Waiting(harness, image, "read=1,1,1")
    subprocess.run(["sh", "-c", what.format("'" + str(image.image) + "'")], check=True)
    time.sleep(0.3)
    assert app.result().stdout == b"right %d\n" % EVERYTHING


def test_a_writer_waits_until_all_is_there(harness: Harness, image: Gated) -> None:
    app = Waiting(harness, image, "read=1,1,1")
    with image.image.open("r+b") as file:  # this waits
        file.write(b"X" * 100)
    assert app.result().stdout == b"right %d\n" % EVERYTHING


def test_two_files_with_the_same_tables_have_two_trees(harness: Harness, image: Gated) -> None:
    """Before they are hashed nothing but the file itself tells them apart."""
    other = copy_of(image, image.image.with_name("other"))
    apps = [Waiting(harness, each, "open=usr/hard") for each in (image, other)]
    assert len(list(harness.shelf("tree").iterdir())) == 2
    assert [app.result().stdout for app in apps] == [b"right 1\n"] * 2


def test_a_filler_that_is_killed_leaves_nothing_wrong(harness: Harness, image: Gated) -> None:
    app = Waiting(harness, image, "read=1,1,1")
    for kind in ("filler", "filler"):
        killed = only(harness.store, kind)
        killed.send(signal.SIGKILL)
        wait_until(lambda killed=killed: only(harness.store, "filler") != killed)
    assert app.result().stdout == b"right %d\n" % EVERYTHING
    wait_until(lambda: is_gone(harness) or is_complete(harness), LINGER)
    assert run(harness, image, "read=2,1,1").stdout == b"right %d\n" % EVERYTHING


def test_what_was_parsed_is_what_is_hashed(harness: Harness, linuxdeploy: Path) -> None:
    """On a tmpfs a write through a mapping changes no time: only that the bytes differ tells of it.

    It comes between the reading of the tables and the hashing of the file, while we are stopped.
    """
    with TemporaryDirectory(dir="/dev/shm") as memory:
        path = Path(shutil.copy(linuxdeploy, memory))
        time.sleep(SETTLED)
        payload, log = LINUXDEPLOY.payload, harness.base / "log"
        command = [harness.door, "@build", "--fill", "eager", "--", path]
        env = {"XDG_CACHE_HOME": str(harness.base / "unknown")}
        harness.run(*strace(log, "-e", "trace=pread64"), *command, env=env)
        reads = [call.rest for call in calls(log) if f"<{path}>" in call.rest]
        before = next(at for at, rest in enumerate(reads) if re.search(r", [0-9]{5,}, 0\) = ", rest))
        assert any(f", {payload}) = 96" in rest for rest in reads[:before])  # the superblock, among others
        harness.clear()
        shutil.rmtree(harness.base / "unknown")
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
            stop = f"inject=pread64:signal=SIGSTOP:when={before}"
            tracer = ["strace", "-qq", "-o", log, "-P", path, "-e", "trace=pread64", "-e", stop]  # no thread of it
            app = harness.start(*tracer, *command, env=env)
            wait_until(lambda: "stopped by SIGSTOP" in log.read_text())
            times = path.stat()
            mapped[payload + 8] ^= 1  # when it was made, which nobody needs
            assert (times.st_mtime_ns, times.st_ctime_ns) == (path.stat().st_mtime_ns, path.stat().st_ctime_ns)
            (ours,) = Path(f"/proc/{app.pid}/task/{app.pid}/children").read_text().split()
            os.kill(int(ours), signal.SIGCONT)
            done = harness.finish(app)
    assert done.status == 126 and b"changed while it was read; start it again" in done.stderr, str(done)
