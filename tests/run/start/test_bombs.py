"""Small files that claim to be huge: within the format's rules, and refused all the same unless somebody insists."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from kit import craft
from kit.apps import SETTLED, write
from kit.harness import Harness, Result

from tmprun.index.encode import encode
from tmprun.index.nodes import Frame, Node
from tmprun.index.rules import CODEC_ZSTD, DIRECTORY, FILE, HOLE

MEGABYTE = 1 << 20
SCRIPT = b"#!/bin/sh\necho ran\n"


def bundle_with(change: Callable[[Node], object], plain: int = len(SCRIPT)) -> bytes:
    """A bundle with an AppRun, and what `change` adds to its root, whose frame 0 has `plain` bytes."""
    stored = zstandard.ZstdCompressor(write_checksum=False).compress(SCRIPT.ljust(plain, b"\0"))
    root = Node(b"", DIRECTORY)
    apprun = root.add(Node(b"AppRun", FILE, 0o755))
    apprun.size, apprun.segments = len(SCRIPT), [(0, 0, len(SCRIPT))]
    change(root)
    frame = Frame(0, len(stored), plain, CODEC_ZSTD, hashlib.sha256(stored).digest())
    return craft.bundle(encode(root, [frame]), stored)


def files(count: int) -> Callable[[Node], object]:
    """With all others `count` nodes."""
    return lambda root: [root.add(Node(b"%d" % number, FILE)) for number in range(count - 2)]


def content(frame: int, size: int, times: int) -> Callable[[Node], object]:
    def change(root: Node) -> None:
        node = root.add(Node(b"zeros", FILE))
        node.size, node.segments = size * times, [(frame, 0, size)] * times

    return change


def many_files() -> bytes:
    return bundle_with(files(200_001))


def many_pieces() -> bytes:
    return bundle_with(content(0, 1, (1 << 20) + 1))


def much_content() -> bytes:
    """20 GB in some hundred KB."""
    return bundle_with(content(0, 8 * MEGABYTE, 2500), 8 * MEGABYTE)


BOMBS = [many_files, many_pieces, much_content]


def refused(harness: Harness, result: Result, status: int = 126) -> None:
    harness.refused(result, "may be a bomb", "TMPRUN_LIMITS=none", status=status)


@pytest.mark.parametrize("bomb", BOMBS)
def test_engine(harness: Harness, bomb: Callable[[], bytes]) -> None:
    path = write(harness.work / "bomb", bomb(), 0o755)
    for fill in ("eager", "demand"):
        began = time.monotonic()
        refused(harness, harness.run(harness.door, path, env={"TMPRUN_FILL": fill}, status=126))
        assert time.monotonic() - began < 5
    refused(harness, harness.run(harness.door, path, "--appimage-extract", status=1), status=1)
    refused(harness, harness.run(harness.door, path, "--appimage-list", status=126))
    assert not (harness.work / "squashfs-root").exists()


@pytest.mark.parametrize("bomb", BOMBS[:2])
def test_info(harness: Harness, door_with_python: Path, bomb: Callable[[], bytes]) -> None:
    path = write(harness.work / "bomb", bomb(), 0o755)
    refused(harness, harness.run(door_with_python, "info", path, status=126))


def test_extract_insists(harness: Harness, door_with_python: Path) -> None:
    """As large as it may be by force: a limit of the system ends it, in one line, and not we."""
    path = write(harness.work / "bomb", much_content(), 0o755)
    command = [door_with_python, "extract", path]
    refused(harness, harness.run(*command, status=126))
    result = harness.run("prlimit", f"--fsize={64 * MEGABYTE}", *command, "--force", status=127)
    assert b"limit for files" in result.stderr


def test_insisting(harness: Harness) -> None:
    path = write(harness.work / "many", many_pieces(), 0o755)
    time.sleep(SETTLED)
    assert harness.run(harness.door, path, env={"TMPRUN_LIMITS": "none"}).stdout == b"ran\n"


@pytest.mark.parametrize(
    "make",
    [
        lambda: bundle_with(content(0, 8 * MEGABYTE, 20), 8 * MEGABYTE),
        lambda: bundle_with(content(HOLE, 1 << 30, 20)),
    ],
    ids=["a small bomb", "holes"],
)
def test_what_is_no_bomb(harness: Harness, make: Callable[[], bytes]) -> None:
    """A thousandfold, but of little; and what takes no room."""
    path = write(harness.work / "fine", make(), 0o755)
    result = harness.run(harness.door, path, env={"TMPRUN_FILL": "eager"}, status=None)
    assert b"bomb" not in result.stderr
    assert result.stdout == b"ran\n" or b"space" in result.stderr or b"memory" in result.stderr
