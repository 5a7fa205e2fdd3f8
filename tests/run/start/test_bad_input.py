"""What is no bundle, or no longer one, is refused in one line, and nothing is left anywhere."""

from __future__ import annotations

import os
import random
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
from kit import craft
from kit.apps import App, noise, packed, write
from kit.counting import Record, counted
from kit.harness import Harness, Result, engine

from tmprun.pack.pack import pack

# Runs are compared by what the app prints: everything that it can see of itself.
SHOW = ("probe:report", "probe:sum")


@pytest.fixture(scope="session")
def tiny(shared: Path, probe: Path) -> App:
    """As little as a bundle can be: for cases that come by the thousand."""
    appdir = shared / "tiny" / "Tiny.AppDir"
    write(appdir / "AppRun", probe.read_bytes(), 0o755)
    write(appdir / "usr/text", b"text " * 300)
    write(appdir / "usr/noise", noise(5000))
    (appdir / "usr/link").symlink_to("text")
    return packed(appdir, shared / "tiny" / "app")


def shown(result: Result) -> dict[str, object]:
    report = result.report()
    return {key: report[key] for key in ("argv", "sum", "umask")}


def damaged(harness: Harness, data: bytes) -> Path:
    """`data` as an executable file, always of the same name."""
    return write(harness.base / "damaged", data, 0o755)


@pytest.mark.parametrize("by_door", [True, False])
def test_truncated_at_every_page(in_memory: Harness, tiny: App, by_door: bool) -> None:
    data = tiny.bundle.read_bytes()
    offset = payload_offset(in_memory, tiny)
    sizes = sorted(
        {*range(0, len(data), 4096), 1, 63, 64, 65, len(data) - 1, len(data) - 63, len(data) - 64, len(data) - 65}
    )
    for size in sizes:
        image = damaged(in_memory, data[:size])
        if by_door:
            in_memory.refused(in_memory.run(in_memory.door, image, status=None))
            continue
        try:
            result = in_memory.run(image, status=None)
        except OSError:
            continue  # the kernel itself does not take it for a program
        if size >= offset:  # the stub is whole, and what is missing is behind it
            in_memory.refused(result, "damaged bundle")
        assert result.status != 0 and in_memory.left() == []
        in_memory.history.clear()


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.soak)])
def test_single_bit_flips(in_memory: Harness, tiny: App, count: int, record_property: Record) -> None:
    """Behind the stub each is refused; in the stub, which the front door has no use for, nothing changes."""
    data = bytearray(tiny.bundle.read_bytes())
    offset = payload_offset(in_memory, tiny)
    image = damaged(in_memory, bytes(data))
    expected = shown(in_memory.run(in_memory.door, image, *SHOW))
    chance = random.Random(count)
    refused = 0
    for number in range(count):
        # Half of them where it matters: the frames and the index are small beside the stub.
        at = chance.randrange(offset if number % 2 else 0, len(data))
        bit = 1 << chance.randrange(8)
        data[at] ^= bit
        in_memory.clear()
        result = in_memory.run(in_memory.door, damaged(in_memory, bytes(data)), *SHOW, status=None)
        data[at] ^= bit
        if result.status == 0:
            assert shown(result) == expected, f"bit {bit} of byte {at} changed what runs:\n{result}"
            assert at < offset, f"bit {bit} of byte {at} went unnoticed"
        else:
            in_memory.refused(result)
            refused += 1
        in_memory.history.clear()
    counted(record_property, {"bit flips": count, "refused": refused})
    assert refused > count // 3


def payload_offset(harness: Harness, app: App) -> int:
    return int(harness.run(app.bundle, "--appimage-offset").stdout)


def test_flips_in_a_bundle_that_starts_itself(in_memory: Harness, tiny: App) -> None:
    data = bytearray(tiny.bundle.read_bytes())
    offset = payload_offset(in_memory, tiny)
    chance = random.Random(7)
    for _ in range(100):
        at = chance.randrange(offset, len(data))
        data[at] ^= 0x20
        in_memory.refused(in_memory.run(damaged(in_memory, bytes(data)), *SHOW, status=None), "damaged")
        data[at] ^= 0x20


def test_flips_through_the_sanitizers(in_memory: Harness, tiny: App, sanitized_door: Path) -> None:
    data = bytearray(tiny.bundle.read_bytes())
    offset = payload_offset(in_memory, tiny)
    chance = random.Random(8)
    for _ in range(60):
        at = chance.randrange(offset, len(data))
        data[at] ^= 0x04
        in_memory.refused(in_memory.run(sanitized_door, damaged(in_memory, bytes(data)), *SHOW, status=None))
        data[at] ^= 0x04


