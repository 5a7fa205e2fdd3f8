"""Programs whose loader does not exist here get the one that the image brings, and nothing else changes."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest
from kit.apps import SETTLED, write
from kit.bundle_reader import index_of
from kit.elf_apps import NAME
from kit.harness import Harness
from kit.places import PUBLISHED, shelf
from kit.surroundings import ALONE

from tmprun.bundle.write import write_bundle
from tmprun.engine.programs import stub_for
from tmprun.index.nodes import Fixup, Node
from tmprun.index.rules import AT_END, FIXUP_SCRIPT
from tmprun.pack.pack import pack

MACHINE = os.uname().machine
SOURCE = r"""
#include <stdio.h>
#include <unistd.h>
int main(int count, char **words)
{
	char exe[4096] = "";
	if (readlink("/proc/self/exe", exe, sizeof exe - 1) < 0)
		return 1;
	printf("%s %s\n", words[0], exe);
	fflush(stdout);
	return count > 1 ? execvp(words[1], words + 1) : 0;
}
"""


def loader() -> Path:
    """This machine's loader."""
    found = subprocess.run(
        ["cc", f"-print-file-name={NAME}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return Path(found).resolve()


@pytest.fixture
def missing(tmp_path: Path) -> Path:
    """A path for a loader that is not there."""
    return tmp_path / "machine" / NAME


@pytest.fixture
def appdir(tmp_path: Path, missing: Path) -> Path:
    """An AppDir with a program that asks for that loader, and the loader, which finds libc on this machine."""
    folder = tmp_path / "App.AppDir"
    source = write(tmp_path / "program.c", SOURCE)
    for name, flags in (("AppRun", []), ("usr/bin/dense", ["-Wl,-z,noseparate-code,-z,norelro"])):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        command = ["cc", "-o", folder / name, source, f"-Wl,--dynamic-linker={missing}", *flags]
        subprocess.run(command, check=True)
    (folder / "lib").mkdir()
    shutil.copy(loader(), folder / "lib" / NAME)
    write(folder / "usr" / "share" / "text", "text\n" * 100)
    return folder


def packed(appdir: Path, bundle: Path) -> Path:
    pack(appdir, bundle, level=1)
    time.sleep(SETTLED)
    return bundle


def trees(harness: Harness) -> list[Path]:
    return sorted(harness.shelf("tree").glob("*/tree"), key=lambda path: path.stat().st_ctime_ns)


def interpreter(raw: bytes) -> bytes:
    (at,) = struct.unpack_from("<Q", raw, 32)
    (count,) = struct.unpack_from("<H", raw, 56)
    rows = (struct.unpack_from("<IIQQQQQQ", raw, at + 56 * number) for number in range(count))
    return next(raw[row[2] : row[2] + row[5]] for row in rows if row[0] == 3)


def test_it_starts_and_is_itself(harness: Harness, appdir: Path, tmp_path: Path) -> None:
    bundle = packed(appdir, tmp_path / "app")
    said = harness.run(bundle).stdout.decode().split()
    assert said == [str(bundle), f"{trees(harness)[0]}/AppRun"]
    assert harness.run(bundle).stdout.decode().split() == said and len(trees(harness)) == 1


@pytest.mark.parametrize("fill", ["eager", "background", "demand"])
def test_only_the_documented_bytes_change(harness: Harness, appdir: Path, tmp_path: Path, fill: str) -> None:
    bundle = packed(appdir, tmp_path / "app")
    harness.run(harness.door, "run", "--fill", fill, bundle)
    (tree,) = trees(harness)
    index = index_of(bundle)
    fixups = dict(zip(index.paths(), index.nodes, strict=True))
    planned = {each.node: each for each in index.fixups}
    assert {path for path, node in fixups.items() if node in planned} == {b"AppRun", b"usr/bin/dense"}
    path = os.fsencode(tree / "lib" / NAME) + b"\0"
    for name, node in fixups.items():
        if node not in planned:
            continue
        before, after = (appdir / os.fsdecode(name)).read_bytes(), (tree / os.fsdecode(name)).read_bytes()
        fix = planned[node]
        expected = bytearray(before)
        expected[fix.at : fix.at + len(path)] = path
        struct.pack_into("<Q", expected, fix.header + 8, fix.at)
        struct.pack_into("<Q", expected, fix.header + 32, len(path))
        assert bytes(expected) == after and interpreter(after) == path
        assert (tree / os.fsdecode(name)).stat().st_mtime == int((appdir / os.fsdecode(name)).stat().st_mtime)
    for name in ("usr/share/text", f"lib/{NAME}"):
        assert (tree / name).read_bytes() == (appdir / name).read_bytes()


def test_both_kinds_of_room_are_used(appdir: Path, tmp_path: Path) -> None:
    rooms = [fix.room for fix in index_of(packed(appdir, tmp_path / "app")).fixups]
    assert rooms[0] >= 512 and rooms[1] == AT_END


def test_verify_knows_a_retargeted_tree(harness: Harness, appdir: Path, tmp_path: Path) -> None:
    write(appdir / "usr" / "bin" / "script", f"#!{tmp_path}/no/such/dense -x\nrest\n", 0o755)
    bundle = packed(appdir, tmp_path / "app")
    harness.run(bundle)
    (tree,) = trees(harness)
    verify = (harness.door, "@verify", "--tree", tree, "--", bundle)
    assert harness.run(*verify).stdout == b""
    fix = index_of(bundle).fixups[0]
    for at, byte in ((fix.at + 3, b"X"), (fix.header + 32, b"\1"), (5000, b"\xff")):
        raw = bytearray((tree / "AppRun").read_bytes())
        raw[at : at + 1] = byte
        facts = (tree / "AppRun").stat()
        (tree / "AppRun").chmod(0o755)
        (tree / "AppRun").write_bytes(raw)
        os.utime(tree / "AppRun", ns=(facts.st_atime_ns, facts.st_mtime_ns))
        (tree / "AppRun").chmod(facts.st_mode)
        assert harness.run(*verify, status=1).stdout == b"AppRun: other content\n"
    harness.run(harness.door, "run", "--verify", bundle)
    assert harness.run(harness.door, "@verify", "--tree", trees(harness)[-1], "--", bundle).stdout == b""


def test_programs_of_this_machine_see_the_environment_of_the_caller(
    harness: Harness, appdir: Path, tmp_path: Path
) -> None:
    bundle = packed(appdir, tmp_path / "app")
    given = {
        "LD_BIND_NOW": "1", "PATH": "/usr/bin::/bin:relative", "PYTHONPATH": "/no/such", "PYTHONHASHSEED": "7",
        "LD_DEBUG_OUTPUT": "/no/such", "LD_LIBRARY_PATH": "/no/such::",
    }  # fmt: skip
    output = harness.run(bundle, "/usr/bin/env", "-0", env=given).stdout.split(b"\n", 1)[1]
    seen = dict(entry.decode().split("=", 1) for entry in output.split(b"\0") if entry)
    kept = {name: value for name, value in seen.items() if name.startswith(("LD_", "PATH", "PYTHON"))}
    assert kept == given
    assert "GCONV_PATH" not in seen and "LOCPATH" not in seen
    listing = harness.run("/bin/ls", "/", env=given).stdout
    assert harness.run(bundle, "/bin/ls", "/", env=given).stdout.split(b"\n", 1)[1] == listing


def test_the_machines_own_loader_is_used_as_soon_as_there_is_one(
    harness: Harness, appdir: Path, missing: Path, tmp_path: Path
) -> None:
    bundle = packed(appdir, tmp_path / "app")
    harness.run(bundle)
    (own,) = trees(harness)
    missing.parent.mkdir()
    missing.symlink_to(loader())
    assert b"/AppRun" in harness.run(bundle).stdout
    (theirs,) = set(trees(harness)) - {own}
    assert (theirs / "AppRun").read_bytes() == (appdir / "AppRun").read_bytes() != (own / "AppRun").read_bytes()
    missing.unlink()
    before = (own.stat().st_ino, theirs.stat().st_ino)
    assert harness.run(bundle).stdout.decode().split()[1] == f"{own}/AppRun"
    assert before == tuple(tree.stat().st_ino for tree in (own, theirs)), "nothing was unpacked anew"


@pytest.mark.parametrize(
    ("banner", "own"),
    [
        ("GNU C Library (Some GLIBC 2.20-1) stable release version 2.20.\n", True),
        ("GNU C Library (Some GLIBC 2.99-1) stable release version 2.99.\n", False),
        ("GNU C Library (Some GLIBC 3.1) release version 3.1, by many\n", False),
        ("GNU C Library without a version", True),
        ("musl", True),
    ],
)
def test_the_c_library_beside_the_loader_decides(
    harness: Harness, appdir: Path, missing: Path, tmp_path: Path, banner: str, own: bool
) -> None:
    bundle = with_need(appdir, tmp_path / "app", 2 << 16 | 34)
    missing.parent.mkdir()
    shutil.copy(loader(), missing)
    (missing.parent / "libc.so.6").write_bytes(bytes(3000) + b"GNU C Libr" + banner.encode() + bytes(3000))
    harness.run(bundle)
    (tree,) = trees(harness)
    assert ((tree / "AppRun").read_bytes() == (appdir / "AppRun").read_bytes()) != own


def with_need(appdir: Path, bundle: Path, need: int) -> Path:
    """The bundle, with another demand on the machine's C library."""

    def change(fixup: Fixup) -> None:
        fixup.interpreter.need = need

    return rewritten(packed(appdir, bundle), appdir, change)


def rewritten(bundle: Path, appdir: Path, change: object) -> Path:
    """A bundle of the same tree whose fixups went through `change`."""
    index = index_of(bundle)
    names = {node: path for path, node in zip(index.paths(), index.nodes, strict=True)}
    for fixup in index.fixups:
        change(fixup)  # type: ignore[operator]

    def content(node: Node) -> list[bytes]:
        return [(appdir / os.fsdecode(names[node])).read_bytes()] if node.size else []

    with open(bundle, "wb") as file:
        write_bundle(file, stub_for(MACHINE), index.nodes[0], content, level=1, fixups=index.fixups)
    time.sleep(SETTLED)
    return bundle


@pytest.mark.parametrize("lie", ["header", "room", "path", "kind"])
def test_a_file_that_is_not_as_the_index_says_is_left_as_it_is(
    harness: Harness, appdir: Path, tmp_path: Path, lie: str
) -> None:
    write(appdir / "AppRun", "#!/bin/sh\nexec echo started\n", 0o755)

    def change(fixup: Fixup) -> None:
        if lie == "header":
            fixup.header += 56
        elif lie == "room":
            fixup.at, fixup.room = 4096, 600  # code
        elif lie == "path":
            fixup.interpreter.path = b"/no/such/other"
        else:
            fixup.interpreter.path = fixup.interpreter.path[:200]
            fixup.kind, fixup.header, fixup.at, fixup.room = FIXUP_SCRIPT, 2, 0, len(fixup.interpreter.path)

    bundle = rewritten(packed(appdir, tmp_path / "app"), appdir, change)
    result = harness.run(bundle, env={"TMPRUN_LOG": "debug"})
    assert result.stdout == b"started\n" and b"usr/bin/dense: not retargeted" in result.stderr
    (tree,) = trees(harness)
    assert (tree / "usr" / "bin" / "dense").read_bytes() == (appdir / "usr" / "bin" / "dense").read_bytes()


def test_programs_that_own_their_tail_keep_it(harness: Harness, appdir: Path, tmp_path: Path) -> None:
    with open(appdir / "AppRun", "ab") as file:
        file.write(b"payload and its length: 7")
    bundle = packed(appdir, tmp_path / "app")
    assert harness.run(bundle).stdout.endswith(b"/tree/AppRun\n")
    assert (trees(harness)[0] / "AppRun").read_bytes().endswith(b"payload and its length: 7")


def test_packing_says_which_programs_cannot_be_helped(appdir: Path, tmp_path: Path) -> None:
    with open(appdir / "usr" / "bin" / "dense", "ab") as file:
        file.write(b"payload")
    notes = pack(appdir, tmp_path / "app", level=1).notes
    assert any("dense" in note and "data behind its end" in note for note in notes)


def test_a_script_gets_the_interpreter_of_the_image(harness: Harness, appdir: Path, tmp_path: Path) -> None:
    """Also with an argument, and one that nobody here has."""
    shutil.copy("/usr/bin/busybox", appdir / "usr" / "bin" / "only-here")
    (appdir / "usr" / "bin" / "sh").symlink_to("only-here")
    (appdir / "AppRun").unlink()
    nowhere = tmp_path / "nowhere"
    (appdir / str(nowhere)[1:]).mkdir(parents=True)
    shutil.copy("/usr/bin/busybox", appdir / str(nowhere)[1:] / "sh")
    write(appdir / "AppRun", f"#! {nowhere}/sh -e\necho started; false; echo not reached\n", 0o755)
    bundle = packed(appdir, tmp_path / "app")
    (fix,) = [fix for fix in index_of(bundle).fixups if fix.kind == FIXUP_SCRIPT]
    assert (fix.header, fix.interpreter.path) == (3, os.fsencode(nowhere / "sh"))
    result = harness.run(bundle, status=None)
    if len(str(trees(harness)[0])) + len(str(nowhere)) < 240:
        assert (result.status, result.stdout) == (1, b"started\n")
        assert harness.run(harness.door, "@verify", "--tree", trees(harness)[0], "--", bundle).stdout == b""


def test_a_line_that_the_kernel_would_not_read_is_left_as_it_is(harness: Harness, appdir: Path, tmp_path: Path) -> None:
    nowhere = Path("/nowhere")
    (appdir / "nowhere").mkdir()
    shutil.copy("/usr/bin/busybox", appdir / "nowhere" / "sh")
    write(appdir / "usr" / "bin" / "script", f"#!{nowhere}/sh {'x' * 200}\n", 0o755)
    write(appdir / "AppRun", "#!/bin/sh\nexec head -c 9 $APPDIR/usr/bin/script\n", 0o755)
    bundle = packed(appdir, tmp_path / "app")
    result = harness.run(bundle, env={"TMPRUN_LOG": "debug"})
    assert result.stdout == b"#!/nowher" and b"its #! line is too long" in result.stderr


def test_an_index_with_too_long_a_path_in_it_still_starts(harness: Harness, appdir: Path, tmp_path: Path) -> None:
    """A store so deep that the path does not fit into the room: the program is left, and the start says so."""
    write(appdir / "usr" / "bin" / "x", b"", 0o755)
    bundle = packed(appdir, tmp_path / "app")
    deep = tmp_path / Path(*["d" * 200] * 16)
    deep.mkdir(parents=True)
    os.chmod(deep, 0o700)
    result = harness.run(bundle, env={"TMPRUN_STORE": str(deep)}, status=None)
    assert result.status in (126, 127) and result.stderr.startswith(b"tmprun: ")


def test_the_command_line_finds_a_retargeted_tree(
    harness: Harness, door_with_python: Path, appdir: Path, tmp_path: Path
) -> None:
    bundle = packed(appdir, tmp_path / "app")
    harness.run(bundle)
    (tree,) = trees(harness)
    assert os.fsencode(tree) in harness.run(door_with_python, "info", bundle).stdout
    assert b"yes, with the C library that it brings" in harness.run(door_with_python, "info", bundle).stdout
    assert harness.run(door_with_python, "cache", "path", bundle).stdout.strip() == os.fsencode(tree)
    assert b"intact" in harness.run(door_with_python, "cache", "verify", bundle).stdout
    assert b"1" in harness.run(door_with_python, "cache", "prune", "--max-size", "0", *ALONE).stdout
    assert trees(harness) == []


def test_a_store_at_another_path_gets_a_tree_of_its_own(harness: Harness, appdir: Path, tmp_path: Path) -> None:
    """As when a container sees the same store somewhere else: the old tree's programs name a path that is not there."""
    bundle = packed(appdir, tmp_path / "app")
    harness.run(bundle)
    moved = tmp_path / "moved store"
    harness.store.rename(moved)
    said = harness.run(bundle, env={"TMPRUN_STORE": str(moved)}).stdout.decode().rstrip("\n")
    assert said.endswith("/tree/AppRun") and f" {moved}{PUBLISHED}" in said
    assert len(list(shelf(moved, "tree").iterdir())) == 2
