"""Bundles made to hurt: bombs, lies about size, names that lead out. Refused soon, cheaply, nothing touched outside.

What breaks a rule of docs/format.md is in tests/data (test_golden_engine.py); here is what keeps to the rules, or hides
behind sizes. threats.md, 1-7 and 10.
"""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import struct
import time
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard
from kit import craft
from kit.apps import App, write
from kit.harness import Harness
from kit.measured import measured
from kit.surroundings import unshare
from kit.tracing import strace
from kit.trees import below

from tmprun.index.encode import encode
from tmprun.index.nodes import Frame, Node
from tmprun.index.rules import CODEC_STORED, CODEC_ZLIB, CODEC_ZSTD, DIRECTORY, FILE, HOLE, SYMLINK

MEGABYTE = 1 << 20


def image(harness: Harness, data: bytes) -> Path:
    return write(harness.base / "hostile", data, 0o755)


def single(content: bytes, stored: bytes, plain: int, codec: int, size: int | None = None) -> bytes:
    """A bundle whose AppRun lies in one frame that is stored as `stored` and said to have `plain` bytes."""
    root = Node(b"", DIRECTORY)
    apprun = root.add(Node(b"AppRun", FILE, 0o755))
    apprun.size = len(content) if size is None else size
    apprun.segments = [(0, 0, apprun.size)]
    frame = Frame(0, len(stored), plain, codec, hashlib.sha256(stored).digest())
    return craft.bundle(encode(root, [frame]), stored)


def zstd_with_window(content: bytes, window_log: int) -> bytes:
    """A raw zstd frame that announces a window of 2**window_log bytes and no content size (RFC 8878, 3.1.1.1)."""
    return (
        b"\x28\xb5\x2f\xfd"
        + bytes([0, (window_log - 10) << 3])
        + (len(content) << 3 | 1).to_bytes(3, "little")
        + content
    )


def test_a_window_of_two_gigabytes_costs_nothing(in_memory: Harness) -> None:
    content = b"#!/bin/sh\necho ran\n"
    data = single(content, zstd_with_window(content, 31), len(content), CODEC_ZSTD)
    result, seconds, memory = measured(in_memory, in_memory.door, image(in_memory, data))
    assert (result.status, result.stdout) == (0, b"ran\n") or result.status == 126
    assert seconds < 2 and memory < 30 * MEGABYTE


@pytest.mark.parametrize("promised", [20, 4096, 8 * MEGABYTE])
def test_a_frame_that_swells_beyond_its_size(in_memory: Harness, promised: int) -> None:
    stored = zstandard.ZstdCompressor(level=1, write_content_size=False).compress(bytes(300 * MEGABYTE))
    result, seconds, memory = measured(
        in_memory, in_memory.door, image(in_memory, single(b"", stored, promised, CODEC_ZSTD, promised))
    )
    in_memory.refused(result, "damaged")
    assert seconds < 2 and memory < 60 * MEGABYTE


def test_zlib_that_swells_or_is_nonsense(in_memory: Harness) -> None:
    for stored in (zlib.compress(bytes(100 * MEGABYTE)), b"nonsense" * 100, zlib.compress(b"x" * 19)):
        result = in_memory.run(in_memory.door, image(in_memory, single(b"", stored, 20, CODEC_ZLIB, 20)), status=None)
        in_memory.refused(result, "damaged")