def elf_without_payload() -> bytes:
    return engine("stub").read_bytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", []),
        (b"just a text\n" * 100, []),
        (b"#!/bin/sh\necho evil\n", []),
        (elf_without_payload(), ["damaged bundle"]),
    ],
    ids=["empty", "text", "script", "stub alone"],
)
def test_no_image_at_all(harness: Harness, content: bytes, words: list[str]) -> None:
    image = damaged(harness, content)
    harness.refused(harness.run(harness.door, image, status=None))
    if words:
        harness.refused(harness.run(image, status=None), *words)


def test_a_missing_file(harness: Harness) -> None:
    for name in ("./no-such-file", "/no/such/directory/app", "work/../no"):
        harness.refused(harness.run(harness.door, name, status=None), name, "no such file", status=127)


def test_a_directory_and_other_things(harness: Harness) -> None:
    os.mkfifo(harness.work / "fifo")
    (harness.work / "loop").symlink_to("loop")
    harness.refused(harness.run(harness.door, harness.work, status=None), "directory")
    harness.refused(harness.run(harness.door, "./fifo", status=None, timeout=5), "not a regular file")
    harness.refused(harness.run(harness.door, "./loop", status=None), "./loop")
    harness.refused(harness.run(harness.door, "/dev/null", status=None), "not a regular file")
    harness.refused(harness.run(harness.door, "/dev/zero", status=None, timeout=5), "not a regular file")


def test_an_unreadable_file(in_memory: Harness, nobody: int, app: App) -> None:
    for name in ("home", "work", "cache"):
        os.chown(in_memory.base / name, nobody, nobody)
    image = Path(shutil.copy(app.bundle, in_memory.base / "app"))
    image.chmod(0o711)
    options: dict[str, Any] = {"user": nobody, "group": nobody, "extra_groups": [], "status": None}
    for words in ([in_memory.door, image], [image]):
        in_memory.refused(in_memory.run(*words, **options), "permission denied")


def foreign_machine() -> int:
    """e_machine of a program that this machine does not run: AArch64, or x86-64."""
    return 62 if os.uname().machine == "aarch64" else 183


def test_a_bundle_for_another_machine(harness: Harness, app: App) -> None:
    """AppRun is for another machine; no emulator is registered for the kernel that runs these tests."""
    program = bytearray((app.appdir / "AppRun").read_bytes())
    struct.pack_into("<H", program, 18, foreign_machine())
    appdir = harness.base / "Other.AppDir"
    write(appdir / "AppRun", bytes(program), 0o755)
    pack(appdir, harness.base / "other", level=1, arch=os.uname().machine)
    harness.refused(harness.run(harness.door, harness.base / "other", status=None), "is a program for")


@pytest.mark.parametrize(
    "what", ["no AppRun", "not executable", "no interpreter", "no program", "directory", "dangling"]
)
def test_an_apprun_that_cannot_be_started(harness: Harness, what: str) -> None:
    apprun: dict[str, craft.File | craft.Link | craft.Folder] = {
        "not executable": craft.File(b"#!/bin/sh\n", 0o644),
        "no interpreter": craft.File(b"#!/no/such/interpreter\n", 0o755),
        "no program": craft.File(b"no program at all\n", 0o755),
        "directory": craft.Folder({}),
        "dangling": craft.Link(b"usr/bin/none"),
    }
    tree = {"AppRun": apprun[what]} if what in apprun else {"file": craft.SCRIPT}
    image = damaged(harness, craft.bundle(*craft.index_of(tree)))
    result = harness.run(harness.door, image, status=None)
    harness.refused(result, "AppRun", status=127 if what in ("no interpreter", "dangling") else 126)


def test_a_message_is_one_line_and_safe_for_a_terminal(harness: Harness) -> None:
    image = write(harness.work / "\x1b[31m\n\x07", b"no image")
    result = harness.run(harness.door, f"./{image.name}", status=None)
    assert result.stderr.count(b"\n") == 1 and not any(byte < 32 for byte in result.stderr[:-1])


def test_a_long_name_does_not_hide_the_reason(harness: Harness) -> None:
    name = "./" + "/".join(["x" * 200] * 15)
    assert b"no such file" in harness.run(harness.door, name, status=127).stderr


def test_the_tests_see_what_is_left_behind(harness: Harness, app: App) -> None:
    """The watchdog itself: `left` is not blind."""
    harness.run(app.bundle)
    assert f"tree/{app.key}" in harness.left()
