"""AppRun as people ship it: `tmprun info` says before what the start will do, and both in the same words."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from kit.foreign_images import head, mksquashfs, write_image
from kit.harness import Harness

MACHINE = os.uname().machine
APP = """#!/bin/sh
echo the app ran
"""
EXECS = 'exec "$APPDIR/usr/bin/app"\n'


def link(target: str, *, wrapped: str = "") -> dict[str, str | None]:
    return {"AppRun": target, "AppRun.wrapped": wrapped or None}


def elf(machine: int, loader: bytes = b"") -> bytes:
    """A program's head, as far as the kernel gets before it refuses."""
    at = 64 + 56
    head = (
        b"\x7fELF\2\1\1"
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, bool(loader), 0, 0, 0)
    )
    return head + struct.pack("<IIQQQQQQ", 3, 4, at, 0, 0, len(loader), len(loader), 1) + loader


# What AppRun is: where a symlink leads to, or a file's content and mode; and what is said, nothing when it starts.
LINKS: dict[str, tuple[dict[str, str | None], str]] = {
    "relative": (link("usr/bin/app"), ""),
    "chain": (link("AppRun.wrapped", wrapped="usr/bin/../bin/app"), ""),
    "by a directory's link": (link("bin/app"), ""),
    "build host's": (
        link("/build/AppDir/usr/bin/app"),
        "a symlink to /build/AppDir/usr/bin/app, which this machine lacks",
    ),
    "dangling": (link("usr/bin/none"), "a symlink to usr/bin/none, which the image does not have"),
    "chain to nothing": (link("AppRun.wrapped", wrapped="none"), "a symlink to none, which"),
    "loop": (link("AppRun"), "a symlink that leads to itself"),
    "loop of two": (link("AppRun.wrapped", wrapped="AppRun"), "a symlink that leads to itself"),
    "to a directory": (link("usr/bin"), "a directory"),
    "host's": (link("/bin/true"), ""),
}
FILES: dict[str, tuple[bytes, int, str]] = {
    "script": (APP.encode(), 0o755, ""),
    "for the group alone": (APP.encode(), 0o750, ""),
    "env": (b"#!/usr/bin/env -S VARIABLE=1 sh -u\n" + EXECS.encode(), 0o755, ""),
    "spaces": (b"#! \t/bin/sh  \n" + EXECS.encode(), 0o755, ""),
    "no newline": (b"#!/bin/true", 0o755, ""),
    "CRLF": (b"#!/bin/sh\r\n" + EXECS.encode(), 0o755, "the line ends of Windows"),
    "BOM": (b"\xef\xbb\xbf#!/bin/sh\n" + EXECS.encode(), 0o755, "begins with a byte order mark"),
    "no x bit": (APP.encode(), 0o644, "no permission to be executed"),
    "no shebang": (EXECS.encode(), 0o755, "neither a program nor a script"),
    "empty": (b"", 0o755, "is empty"),
    "names nothing": (b"#!\n", 0o755, "names no interpreter"),
    "no interpreter": (
        b"#!/opt/none/python3 -u\n",
        0o755,
        "needs the interpreter /opt/none/python3, which this machine lacks",
    ),
    "relative interpreter": (b"#!usr/bin/app\n", 0o755, "needs the interpreter usr/bin/app"),
    "other machine": (elf(183 if MACHINE == "x86_64" else 62), 0o755, "is a program for"),
    "no loader": (
        elf(62 if MACHINE == "x86_64" else 183, b"/lib/ld-none.so.1\0"),
        0o755,
        "needs the loader /lib/ld-none.so.1, which this machine lacks",
    ),
}


@pytest.fixture(autouse=True)
def both(harness: Harness, door_with_python: Path) -> None:
    """A front door that can answer `info`, too."""
    harness.door = door_with_python


def image_of(harness: Harness, appdir: Path) -> Path:
    program = appdir / "usr" / "bin" / "app"
    program.parent.mkdir(parents=True)
    program.write_text(APP)
    program.chmod(0o755)
    (appdir / "bin").symlink_to("usr/bin")
    image = write_image(harness.base / "app.AppImage", mksquashfs(appdir, harness.base / "payload"))
    image.chmod(0o755)
    return image


def agree(harness: Harness, image: Path, expected: str) -> None:
    started = harness.run(harness.door, image, status=None)
    info = harness.run(harness.door, "info", image).stdout.decode()
    verdict = next(line for line in info.splitlines() if line.startswith("runs here")).split(maxsplit=2)[2]
    if not expected:
        assert started.status == 0 and verdict == "yes", (started, verdict)
        return
    said = started.stderr.decode()
    assert started.status in (126, 127) and said.count("\n") == 1 and expected in said
    assert verdict == "no: " + said.removeprefix(f"tmprun: {image}: ").rstrip("\n")
    assert harness.left() == []


@pytest.mark.parametrize("kind", LINKS)
def test_links(harness: Harness, kind: str) -> None:
    links, expected = LINKS[kind]
    appdir = harness.base / "AppDir"
    appdir.mkdir()
    for name, target in links.items():
        if target:
            (appdir / name).symlink_to(target)
    agree(harness, image_of(harness, appdir), expected)


@pytest.mark.parametrize("kind", FILES)
def test_files(harness: Harness, kind: str) -> None:
    content, mode, expected = FILES[kind]
    appdir = harness.base / "AppDir"
    appdir.mkdir()
    (appdir / "AppRun").write_bytes(content)
    (appdir / "AppRun").chmod(mode)
    agree(harness, image_of(harness, appdir), expected)


def test_none(harness: Harness) -> None:
    appdir = harness.base / "AppDir"
    appdir.mkdir()
    agree(harness, image_of(harness, appdir), "has no AppRun")


def test_a_directory(harness: Harness) -> None:
    appdir = harness.base / "AppDir"
    (appdir / "AppRun").mkdir(parents=True)
    agree(harness, image_of(harness, appdir), "is a directory")


def test_what_env_looks_for(harness: Harness) -> None:
    """The kernel starts env, which then says that it finds nothing; info says it before."""
    appdir = harness.base / "AppDir"
    appdir.mkdir()
    (appdir / "AppRun").write_bytes(b"#!/usr/bin/env no-such-python\n")
    (appdir / "AppRun").chmod(0o755)
    image = image_of(harness, appdir)
    assert harness.run(harness.door, image, status=None).status == 127
    assert b"no: AppRun needs no-such-python, which is not on PATH" in harness.run(harness.door, "info", image).stdout


def test_an_image_for_the_32_bits_of_this_machine(harness: Harness) -> None:
    """The kernel runs its programs, and what is in it may be anything."""
    appdir = harness.base / "AppDir"
    appdir.mkdir()
    (appdir / "AppRun").symlink_to("usr/bin/app")
    image = image_of(harness, appdir)
    write_image(image, mksquashfs(appdir, harness.base / "payload"), head(3 if MACHINE == "x86_64" else 40, bits=32))
    agree(harness, image, "")
