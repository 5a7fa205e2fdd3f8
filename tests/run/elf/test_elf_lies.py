"""500 programs whose headers, or whose fixups, lie, through an engine that stops at the first wrong memory access."""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

from kit.elf_forge import program
from kit.harness import Harness

from tmprun.bundle.write import write_bundle
from tmprun.engine.programs import stub_for
from tmprun.index.nodes import Fixup, Interpreter, Node
from tmprun.index.rules import AT_END, DIRECTORY, FILE, FIXUP_ELF, FIXUP_SCRIPT, SYMLINK

CASES = 500
MISSING = b"/no/such/ld-linux-x86-64.so.2"
NUMBERS = [0, 1, 55, 56, 0xFFFF, 1 << 31, 1 << 32, 1 << 63, (1 << 64) - 1, (1 << 64) - 56]


def damaged(chance: random.Random) -> bytes:
    """A program, most often with a few wrong fields, or cut, or a script, or no bytes of sense at all."""
    kind = chance.randrange(10)
    if kind == 0:
        return chance.randbytes(chance.randrange(60, 5000))
    if kind == 1:
        return b"#!" + b" " * chance.randrange(3) + MISSING + b" -x" * chance.randrange(90) + b"\nrest\n" * 20
    interpreter = MISSING + (b"\0" if kind > 3 else chance.choice([b"", b"\0\0", b"\0x"]))
    gap = chance.choice([0, 64, 300, 600, 5000])
    raw = bytearray(program(interpreter=interpreter, gap=gap, tail=chance.choice([b"", b"tail"])))
    for _ in range(chance.randrange(4)):
        code = chance.choice(["<H", "<I", "<Q"])
        at = chance.choice([*range(64), *range(64, 176)])
        value = chance.choice(NUMBERS) & ((1 << 8 * struct.calcsize(code)) - 1)
        struct.pack_into(code, raw, at, value)
    return bytes(raw[: chance.choice([len(raw)] * 4 + [130])])


def lie(chance: random.Random, node: Node, interpreter: Interpreter, raw: bytes) -> Fixup:
    """A fixup that the format allows for this file, right or wrong."""
    if raw.startswith(b"#!") or chance.randrange(20) == 0:
        return Fixup(node, interpreter, FIXUP_SCRIPT, chance.choice([2, 2, 3, 4, 255]), 0, len(interpreter.path))
    last = len(raw) - 56
    header = min(last, chance.choice([64, 64, 64, 64, 0, 120, last, chance.randrange(last)]))
    if chance.randrange(3) == 0:
        return Fixup(node, interpreter, FIXUP_ELF, header, len(raw), AT_END)
    at = chance.choice([206, 206, 206, 210, chance.randrange(len(raw))])
    at = min(at, len(raw) - 1)
    return Fixup(node, interpreter, FIXUP_ELF, header, at, chance.randrange(1, len(raw) - at + 1))


def changed(raw: bytes, fix: Fixup, path: bytes) -> bytes:
    if fix.kind == FIXUP_SCRIPT:
        return b"#!" + path + raw[fix.header + fix.room :]
    out = bytearray(raw)
    out[fix.at : fix.at + len(path) + 1] = path + b"\0"
    struct.pack_into("<Q", out, fix.header + 8, fix.at)
    struct.pack_into("<Q", out, fix.header + 32, len(path) + 1)
    return bytes(out)


def test_each_file_is_changed_as_documented_or_not_at_all(harness: Harness, sanitized_door: Path) -> None:
    chance = random.Random(4)
    root = Node(b"", DIRECTORY)
    loader = root.add(Node(b"loader", FILE))
    loader.first, loader.size = True, 6
    link = root.add(Node(b"own", SYMLINK))
    link.target, link.size = b"nowhere", 7
    interpreter = Interpreter(MISSING, loader, 0, link, b"loader")
    contents = {loader: b"loader"}
    fixups = []
    for number in range(CASES):
        node = root.add(Node(b"program %03d" % number, FILE))
        contents[node] = damaged(chance)
        node.first, node.size = True, len(contents[node])
        fixups.append(lie(chance, node, interpreter, contents[node]))
    bundle = harness.base / "lies"
    with open(bundle, "wb") as file:
        stub = stub_for(os.uname().machine)
        write_bundle(file, stub, root, lambda node: [contents[node]], level=1, fixups=fixups)
    tree = Path(os.fsdecode(harness.run(sanitized_door, "@build", "--", bundle).stdout.removesuffix(b"\n")))
    path = os.fsencode(tree) + b"/loader"
    found = {fix.node: (tree / os.fsdecode(fix.node.name)).read_bytes() for fix in fixups}
    same = [fix for fix in fixups if found[fix.node] == contents[fix.node]]
    others = [fix for fix in fixups if found[fix.node] != contents[fix.node]]
    assert all(found[fix.node] == changed(contents[fix.node], fix, path) for fix in others)
    assert len(same) > 100 and len(others) > 20
    assert os.readlink(tree / "own") == "loader"
    verify = harness.run(sanitized_door, "@verify", "--tree", tree, "--", bundle)
    assert verify.stdout == b""