def test_the_stub_says_that_it_has_no_deflate(in_memory: Harness) -> None:
    content = b"#!/bin/sh\necho ran\n"
    data = single(content, zlib.compress(content), len(content), CODEC_ZLIB)
    stub = in_memory.door.with_name("stub").read_bytes()
    table_and_tail = image(in_memory, data)
    assert in_memory.run(in_memory.door, table_and_tail).stdout == b"ran\n"
    in_memory.clear()
    with_stub = stub.ljust(-(-len(stub) // 4096) * 4096, b"\0") + data[4096:]
    offset = struct.pack("<Q", len(with_stub) - len(data) + 4096)
    bundle = image(in_memory, with_stub[:-48] + offset + with_stub[-40:])
    in_memory.refused(in_memory.run(bundle, status=None), "needs tmprun")


def test_an_index_that_swells(in_memory: Harness) -> None:
    stored = zstandard.ZstdCompressor(level=19).compress(bytes(128 * MEGABYTE))
    data = craft.bundle(b"", stored=stored, size=128 * MEGABYTE)
    result, seconds, memory = measured(in_memory, in_memory.door, image(in_memory, data))
    in_memory.refused(result, "damaged index")
    assert seconds < 2 and memory < 200 * MEGABYTE  # an index may have 128 MiB, and is checked once it is decoded


def million(harness: Harness, last: bytes) -> Path:
    """An index of a million empty files and one called `last`, written row by row: too many for objects."""
    count = 1_000_000
    names = b"".join(b"%07d" % number for number in range(count)) + last
    row = struct.Struct("<IHHBBHIIIqQ")
    rows = bytearray(row.pack(0, 0, 0o755, DIRECTORY, 0, 0, 0, 1, count + 1, 0, 0))
    for number in range(count):
        rows += row.pack(number * 7, 7, 0o644, FILE, 0, 0, 0, 0, 0, 0, 0)
    rows += row.pack(count * 7, len(last), 0o644, FILE, 0, 0, 0, 0, 0, 0, 0)
    head = struct.pack(
        "<8sIIIIIIIIQQ32s40s", b"TMPRIDX1", 0, count + 2, 0, 0, 0, len(names), 2, 0, 0, 0, bytes(32), bytes(40)
    )
    table = head + rows + names + b"{}"
    return image(harness, craft.bundle(table, stored=zstandard.ZstdCompressor(level=1).compress(table)))


def test_a_million_names_of_which_the_last_is_bad(in_memory: Harness) -> None:
    result, seconds, memory = measured(in_memory, in_memory.door, million(in_memory, b".."))
    in_memory.refused(result, "illegal file name")
    assert seconds < 5 and memory < 200 * MEGABYTE


def test_a_million_files_in_a_store_without_room_for_them(in_memory: Harness) -> None:
    path = million(in_memory, b"AppRun!!"[:7] + b"x")
    place = in_memory.base / "narrow"
    place.mkdir()
    mount = 'mount -t tmpfs -o mode=755,nr_inodes=50k,size=50m none "$1"'
    script = f'{mount} && TMPRUN_LIMITS=none TMPRUN_STORE=$1/s "$2" "$3"'
    program, *flags = unshare("-m")
    result, seconds, memory = measured(
        in_memory, f"/usr/bin/{program}", *flags, "sh", "-c", script, "sh", place, in_memory.door, path
    )
    in_memory.refused(result, "too", status=127)
    assert seconds < 5 and memory < 200 * MEGABYTE


def many_times(content: bytes, times: int) -> bytes:
    """Ten files that each hold the same frame `times` times over."""
    stored = zstandard.ZstdCompressor().compress(content)
    root = Node(b"", DIRECTORY)
    for name in (b"AppRun", *(b"big%d" % number for number in range(10))):
        node = root.add(Node(name, FILE, 0o755))
        node.segments = [(0, 0, len(content))] * times
        node.size = len(content) * times
    frame = Frame(0, len(stored), len(content), CODEC_ZSTD, hashlib.sha256(stored).digest())
    return craft.bundle(encode(root, [frame]), stored)


def test_a_terabyte_out_of_a_kilobyte_is_refused_before_it_is_begun(in_memory: Harness) -> None:
    data = many_times(bytes(8 * MEGABYTE), 12_000)
    assert len(data) < 100_000
    result, seconds, memory = measured(in_memory, in_memory.door, image(in_memory, data))
    in_memory.refused(result, "may be a bomb")
    assert seconds < 2 and memory < 60 * MEGABYTE
    in_memory.settings["TMPRUN_LIMITS"] = "none"
    result, seconds, memory = measured(in_memory, in_memory.door, image(in_memory, data))
    in_memory.refused(result, "nowhere to unpack it", "too little", status=127)
    assert seconds < 2 and memory < 60 * MEGABYTE


def test_exabytes_of_holes_take_no_room(in_memory: Harness) -> None:
    """Nothing is written for them; then the kernel does not want to execute zeros, and nothing is kept."""
    root = Node(b"", DIRECTORY)
    apprun = root.add(Node(b"AppRun", FILE, 0o755))
    apprun.segments = [(HOLE, 0, HOLE)] * 100_000
    apprun.size = HOLE * 100_000
    in_memory.refused(
        in_memory.run(in_memory.door, image(in_memory, craft.bundle(encode(root, []))), status=None),
        "AppRun is neither a program nor a script",
    )


def stored_frame(offset: int, content: bytes) -> Frame:
    return Frame(offset, len(content), len(content), CODEC_STORED, hashlib.sha256(content).digest())


def test_holes_and_shared_and_stored_pieces(in_memory: Harness) -> None:
    """All that segments can do, in one file."""
    root = Node(b"", DIRECTORY)
    apprun = root.add(Node(b"AppRun", FILE, 0o755))
    script = b'#!/bin/sh\ncksum < "$APPDIR/mixed"\n'
    apprun.segments, apprun.size = [(0, 0, len(script))], len(script)
    mixed = root.add(Node(b"mixed", FILE, 0o600))
    mixed.segments = [(HOLE, 0, 5000), (1, 3, 4), (0, 2, 3), (HOLE, 0, 1), (1, 0, 10), (1, 0, 10), (HOLE, 0, 70_000)]
    mixed.size = sum(run[2] for run in mixed.segments)
    second = b"0123456789"
    frames = [stored_frame(0, script), stored_frame(len(script) + 5, second)]
    data = craft.bundle(encode(root, frames), script + b"a gap" + second)
    expected = bytes(5000) + b"3456" + script[2:5] + b"\0" + second * 2 + bytes(70_000)
    seen = in_memory.run(in_memory.door, image(in_memory, data)).stdout
    assert seen == in_memory.run("cksum", stdin=expected).stdout


def outside(harness: Harness) -> Path:
    sentinel = harness.base / "outside"
    write(sentinel / "file", b"sentinel")
    return sentinel


def test_symlinks_that_lead_out_are_made_and_never_followed(in_memory: Harness) -> None:
    """They are legal: apps link to the host. Nothing of ours goes through them, hard links and removal included."""
    sentinel = outside(in_memory)
    tree: craft.Tree = {
        "AppRun": craft.SCRIPT,
        "absolute": craft.Link(os.fsencode(sentinel)),
        "climbing": craft.Link(b"../" * 30 + os.fsencode(sentinel).lstrip(b"/")),
        "itself": craft.Link(b"itself"),
        "parent": craft.Link(b".."),
        "dir": craft.Folder({"up": craft.Link(os.fsencode(sentinel)), "file": craft.File(b"mine", 0o777)}),
    }
    path = image(in_memory, craft.bundle(*craft.index_of(tree)))
    assert in_memory.run(in_memory.door, path).stdout == b"ran\n"
    in_memory.run(in_memory.door, path, "--appimage-extract")
    in_memory.run(in_memory.door, path, "--appimage-extract")
    in_memory.run(in_memory.door, "@verify", "--tree", next(in_memory.shelf("tree").glob("*/tree")), "--", path)
    # Damaged, and so removed and built again.
    (next(in_memory.shelf("tree").glob("*/watch"))).unlink()
    assert in_memory.run(in_memory.door, path).stdout == b"ran\n"
    assert [file.name for file in below(sentinel)] == ["file"] and (sentinel / "file").read_bytes() == b"sentinel"


def test_setuid_setgid_and_sticky_are_stripped(in_memory: Harness) -> None:
    tree: craft.Tree = {
        "AppRun": craft.File(craft.SCRIPT.content, 0o7755),
        "dir": craft.Folder({"file": craft.File(b"x", 0o6644)}, mode=0o7777),
    }
    path = image(in_memory, craft.bundle(*craft.index_of(tree)))
    in_memory.run(in_memory.door, path)
    in_memory.run(in_memory.door, path, "--appimage-extract")
    for root in (next(in_memory.shelf("tree").glob("*/tree")), in_memory.work / "squashfs-root"):
        assert all(each.lstat().st_mode & 0o7000 == 0 for each in below(root))


def test_names_that_only_look_dangerous(in_memory: Harness) -> None:
    names = ["...", ". ", "-rf", "~", "$(id)", "`id`", "a\nb", "\x1b[2J", "a" * 255, "\udcff\udcfe", "*", "tmprun"]
    tree = {"AppRun": craft.SCRIPT} | {name: craft.File(name.encode("utf-8", "surrogateescape")) for name in names}
    path = image(in_memory, craft.bundle(*craft.index_of(tree)))
    assert in_memory.run(in_memory.door, path).stdout == b"ran\n"
    root = next(in_memory.shelf("tree").glob("*/tree"))
    assert sorted(os.listdir(root)) == sorted(tree)
    assert all((root / name).read_bytes() == os.fsencode(name) for name in names)


def deep(levels: int) -> craft.Tree:
    tree: craft.Tree = {"file": craft.File(b"deep")}
    for _ in range(levels):
        tree = {"d": craft.Folder(tree)}
    return {"AppRun": craft.SCRIPT, **tree}


def test_the_deepest_tree_is_built_and_removed(in_memory: Harness) -> None:
    def few_descriptors() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))

    path = image(in_memory, craft.bundle(*craft.index_of(deep(255))))
    assert in_memory.run(in_memory.door, path).stdout == b"ran\n"
    (next(in_memory.shelf("tree").glob("*/watch"))).unlink()
    assert in_memory.run(in_memory.door, path, preexec_fn=few_descriptors).stdout == b"ran\n"
    assert [name for name in in_memory.left() if name.startswith(("trash/", "stage/"))] == []


