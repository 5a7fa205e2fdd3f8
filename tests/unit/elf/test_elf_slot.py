"""Finding a program's interpreter, and room for a longer one, in files that may lie."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.elf_forge import EHDR, LOADER, PHDR, program
from kit.places import PUBLISHED

from tmprun.elf.interpreter_slot import Slot, Unfit, slot_of
from tmprun.index.rules import AT_END

LONG = b"/run/user/1000/tmprun" + PUBLISHED.encode() + b"0" * 64 + b"/tree/.tmprun/libc/ld-linux-x86-64.so.2\0"


def look(raw: bytes) -> Slot | None:
    return slot_of(lambda offset, length: raw[offset : offset + length], len(raw))


def changed(raw: bytes, slot: Slot, path: bytes = LONG) -> bytes:
    """What the engine does with a slot."""
    out = bytearray(raw)
    out[slot.at : slot.at + len(path)] = path
    struct.pack_into("<Q", out, slot.header + 8, slot.at)
    struct.pack_into("<Q", out, slot.header + 32, len(path))
    return bytes(out)


def interpreter(raw: bytes) -> bytes:
    """What the kernel reads."""
    (at,) = struct.unpack_from("<Q", raw, 32)
    (count,) = struct.unpack_from("<H", raw, 56)
    for number in range(count):
        kind, _, offset, _, _, size, _, _ = PHDR.unpack_from(raw, at + number * PHDR.size)
        if kind == 3:
            return raw[offset : offset + size]
    return b""


def test_a_gap_between_segments_takes_the_path() -> None:
    raw = program()
    slot = look(raw)
    assert slot is not None and slot.path == LOADER[:-1] and 512 <= slot.room <= 4096
    assert interpreter(changed(raw, slot)) == LONG


@pytest.mark.parametrize("sections", [True, False])
def test_without_a_gap_the_path_goes_behind_the_end(sections: bool) -> None:
    raw = program(gap=0, sections=sections)
    slot = look(raw)
    assert slot is not None and (slot.at, slot.room) == (len(raw), AT_END)
    assert interpreter(changed(raw, slot)) == LONG


def test_bytes_that_nobody_owns_and_that_are_no_zeros_are_somebodys() -> None:
    raw = program(filler=b"\1")
    slot = look(raw)
    assert slot is not None and slot.room == AT_END


def test_a_small_gap_is_better_than_somebodys_tail() -> None:
    slot = look(program(gap=300, tail=b"payload"))
    assert slot is not None and slot.room == 300


def test_a_program_that_owns_its_tail_and_has_no_gap_is_left_alone() -> None:
    with pytest.raises(Unfit, match="behind its end"):
        look(program(gap=0, tail=b"payload"))


@pytest.mark.parametrize(
    ("interpreter", "reason"),
    [
        (LOADER[:-1], "name is damaged"),
        (b"lib/ld.so\0", "name is damaged"),
        (b"/lib/ld\0.so\0", "name is damaged"),
        (b"/lib/\nld.so\0", "name is damaged"),
        (b"/" + b"x" * 255 + b"\0", "name is damaged"),
        (b"/" + b"x" * 5000 + b"\0", "name is damaged"),
    ],
)
def test_names_that_are_none(interpreter: bytes, reason: str) -> None:
    with pytest.raises(Unfit, match=reason):
        look(program(interpreter=interpreter))


@pytest.mark.parametrize(
    "field", ["e_phnum", "e_phoff", "e_phentsize", "e_shoff", "e_shnum", "e_shentsize", "p_offset"]
)
def test_headers_that_lie(field: str) -> None:
    places = {
        "e_phnum": (56, "<H", 65535), "e_phoff": (32, "<Q", 1 << 60), "e_phentsize": (54, "<H", 55),
        "e_shoff": (40, "<Q", 1 << 60), "e_shnum": (60, "<H", 65535), "e_shentsize": (58, "<H", 1),
        "p_offset": (EHDR.size + 8, "<Q", 1 << 62),
    }  # fmt: skip
    at, code, value = places[field]
    raw = bytearray(program())
    struct.pack_into(code, raw, at, value)
    with pytest.raises(Unfit):
        look(bytes(raw))


@pytest.mark.parametrize(("at", "value"), [(4, 1), (5, 2), (6, 2), (0, 0)])
def test_other_classes_byte_orders_and_versions_are_no_programs_of_ours(at: int, value: int) -> None:
    raw = bytearray(program())
    raw[at] = value
    assert look(bytes(raw)) is None


def test_real_programs_have_room() -> None:
    for path in ("/usr/bin/git", "/bin/ls", "/usr/bin/env"):
        raw = Path(path).read_bytes()
        slot = look(raw)
        assert slot is not None and interpreter(changed(raw, slot)) == LONG


numbers = st.one_of(
    st.integers(0, 4096), st.sampled_from([0xFFFF, 1 << 31, 1 << 32, 1 << 63, (1 << 64) - 1, (1 << 64) - 56])
)


@settings(max_examples=500, deadline=None)
@given(
    st.builds(
        program, gap=st.sampled_from([0, 10, 255, 256, 511, 512, 5000]),
        tail=st.sampled_from([b"", b"tail", bytes(600)]), sections=st.booleans(),
        interpreter=st.sampled_from([LOADER, LOADER[:-1], b"\0", b"/x\0"]),
    ),
    st.lists(st.tuples(st.integers(0, 330), st.sampled_from(["<H", "<I", "<Q"]), numbers), max_size=4),
    st.one_of(st.none(), st.integers(0, 400)),
)  # fmt: skip
def test_whatever_the_headers_say_only_documented_bytes_change(
    raw: bytes, lies: list[tuple[int, str, int]], cut: int | None
) -> None:
    damaged = bytearray(raw)
    for at, code, value in lies:
        size = struct.calcsize(code)
        if at + size <= len(damaged):
            struct.pack_into(code, damaged, at, value & ((1 << 8 * size) - 1))
    raw = bytes(damaged[:cut])
    try:
        slot = look(raw)
    except Unfit:
        return
    if slot is None:
        return
    assert slot.at + len(LONG) <= len(raw) or slot.room == AT_END
    after = changed(raw, slot)
    allowed = {*range(slot.header + 8, slot.header + 16), *range(slot.header + 32, slot.header + 40)}
    if slot.room != AT_END:
        assert not any(raw[slot.at : slot.at + slot.room])
        allowed |= set(range(slot.at, slot.at + slot.room))
    else:
        assert slot.at == len(raw)
    assert {at for at, (old, new) in enumerate(zip(raw, after, strict=False)) if old != new} <= allowed
    assert interpreter(after) == LONG
