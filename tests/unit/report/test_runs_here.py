"""What `tmprun info` says about an image and this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tmprun.libc.shelf import Slice
from tmprun.report import runs_here
from tmprun.report.newer_libraries import Library
from tmprun.report.runs_here import Needs, libc_version, verdict

NAME = "ld-linux-x86-64.so.2"


@pytest.fixture
def machine(tmp_path: Path) -> str:
    """A loader with a glibc 2.30 beside it, behind a symlink; its path."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib64").mkdir()
    loader = tmp_path / "lib" / "ld-2.30.so"
    loader.write_bytes(b"")
    loader.chmod(0o755)
    banner = b"GNU C Library (Some GLIBC 2.30-1) stable release version 2.30.\n"
    (tmp_path / "lib" / "libc.so.6").write_bytes(bytes(5000) + banner + bytes(5000))
    (tmp_path / "lib64" / NAME).symlink_to("../lib/ld-2.30.so")
    return str(tmp_path / "lib64" / NAME)


def test_the_version_stands_in_the_library_beside_the_loader(machine: str, tmp_path: Path) -> None:
    assert libc_version(machine) == (2, 30)
    assert libc_version(str(tmp_path / "none")) is None


@pytest.mark.parametrize(
    ("glibc", "brought", "expected"),
    [
        ((2, 30), False, "yes"),
        ((), False, "yes"),
        (
            (2, 31),
            False,
            "no: needs glibc 2.31, this machine has 2.30, and the image brings no C library; on a machine",
        ),
        ((2, 31), True, "yes, with the C library that it brings (needs glibc 2.31, this machine has 2.30)"),
    ],
)
def test_versions(machine: str, glibc: tuple[int, ...], brought: bool, expected: str) -> None:
    needs = Needs(machine, glibc, "/bin/sh", frozenset([machine] if brought else []))
    assert verdict(needs).startswith(expected)


def test_a_machine_without_that_loader(tmp_path: Path) -> None:
    said = verdict(Needs(str(tmp_path / NAME), (2, 34)))
    assert said.startswith("no: needs glibc 2.34, this ") and "tmprun libc make" in said and "tmprun libc add" in said
    assert verdict(Needs(str(tmp_path / NAME), (), "", frozenset([str(tmp_path / NAME)]))).startswith("yes, with")
    assert "ld-musl-x86_64.so.1, which this machine lacks" in verdict(Needs(str(tmp_path / "ld-musl-x86_64.so.1")))


def test_a_slice_has_what_is_missing(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = os.uname().machine
    rows = (("old", here, "2.31"), ("new", here, "2.36"), ("x", "mips", "9.1"))
    added = [Slice(f"/d/{name}.slice", made_for, glibc) for name, made_for, glibc in rows]
    added.append(Slice("/d/half.slice", trouble="it is no slice, or not whole"))
    monkeypatch.setattr(runs_here, "slices", lambda: added)
    assert verdict(Needs(machine, (2, 30))) == "yes"
    assert verdict(Needs(machine, (2, 35))).startswith("yes, with the C library of /d/new.slice (needs glibc 2.35, ")
    assert verdict(Needs(machine, (2, 37))).startswith("no: needs glibc 2.37, ")
    missing = f"AppRun needs the loader {machine}, which this machine lacks; install it"
    assert verdict(Needs(machine, (2, 35), obstacle=missing)).startswith("yes, with the C library of /d/new.slice")
    assert verdict(Needs(machine, (2, 35), obstacle="AppRun is empty")) == "no: AppRun is empty"


def test_libraries_that_want_more_than_the_slice_has(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a start chooses: a slice that has enough for them, too, else one for the programs; and then they are named."""
    added = [Slice("/d/a.slice", os.uname().machine, "2.36"), Slice("/d/b.slice", os.uname().machine, "2.38")]
    monkeypatch.setattr(runs_here, "slices", lambda: added)
    first, second = Library("lib/liba.so.1", (2, 38)), Library("lib/lib\nb.so", (2, 37))
    with_slice = "yes, with the C library of /d/b.slice (needs glibc 2.38, this machine has 2.30)"
    assert verdict(Needs(machine, (2, 30), libraries=(first, second))) == with_slice
    added.pop()
    said = verdict(Needs(machine, (2, 34), libraries=(first, second)))
    assert said.startswith("yes, with the C library of /d/a.slice (needs glibc 2.34, this machine has 2.30); ")
    assert said.endswith("lib/liba.so.1 and 1 more in it require up to glibc 2.38, so what loads that may fail")
    said = verdict(Needs(machine, (2, 30), libraries=(second,)))
    assert said == r"yes; lib/lib\nb.so in it requires up to glibc 2.37, so what loads that may fail"
    assert "liba" not in verdict(Needs(machine, (2, 30), brought=frozenset([machine]), libraries=(first,)))


def test_a_static_apprun_runs(machine: str) -> None:
    said = verdict(Needs(machine, (2, 31), static=True))
    assert said.startswith("yes, as AppRun is static; of its other programs: needs glibc 2.31, this machine has 2.30")


def test_scripts_and_static_programs() -> None:
    assert verdict(Needs()) == "yes"
    assert verdict(Needs(script="/no/such/python", obstacle="AppRun needs it")) == "no: AppRun needs it"
    brought = frozenset(["/no/such/python"])
    assert verdict(Needs(script="/no/such/python", brought=brought, obstacle="AppRun needs it")) == "yes"


def test_what_it_brings_mends_no_broken_apprun(machine: str) -> None:
    brought = frozenset([machine])
    assert verdict(Needs(machine, brought=brought, obstacle="AppRun is empty")) == "no: AppRun is empty"
    missing = f"AppRun needs the loader {machine}, which this machine lacks; install it"
    assert verdict(Needs(machine, brought=brought, obstacle=missing)) == "yes"
    assert verdict(Needs(machine, script="/bin/sh\r", brought=brought, obstacle="CRLF")) == "no: CRLF"
