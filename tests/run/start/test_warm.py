"""A warm start: no byte of the image is read, nobody else is started, and any doubt is a miss."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from kit.apps import SETTLED, App
from kit.harness import Harness, environ_of
from kit.surroundings import IS_ROOT
from kit.tracing import READS, trace


@pytest.mark.parametrize("by_door", [False, True])
def test_no_byte_of_the_image_is_read(harness: Harness, app: App, by_door: bool) -> None:
    words = [harness.door, app.bundle] if by_door else [app.bundle]
    cold = trace(harness, *words)
    image = f"<{app.bundle}>"
    assert any(call.name in READS and image in call.rest for call in cold), "this test sees no reads at all"
    warm = trace(harness, *words)
    touched = [call for call in warm if image in call.rest]
    assert touched and {call.name for call in touched} <= {"open", "openat", "fstat", "newfstatat", "fcntl", "close"}


@pytest.mark.parametrize("by_door", [False, True])
def test_a_warm_start_is_one_process_and_few_calls(harness: Harness, app: App, by_door: bool) -> None:
    words = [harness.door, app.bundle] if by_door else [app.bundle]
    harness.run(*words)
    time.sleep(SETTLED)
    harness.run(*words)  # compares the tree, as the first one does behind the tick of the clock that it was made in
    warm = trace(harness, *words)
    assert len({call.pid for call in warm}) == 1
    assert [call.name for call in warm].count("execve") == 2
    # Each directory on the way to the store is opened, looked at and closed (docs/store.md, "Whom a path belongs to");
    # for a user who is not root there is a call more, to know who he is. The front door also looks whether there are
    # two directories, and whether the tree has a slice (docs/libc.md, "In the store").
    way = (3 if IS_ROOT else 4) * len(harness.store.parents)
    slices = 3 if by_door else 0
    assert len(warm) < 50 + way + slices, "\n".join(f"{call.name}({call.rest}" for call in warm)


def test_a_tree_is_used_again_by_a_copy_of_the_file(harness: Harness, app: App) -> None:
    """Another file, the same content: the key leads to the tree, and the copy's identity is remembered, too."""
    harness.run(app.bundle)
    copy = Path(shutil.copy(app.bundle, harness.work / "copy"))
    time.sleep(SETTLED)
    debug = {"TMPRUN_LOG": "debug"}
    assert b"unpacked" not in harness.run(copy, env=debug).stderr
    assert not any(call.name in READS and f"<{copy}>" in call.rest for call in trace(harness, copy))


def test_a_changed_file_is_looked_at_again(harness: Harness, app: App, large_app: App) -> None:
    """Neither its name nor, put back by hand, its size and mtime make it the same."""
    bundle = Path(shutil.copy(app.bundle, harness.work / "app"))
    time.sleep(SETTLED)
    harness.run(bundle)
    before = bundle.stat()
    data = bytearray(bundle.read_bytes())
    data[-1] ^= 0xFF
    with bundle.open("r+b") as file:
        file.write(data)
    os.utime(bundle, ns=(before.st_atime_ns, before.st_mtime_ns))
    harness.run(harness.door, bundle, status=126)
    shutil.copy(large_app.bundle, bundle)
    seen = harness.run(bundle, "probe:report", "probe:sum").report()
    assert large_app.sums_seen(seen, environ_of(seen)["APPDIR"])


def test_a_file_that_was_just_written_is_not_remembered(harness: Harness, app: App) -> None:
    """It could change once more within the same tick of the clock, unseen."""
    harness.run(app.bundle)
    known = harness.left()
    for _ in range(5):
        copy = Path(shutil.copy(app.bundle, harness.work / "copy"))
        harness.run(copy)
        age = time.time() - copy.stat().st_ctime
        assert age > 0.04 or harness.left() == known
    copy.touch()


def tree_of(harness: Harness, app: App) -> Path:
    return harness.shelf("tree") / app.key / "tree"


# What is done to a published tree, by a shell whose working directory it is; the entry is above it.
DAMAGE = {
    "a file is gone": "chmod u+w usr/share; rm -f usr/share/text",
    "a directory is gone": "chmod u+w usr usr/lib; rm -rf usr/lib",
    "AppRun is gone": "chmod u+w .; rm -f AppRun",
    "AppRun was written to": "chmod u+w AppRun; echo evil > AppRun; chmod u-w AppRun",
    "a file was replaced": "chmod u+w usr/share; echo evil > usr/share/new; mv -f usr/share/new usr/share/text",
    "a symlink was replaced": "chmod u+w usr; ln -sf /etc/passwd usr/link",
    "everything is gone": "chmod -R u+w .; rm -rf ../tree",
    "half of the entry is gone": "chmod -R u+w .; rm -rf ../tree ../watch",
    "the entry has no lease": "rm -f ../lease",
    "the entry has no watch": "rm -f ../watch",
    "its watch is cut": "chmod u+w ../watch; truncate -s 100 ../watch",
    "its watch is empty": "chmod u+w ../watch; truncate -s 0 ../watch",
    "its watch lies about its length": r"chmod u+w ../watch; printf '\0\0\0\0\0\0\0\20' > ../watch",
    "its watch lists other times": r"chmod u+w ../watch; printf '\1\0\0\0\0\0\0\0%024dtree/.\0' 0 > ../watch",
    "the entry is a symlink": "entry=${PWD%/tree}; mv $entry $entry.away; ln -s $entry.away $entry",
    "the entry is a file": "entry=${PWD%/tree}; chmod -R u+w .; rm -rf $entry; echo x > $entry",
    "the entry is open to others": "chmod 0755 ..",
    "the tree is a symlink": "mv ../tree ../other; ln -s other ../tree",
}


