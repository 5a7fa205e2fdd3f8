"""500 programs that lie in an AppImage on a machine that needs a slice, through an engine that stops at the first wrong
memory access: each is given the slice's loader as documented, or stays as it is."""

from __future__ import annotations

import os
import random
import shutil
import struct
import time
from pathlib import Path

from kit.apps import SETTLED, write
from kit.elf_forge import program
from kit.harness import Harness
from kit.musl_root import in_musl, make_root
from kit.places import shelf
from kit.slices import appimage, make_slice, needed_of, place_of

CASES = 500
LOADER = b"/lib64/ld-linux-x86-64.so.2"
NUMBERS = [0, 1, 16, 55, 56, 0xFFFF, 1 << 31, 1 << 32, 1 << 63, (1 << 64) - 1, (1 << 64) - 56]


def damaged(chance: random.Random, real: bytes) -> bytes:
    """A program as linkers make it, or a forged one, most often with a few wrong fields in its tables, or cut."""
    kind = chance.randrange(12)
    if kind == 0:
        return chance.randbytes(chance.randrange(60, 3000))
    if kind < 5:
        raw, last = bytearray(real), 64 + 56 * 13
    else:
        interpreter = LOADER + (b"\0" if kind > 6 else chance.choice([b"", b"\0\0", b"\0x"]))
        gap = chance.choice([0, 64, 300, 600, 5000])
        raw, last = bytearray(program(interpreter=interpreter, gap=gap, tail=chance.choice([b"", b"tail"]))), 176
    dynamic = real.index(struct.pack("<Q", 0x6FFFFFFE))  # DT_VERNEED, in its dynamic section
    (versions,) = struct.unpack_from("<Q", real, dynamic + 8)  # an address, in the first segment
    for _ in range(chance.randrange(4)):
        code = chance.choice(["<H", "<I", "<Q"])
        at = chance.choice([*range(16, 64), *range(64, last)])
        if kind < 5 and chance.randrange(2):
            at = chance.choice([*range(dynamic - 200, dynamic + 32), *range(versions, versions + 64)])
        value = chance.choice(NUMBERS) & ((1 << 8 * struct.calcsize(code)) - 1)
        struct.pack_into(code, raw, at, value)
    return bytes(raw[: chance.choice([len(raw)] * 6 + [130, 1000])])


def test_each_program_is_changed_as_documented_or_not_at_all(
    harness: Harness, tmp_path: Path, sanitized_door: Path
) -> None:
    chance = random.Random(15)
    real = Path("/usr/bin/env").read_bytes()
    appdir = tmp_path / "AppDir"
    appdir.mkdir()
    contents = {f"program {number:03}": damaged(chance, real) for number in range(CASES)}
    for name, content in contents.items():
        write(appdir / name, content, 0o755)
    write(appdir / "AppRun", "#!/bin/sh\n", 0o755)
    apps = tmp_path / "apps"
    place = place_of(apps / "data")
    make_slice(place / "glibc.slice")
    appimage(appdir, apps / "lies.AppImage")
    time.sleep(SETTLED)
    root = make_root(tmp_path / "root")
    # With the sanitizers it is a program of glibc, which that root has not: what it needs comes along by itself.
    folder = apps / "door"
    folder.mkdir()
    bring(sanitized_door, folder)
    door = ["/apps/door/ld-linux-x86-64.so.2", "--library-path", "/apps/door", "/apps/door/tmprun"]
    env = {"XDG_DATA_HOME": "/apps/data", "TMPRUN_STORE": "/apps/store", "ASAN_OPTIONS": "detect_leaks=0"}
    tree = in_musl(harness, root, apps, *door, "@build", "--", "/apps/lies.AppImage", env=env)
    inside = os.fsdecode(tree.stdout.removesuffix(b"\n"))
    assert b"Sanitizer" not in tree.stderr and inside.startswith("/apps/store/"), str(tree)
    done = in_musl(harness, root, apps, *door, "@verify", "--tree", inside, "--", "/apps/lies.AppImage", env=env)
    assert done.stdout == b""
    loader = next(iter(shelf(apps / "store", "tree").glob("*/tree/lib/ld-linux-x86-64.so.2")))
    path = b"/apps/" + os.fsencode(loader.relative_to(apps)) + b"\0"
    outside = apps / Path(inside).relative_to("/apps")
    changed = [name for name, raw in contents.items() if check(raw, (outside / name).read_bytes(), path)]
    assert 100 < len(changed) < CASES


def bring(program: Path, folder: Path) -> None:
    shutil.copy(program, folder / "tmprun")
    for name in needed_of(program):
        found = next(path for path in Path("/lib/x86_64-linux-gnu").glob(name))
        shutil.copy(found, folder / name)
    shutil.copy("/lib64/ld-linux-x86-64.so.2", folder)


def check(raw: bytes, made: bytes, path: bytes) -> bool:
    """Whether the program was changed; if so, by the path in zeros or at its end, and two numbers."""
    if raw == made:
        return False
    at = made.index(path)
    before = raw[at : at + len(path)]
    assert before.strip(b"\0") == b"" and (at + len(path) <= len(raw) or at == len(raw))
    table, size, count = struct.unpack_from("<Q", raw, 32)[0], 56, struct.unpack_from("<H", raw, 56)[0]
    (header,) = [table + size * n for n in range(count) if struct.unpack_from("<I", raw, table + size * n)[0] == 3]
    expected = bytearray(raw.ljust(max(len(raw), at + len(path)), b"\0"))
    expected[at : at + len(path)] = path
    struct.pack_into("<Q", expected, header + 8, at)
    struct.pack_into("<Q", expected, header + 32, len(path))
    assert made == bytes(expected)
    return True
