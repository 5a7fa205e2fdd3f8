"""Files that say that they are slices, and are wrong: of another machine, or damaged by whoever made them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from kit.apps import write
from kit.harness import Harness, Result
from kit.musl_root import in_musl, make_root
from kit.slices import appimage, compile_program, copy_door, place_of

from tmprun.bundle.write import write_bundle
from tmprun.engine.programs import stub_for
from tmprun.index.nodes import Fixup, Interpreter, Node
from tmprun.index.rules import AT_END, DIRECTORY, FILE, FIXUP_ELF
from tmprun.libc.loader import MARK, ROOM

LOADER = "/lib64/ld-linux-x86-64.so.2"
LIST = b"771\nlibc.so.6\n"


def forged(
    path: Path,
    *,
    loader: str = LOADER,
    content: bytes = b"",
    listed: bytes = LIST,
    version: int = 9 << 16,
    room: bool = True,
) -> Path:
    """A slice that is none inside: a loader and a library of a few bytes."""
    root = Node(b"", DIRECTORY)
    lib = root.add(Node(b"lib", DIRECTORY))
    name = loader.rpartition("/")[2].encode()
    contents = {
        lib.add(Node(name, FILE)): content or bytes(100) + (MARK if room else b"").ljust(ROOM, b"\0"),
        lib.add(Node(b"libc.so.6", FILE)): bytes(100),
        root.add(Node(b"ld.so.cache", FILE)): listed,
        root.add(Node(b"AppRun", FILE)): b"#!/bin/sh\n",
    }
    nodes = {node.name: node for node in contents}
    for node, bytes_ in contents.items():
        node.first, node.size = True, len(bytes_)
    interpreter = Interpreter(loader.encode(), nodes[name], version)
    fixups = [Fixup(nodes[b"libc.so.6"], interpreter, FIXUP_ELF, 0, 100, AT_END)]
    with path.open("wb") as file:
        write_bundle(
            file, stub_for("x86_64"), root, lambda node: [contents[node]], level=1, fixups=fixups,
            metadata={"arch": "x86_64", "slice": {"glibc": "9.0", "packages": []}},
        )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def root(shared: Path) -> Path:
    return make_root(shared / "musl for bad slices")


@pytest.fixture
def start(harness: Harness, root: Path, tmp_path: Path, door: Path) -> Callable[..., Result]:
    apps = tmp_path / "apps"
    apps.mkdir()
    copy_door(door, apps)
    compile_program("int main(void) { return 0; }", tmp_path / "AppDir" / "AppRun")
    appimage(tmp_path / "AppDir", apps / "app.AppImage")
    env = {"XDG_DATA_HOME": "/apps/data"}
    return lambda **options: in_musl(harness, root, apps, "/apps/tmprun", "/apps/app.AppImage", env=env, **options)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"loader": "/lib/ld-linux-aarch64.so.1"}, "is made for another machine"),
        ({"version": 2 << 16 | 1}, "has glibc 2.1, and glibc 2."),
        ({"listed": b"x"}, "its list of libraries has no head"),
        ({"listed": b"99999999999999999999\n"}, "its list of libraries has no head"),
        ({"listed": b"771\nlibm.so.6\n"}, "its list names what it has not"),
        ({"listed": b"771\nlibc.so.6"}, "its list names what it has not"),
        ({"listed": b"771\n../AppRun\n"}, "its list names what it has not"),
        ({"listed": b"771\n\n"}, "its list names what it has not"),
        ({"listed": b"771\n" + b"libc.so.6\n" * 20_000}, "its list names what it has not"),
        ({"listed": b"771\n" + bytes(2 << 20)}, "cannot be read"),
        ({"content": b"short"}, "its loader is too short"),
        ({"room": False}, "cannot write lib/ld-linux-x86-64.so.2"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_it_is_not_used_and_it_is_said_why(
    start: Callable[..., Result], tmp_path: Path, how: dict[str, object], said: str
) -> None:
    forged(place_of(tmp_path / "apps" / "data") / "bad.slice", **how)  # type: ignore[arg-type]
    done = start(status=127)
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1 and "bad.slice: " in lines[0] and said in lines[0], lines
    assert "no slice will do" in lines[0] and "tmprun libc make" in lines[0]


def test_a_bundle_is_no_slice(start: Callable[..., Result], tmp_path: Path) -> None:
    place = place_of(tmp_path / "apps" / "data")
    write(place / "a.slice", (tmp_path / "apps" / "app.AppImage").read_bytes())
    assert b"a.slice: is no slice, or not whole" in start(status=127).stderr
