"""Facts about ELF files, real ones and ones that lie."""

from __future__ import annotations

import io
import os
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.elf_forge import program

from tmprun.elf.facts import Facts, facts_of

SOURCE = "int main(void) { return 0; }"


def built(folder: Path, *flags: str, source: str = SOURCE) -> Facts:
    (folder / "source.c").write_text(source)
    subprocess.run(["cc", "-o", folder / "out", folder / "source.c", *flags], check=True)
    with open(folder / "out", "rb") as file:
        found = facts_of(file)
    assert found is not None
    return found


def of(raw: bytes) -> Facts | None:
    return facts_of(io.BytesIO(raw))


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        ((), "program"), (("-no-pie",), "program"), (("-static",), "static"), (("-static-pie",), "static-pie"),
        (("-shared", "-fPIC", "-Wl,-soname,libx.so.1"), "library"), (("-shared", "-fPIC", "-nostdlib"), "library"),
        (("-c",), "other"),
    ],
)  # fmt: skip
def test_kinds(tmp_path: Path, flags: tuple[str, ...], kind: str) -> None:
    found = built(tmp_path, *flags)
    assert found.kind == kind and found.bits == 64 and found.machine == os.uname().machine
    assert bool(found.interpreter) == (kind == "program")


def test_what_it_needs(tmp_path: Path) -> None:
    found = built(tmp_path, "-Wl,--no-as-needed", "-lm", "-Wl,--disable-new-dtags,-rpath,$ORIGIN/../lib:/opt/lib")
    assert found.needed == ("libm.so.6", "libc.so.6")
    assert (found.rpath, found.runpath) == (("$ORIGIN/../lib", "/opt/lib"), ())
    assert found.glibc >= (2, 2)


def test_a_runpath_hides_an_rpath(tmp_path: Path) -> None:
    found = built(tmp_path, "-shared", "-fPIC", "-Wl,--enable-new-dtags,-rpath,$ORIGIN,-soname,libx.so.1")
    assert (found.runpath, found.search, found.soname) == (("$ORIGIN",), ("$ORIGIN",), "libx.so.1")


def test_data_behind_the_end(tmp_path: Path) -> None:
    found = built(tmp_path)
    raw = (tmp_path / "out").read_bytes()
    assert found.end == len(raw)
    longer = of(raw + b"payload")
    assert longer is not None and longer.end == len(raw)


@pytest.mark.parametrize("raw", [b"", b"\x7fELF", b"\x7fELF" + bytes(100), b"#!/bin/sh\n" * 20, program()[:70]])
def test_what_is_no_elf_file_has_no_facts(raw: bytes) -> None:
    assert of(raw) is None


@pytest.mark.timeout(60)
def test_65535_program_headers_are_not_believed() -> None:
    raw = bytearray(program())
    struct.pack_into("<H", raw, 56, 65535)
    assert of(bytes(raw) + bytes(65535 * 56)) is None


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=12),
    st.one_of(st.none(), st.integers(0, 70000)),
    st.sampled_from(["/bin/ls", "/usr/lib/x86_64-linux-gnu/libm.so.6", ""]),
)
def test_no_lie_is_more_than_unknown(changes: list[tuple[int, int]], cut: int | None, path: str) -> None:
    raw = bytearray(Path(path).read_bytes() if path and Path(path).exists() else program())
    for at, value in changes:
        raw[(at % 900) % len(raw)] = value
    found = of(bytes(raw[:cut]))
    assert found is None or isinstance(found.end, int)
