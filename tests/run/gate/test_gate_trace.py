"""The start-up trace: what a start opened, in which order, and that the next one fills it first."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from kit.apps import write
from kit.gating import EVERYTHING, LINGER, Gated, helpers, is_gone, only, trace_paths, tree_of, truth
from kit.harness import Harness, wait_until
from kit.tracing import calls, strace

from tmprun.bundle.footer import read_footer, read_index
from tmprun.index.decode import decode
from tmprun.index.rules import FILE

OPENED = ["usr/share/text5/40", "usr/lib/lib6.so.6", "usr/share/text0/07", "usr/share/sparse"]


def start(harness: Harness, image: Gated, *orders: str, mode: str = "demand", **settings: str) -> bytes:
    """Run the app and wait until nothing fills any more; returns the index of the tree."""
    go = harness.base / "go"
    go.unlink(missing_ok=True)
    words = [image.image, *orders, f"wait={go}"]
    process = harness.start(*words, env=truth(image, mode) | settings)
    wait_until(lambda: any(harness.shelf("tree").glob("*/index")))
    table = (tree_of(harness).parent / "index").read_bytes()
    go.touch()
    assert harness.finish(process).status == 0
    wait_until(lambda: not helpers(harness.store), LINGER)
    return table


def kept(harness: Harness) -> Path:
    """The only trace in the disk cache."""
    return next(harness.kept("trace").iterdir())


def table_of(image: Gated) -> tuple[str, bytes]:
    """The key and the index of a bundle."""
    with image.image.open("rb") as file:
        footer = read_footer(file.fileno())
        assert footer
        return footer.key, read_index(file.fileno(), footer)


def remember(harness: Harness, image: Gated, paths: list[str]) -> Path:
    """Leave a trace as a start leaves it."""
    key, table = table_of(image)
    numbers = [decode(table).paths().index(path.encode()) for path in paths]
    trace = write(harness.kept("trace") / key, struct.pack(f"<{len(numbers)}I", *numbers), 0o600)
    for folder in list(trace.parents)[:3]:
        folder.chmod(0o700)
    return trace


def test_a_trace_names_what_was_opened_in_that_order(harness: Harness, gated_app: Gated) -> None:
    table = start(harness, gated_app, *(f"open={path}" for path in OPENED))
    assert trace_paths(kept(harness), table) == OPENED
    assert kept(harness).stat().st_mode & 0o777 == 0o600
    assert is_gone(harness)


def test_a_trace_of_a_foreign_image(harness: Harness, gated_foreign: Gated, door_with_python: Path) -> None:
    go = harness.base / "go"
    process = harness.start(
        door_with_python,
        gated_foreign.image,
        *(f"open={path}" for path in OPENED),
        f"wait={go}",
        env=truth(gated_foreign, "demand"),
    )
    only(harness.store, "filler")
    wait_until(lambda: any(harness.shelf("tree").glob("*/index")))
    table = (tree_of(harness).parent / "index").read_bytes()
    go.touch()
    assert harness.finish(process).stdout == b"right 1\n" * len(OPENED)
    wait_until(lambda: not helpers(harness.store), LINGER)
    assert trace_paths(kept(harness), table) == OPENED


def test_a_later_trace_adds_what_was_not_yet_known(harness: Harness, gated_app: Gated) -> None:
    remember(harness, gated_app, OPENED[2:])
    table = start(harness, gated_app, *(f"open={path}" for path in OPENED[:2]))
    assert trace_paths(kept(harness), table) == OPENED[2:] + OPENED[:2]


def test_a_trace_may_be_asked_for_by_name(harness: Harness, gated_app: Gated) -> None:
    """A relative one is where the caller is, and it is of this start alone."""
    orders = [f"open={OPENED[0]}", "env=TMPRUN_TRACE"]
    table = start(harness, gated_app, *orders, TMPRUN_TRACE="my trace")
    assert trace_paths(harness.work / "my trace", table) == OPENED[:1]
    assert b"env (none)" in harness.history[-1].stdout
    assert not harness.kept("trace").exists()


def filled_first(harness: Harness, image: Gated, count: int) -> list[str]:
    """The first `count` gated files that the filler writes to at a start in the background, with one processor."""
    log = harness.base / "strace"
    processor = str(min(os.sched_getaffinity(0)))
    words = ["taskset", "-c", processor, *strace(log, "-e", "trace=pwrite64,execve"), image.image]
    harness.run(*words, env=truth(image, "background"))
    written = []
    for call in calls(log):
        path = call.rest.partition("<")[2].partition(">")[0].partition("/tree/usr/")[2]
        if call.name == "pwrite64" and f"usr/{path}" in image.gated and f"usr/{path}" not in written:
            written.append(f"usr/{path}")
    return written[:count]


def test_the_next_start_fills_what_the_trace_names_first(harness: Harness, gated_app: Gated) -> None:
    """Whole frames: what shares one with a file of the trace comes with it."""
    late = "usr/share/text6/55"
    assert late not in filled_first(harness, gated_app, 12)
    harness.clear()
    (harness.base / "strace").unlink()
    remember(harness, gated_app, [late])
    assert late in filled_first(harness, gated_app, 12)


@pytest.mark.parametrize("kind", ["noise", "odd", "long", "empty", "directories", "symlink", "pipe", "directory"])
def test_a_damaged_trace_is_ignored(harness: Harness, gated_app: Gated, kind: str) -> None:
    trace = remember(harness, gated_app, [])
    trace.unlink()
    nodes = decode(table_of(gated_app)[1]).nodes
    directories = [number for number, node in enumerate(nodes) if node.kind != FILE]
    content = {
        "noise": os.urandom(64), "odd": b"\1\0\0", "long": b"\1\0\0\0" * (len(nodes) + 1), "empty": b"",
        "directories": struct.pack(f"<{len(directories)}I", *directories),
    }  # fmt: skip
    if kind == "symlink":
        trace.symlink_to("/etc/passwd")
    elif kind == "pipe":
        os.mkfifo(trace)
    elif kind == "directory":
        trace.mkdir()
    else:
        trace.write_bytes(content[kind])
    result = harness.run(gated_app.image, "read=1,1,1", env=truth(gated_app, "background"))
    assert result.stdout == b"right %d\n" % EVERYTHING
    assert Path("/etc/passwd").read_bytes()[:4] == b"root"


def test_a_trace_of_another_user_is_ignored(harness: Harness, gated_app: Gated, nobody: int) -> None:
    os.chown(remember(harness, gated_app, OPENED[:1]), nobody, nobody)
    table = start(harness, gated_app, f"open={OPENED[1]}")
    assert trace_paths(kept(harness), table) == [OPENED[1]]