def damage(harness: Harness, tree: Path, what: str) -> None:
    harness.run("sh", "-ec", DAMAGE[what], cwd=tree)


@pytest.mark.parametrize("what", DAMAGE)
def test_what_is_not_as_it_was_published_is_built_anew(harness: Harness, app: App, what: str) -> None:
    harness.run(app.bundle)
    damage(harness, tree_of(harness, app), what)
    seen = harness.run(app.bundle, "probe:report", "probe:sum").report()
    assert app.sums_seen(seen, environ_of(seen)["APPDIR"])
    expected = f"tree/{app.key}"
    assert [name for name in harness.left() if not name.startswith("id/") and not name.endswith(".away")] == [expected]
    after = harness.run(app.bundle, "probe:report", "probe:sum", env={"TMPRUN_LOG": "debug"})
    assert b"unpacked" not in after.stderr and app.sums_seen(after.report(), environ_of(after.report())["APPDIR"])


@pytest.mark.parametrize("text", ["", "x" * 64, "../../../../../../etc", "0" * 63, "0" * 65, "/etc/passwd", "0" * 64])
def test_an_identity_that_leads_astray_is_ignored(harness: Harness, app: App, text: str) -> None:
    harness.run(app.bundle)
    (identity,) = harness.shelf("id").iterdir()
    identity.unlink()
    if text:
        identity.symlink_to(text)
    else:
        identity.write_bytes(b"no symlink")
    seen = harness.run(app.bundle, "probe:report", "probe:sum").report()
    assert app.sums_seen(seen, environ_of(seen)["APPDIR"])


def test_a_damaged_tree_that_is_in_use_is_left_to_its_user(harness: Harness, app: App) -> None:
    ready, go = harness.base / "ready", harness.base / "go"
    process = harness.start(app.bundle, f"probe:touch={ready}", f"probe:wait={go}", "probe:print=still here")
    while not ready.exists():
        time.sleep(0.002)
    damage(harness, tree_of(harness, app), "a file is gone")
    seen = harness.run(app.bundle, "probe:report", "probe:sum").report()
    assert app.sums_seen(seen, environ_of(seen)["APPDIR"])
    (trashed,) = [name for name in harness.left() if name.startswith("trash/")]
    assert (harness.shelf(trashed) / "tree" / "AppRun").exists()
    go.touch()
    assert harness.finish(process).stdout == b"still here\n"


def test_verify_finds_what_the_times_do_not_show(harness: Harness, app: App) -> None:
    """A file written to in place changes no directory; `run --verify` compares every byte."""
    harness.run(app.bundle)
    text = tree_of(harness, app) / "usr/share/text"
    before = text.stat()
    text.chmod(0o644)
    text.write_bytes(b"A" + text.read_bytes()[1:])
    os.utime(text, ns=(before.st_atime_ns, before.st_mtime_ns))
    text.chmod(0o444)
    seen = harness.run(harness.door, app.bundle, "probe:report", "probe:sum").report()
    assert not app.sums_seen(seen, environ_of(seen)["APPDIR"])
    seen = harness.run(harness.door, "run", "--verify", app.bundle, "probe:report", "probe:sum").report()
    assert app.sums_seen(seen, environ_of(seen)["APPDIR"])


def test_an_image_that_its_user_may_no_longer_read_does_not_run(in_memory: Harness, nobody: int, app: App) -> None:
    bundle = Path(shutil.copy(app.bundle, in_memory.base / "app"))
    for name in ("home", "work", "cache"):
        os.chown(in_memory.base / name, nobody, nobody)
    as_nobody: dict[str, Any] = {
        "user": nobody,
        "group": nobody,
        "extra_groups": [],
        "env": {"TMPRUN_STORE": f"{in_memory.base}/home/s"},
    }
    in_memory.run(in_memory.door, bundle, **as_nobody)
    bundle.chmod(0o700)
    assert b"permission denied" in in_memory.run(in_memory.door, bundle, status=126, **as_nobody).stderr


@pytest.mark.parametrize("asked", [["--fill", "lazy"], []])
def test_a_mistake_is_one_also_when_nothing_has_to_be_filled(harness: Harness, app: App, asked: list[str]) -> None:
    harness.run(app.bundle, "probe:report")
    changes = {} if asked else {"TMPRUN_FILL": "lazy"}
    result = harness.run(harness.door, "run", *asked, app.bundle, "probe:report", env=changes, status=127)
    assert b"unknown way to fill it" in result.stderr and result.stderr.count(b"\n") == 1


@pytest.mark.parametrize("words", [["--"], ["run", "--"], ["run"], []])
def test_the_image_stands_behind_two_dashes(harness: Harness, app: App, words: list[str]) -> None:
    report = harness.run(harness.door, *words, app.bundle, "probe:report", "--", "-x").report()
    assert report["argv"][1:] == ["probe:report", "--", "-x"]
