"""Blocks of xz take tens of milliseconds to decode, so each is decoded once, whoever needs which part of it when.

Decodings are counted as the reads of a block's stored bytes: each reads them first, and nothing else of a start does.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from gate.test_gate_faults import assert_ended
from kit.apps import SETTLED, noise, write
from kit.codec_images import code, codec_image
from kit.gating import LINGER, Gated, compile_reader, is_complete, is_gone, tree_of, truth, unfilled
from kit.harness import Harness, wait_until
from kit.surroundings import needs_root
from kit.tracing import strace
from kit.trees import below

from tmprun.index.decode import decode

SMALL = 300
READ = re.compile(r"^pread64\(\d+<(?P<path>[^>]+)>, .*, \d+, (?P<offset>\d+)\)")


@pytest.fixture(scope="module")
def image(shared: Path) -> Gated:
    """Many small files in a few shared blocks of 1 MiB, programs among them, and a file that has many blocks."""
    (shared / "slow").mkdir()
    appdir = shared / "slow" / "Slow.AppDir"
    reader = compile_reader(shared / "slow")
    content = code(1_500_000)
    write(appdir / "AppRun", reader.read_bytes(), 0o755)
    write(appdir / "usr" / "large", b"".join(content[at:] + content[:at] for at in range(0, 1_400_000, 250_000)))
    for number in range(SMALL):
        name = appdir / "usr" / f"{number // 50}" / f"{number:03}"
        write(name, content[number * 3000 :][: 5000 + number * 20], 0o755 if number < 3 else 0o644)
    write(appdir / "usr" / "noise", noise(50_000))
    for number, path in enumerate(sorted(below(appdir))):
        os.utime(path, (1_500_000_000 + number, 1_500_000_000 + number), follow_symlinks=False)
    return codec_image(appdir, shared / "slow" / "slow.AppImage", "-comp", "xz", "-b", "1M")


@pytest.fixture
def whole(harness: Harness, door_with_python: Path, image: Gated) -> Harness:
    """The image is known already: what is read of it from now on is blocks."""
    harness.door = door_with_python
    harness.run(harness.door, image.image, env=truth(image, "eager"))
    harness.clear()
    return harness


def traced(whole: Harness, image: Gated, mode: str, *words: str | Path) -> Counter[int]:
    """How often each block of the image was read in a start, and after it, until the helpers had ended."""
    log = whole.base / "trace"
    # A file for each process (-ff): in one for all, calls that overlap are in two pieces.
    command = [*strace(log, "-ff", "-e", "trace=pread64"), whole.door, image.image, *words]
    result = whole.run(*command, env=truth(image, mode))
    assert b"wrong" not in result.stdout and b"failed" not in result.stdout
    (known,) = whole.kept("image").iterdir()
    number = {frame.offset: at for at, frame in enumerate(decode(known.read_bytes()).frames)}
    lines = [line for file in whole.base.glob("trace.*") for line in file.read_text("utf-8", "replace").splitlines()]
    reads = [match for line in lines if (match := READ.match(line)) and match["path"] == str(image.image)]
    return Counter(number[int(read["offset"])] for read in reads if int(read["offset"]) in number)


@pytest.mark.parametrize("mode", ["eager", "background", "demand"])
def test_each_block_is_decoded_once(whole: Harness, image: Gated, mode: str) -> None:
    """Every file is opened, by several at once and in an order of their own, while the background is at work."""
    found = traced(whole, image, mode, "read=3,2,3")
    assert len(found) > 10
    assert set(found.values()) == {1}, found


def test_small_files_of_one_block_on_demand(whole: Harness, image: Gated) -> None:
    """One after the other, a large file in between, which takes what a thread has decoded last out of its hands."""
    words = [f"open=usr/{number // 50}/{number:03}" for number in range(10, SMALL, 7)]
    words.insert(len(words) // 2, "open=usr/large")
    assert set(traced(whole, image, "demand", *words).values()) == {1}


def test_on_demand_nothing_is_decoded_that_was_not_asked_for(whole: Harness, image: Gated) -> None:
    ready, go = whole.base / "ready", whole.base / "go"
    words = ["open=usr/0/010", f"touch={ready}", f"wait={go}"]
    process = whole.start(whole.door, image.image, *words, env=truth(image, "demand"))
    wait_until(ready.exists)
    assert {"usr/large", "usr/5/299"} <= unfilled(tree_of(whole))
    assert "usr/0/011" not in unfilled(tree_of(whole))
    go.touch()
    assert whole.finish(process).stdout == b"right 1\n"
    wait_until(lambda: is_gone(whole), LINGER)


@needs_root
def test_where_there_is_little_room_only_what_is_opened_takes_it(whole: Harness, image: Gated) -> None:
    """On demand an app may run in less than it has; small files' neighbours must not take what is left."""
    small = whole.base / "small"
    small.mkdir(mode=0o700)
    size = (image.appdir / "usr" / "large").stat().st_size + (3 << 19)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", small], check=True)
    try:
        settings = truth(image, "demand") | {"TMPRUN_STORE": str(small / "store")}
        words = [f"open=usr/{number // 50}/{number:03}" for number in range(10, SMALL, 29)]
        result = whole.run(whole.door, image.image, *words, "open=usr/large", env=settings)
        assert result.stdout == b"right 1\n" * (len(words) + 1)
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)


def test_the_background_begins_at_once(whole: Harness, image: Gated) -> None:
    """Decoding is what the app waits for, and one core has nothing else to do."""
    began = time.monotonic()
    process = whole.start(whole.door, image.image, "sleep=3", env=truth(image, "background"))
    wait_until(lambda: whole.shelf("tree").is_dir() and any(whole.shelf("tree").iterdir()))
    wait_until(lambda: is_complete(whole))
    assert time.monotonic() - began < 3
    whole.finish(process)


@pytest.mark.parametrize("mode", ["background", "demand"])
def test_a_block_that_is_damaged(whole: Harness, image: Gated, mode: str) -> None:
    """It was damaged when the image was first seen: the sum in the block tells, and only its files' readers end."""
    (known,) = whole.kept("image").iterdir()
    index = decode(known.read_bytes())
    (large,) = (node for node, path in zip(index.nodes, index.paths(), strict=True) if path == b"usr/large")
    frame = index.frames[large.segments[5][0]]
    spoilt = write(whole.base / "spoilt", image.image.read_bytes(), 0o755)
    with spoilt.open("r+b") as file:
        file.seek(frame.offset + frame.stored // 2)
        file.write(b"damaged")
    time.sleep(SETTLED)
    started = [whole.door, spoilt]
    assert whole.run(*started, "open=usr/5/299", env=truth(image, mode)).stdout == b"right 1\n"
    assert_ended(whole.run(*started, "open=usr/large", env=truth(image, mode), status=None), "damaged frame (xz)")