@pytest.mark.parametrize("when", [1, 2, 3, 4])
def test_the_image_changes_while_it_is_read(in_memory: Harness, large_app: App, when: int) -> None:
    """Stopped in the middle of its reads, while every byte behind them is overwritten in place."""
    path = image(in_memory, large_app.bundle.read_bytes())
    stop = ["--trace=pread64", f"--inject=pread64:signal=STOP:when={when}"]
    process = in_memory.start(
        *strace(Path("/dev/null"), *stop), in_memory.door, path, "probe:sum", env={"TMPRUN_FILL": "eager"}
    )
    time.sleep(0.3)
    with path.open("r+b") as file:
        file.seek(200_000)
        file.write(os.urandom(large_app.bundle.stat().st_size - 200_000 - 5000))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    while process.poll() is None:  # each of its threads stops at its own call
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGCONT)
        time.sleep(0.01)
    result = in_memory.finish(process)
    in_memory.refused(result, "changed while it was read")


def test_symlink_targets_of_any_legal_length(in_memory: Harness) -> None:
    root = Node(b"", DIRECTORY)
    for length in (1, 4094, 4095):
        link = root.add(Node(b"link%d" % length, SYMLINK))
        link.target = b"t" * length
        link.size = length
    result = in_memory.run(in_memory.door, image(in_memory, craft.bundle(encode(root, []))), status=None)
    in_memory.refused(result, "no AppRun")
