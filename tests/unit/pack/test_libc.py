"""Run paths, and what this machine knows about its libraries and packages."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tmprun.elf import run_paths as elf_paths
from tmprun.elf.facts import facts_of
from tmprun.errors import TmprunError
from tmprun.host.libraries import SystemLibraries
from tmprun.host.packages import packages_of

MACHINE = os.uname().machine


@pytest.mark.parametrize(
    ("entry", "directory", "expected"),
    [
        ("$ORIGIN/../lib", "usr/bin", "usr/lib"), ("${ORIGIN}/../lib", "usr/bin", "usr/lib"), ("$ORIGIN", "lib", "lib"),
        ("$ORIGIN/../../../etc", "usr/bin", None), ("/usr/lib", "usr/bin", None), ("$ORIGINS/x", "usr", None),
        ("$ORIGIN/$LIB", "usr/bin", None), ("relative", "usr/bin", None), ("$ORIGIN/..", "usr", "."),
    ],
)  # fmt: skip
def test_what_an_entry_names_inside_of_the_tree(entry: str, directory: str, expected: str | None) -> None:
    assert elf_paths.inside(entry, directory) == expected


def test_run_paths_are_relative_and_name_each_directory_once() -> None:
    made = elf_paths.run_path("usr/bin", [".tmprun/own", "usr/lib"], ["usr/lib", "usr/bin", ".tmprun/lib"])
    assert made == "$ORIGIN/../../.tmprun/own:$ORIGIN/../lib:$ORIGIN:$ORIGIN/../../.tmprun/lib"


def test_writing_a_run_path_keeps_times_and_mode_and_takes_the_runpath_away(tmp_path: Path) -> None:
    (tmp_path / "x.c").write_text("int main(void) { return 7; }")
    program = tmp_path / "x"
    subprocess.run(["cc", "-o", program, tmp_path / "x.c", "-Wl,--enable-new-dtags,-rpath,/old"], check=True)
    program.chmod(0o555)
    os.utime(program, ns=(10**18, 10**18 + 7))
    elf_paths.write(str(program), "$ORIGIN/a:$ORIGIN/" + "b" * 300)
    with open(program, "rb") as file:
        found = facts_of(file)
    assert found is not None and (found.runpath, found.rpath) == ((), ("$ORIGIN/a", "$ORIGIN/" + "b" * 300))
    assert program.stat().st_mtime_ns == 10**18 + 7 and program.stat().st_mode & 0o777 == 0o555
    assert subprocess.run([program], check=False).returncode == 7


def test_what_patchelf_refuses_is_an_error_with_a_name(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    with pytest.raises(TmprunError, match="patchelf cannot change"):
        elf_paths.write(str(tmp_path / "text"), "$ORIGIN")


def test_libraries_of_this_machine(tmp_path: Path) -> None:
    system = SystemLibraries(MACHINE)
    path = system.find("libm.so.6")
    assert path is not None and path.endswith("/libm.so.6")
    assert system.find("libm.so.6", ["$ORIGIN", "/no/such"]) == path
    assert system.find("libnothing.so.1") is None
    (tmp_path / "libm.so.6").write_bytes(Path(path).read_bytes())
    assert system.find("libm.so.6", [str(tmp_path)]) == str(tmp_path / "libm.so.6")
    assert SystemLibraries("riscv64").find("libm.so.6", [str(tmp_path)]) is None


def test_packages_and_licences(tmp_path: Path) -> None:
    (package,) = packages_of([os.path.realpath(f"/lib/{MACHINE}-linux-gnu/libc.so.6")])
    assert (package.name, bool(package.version)) == ("libc6", True) and any(
        name.startswith("LGPL-2.1") for name in package.licences
    )
    assert packages_of([str(tmp_path / "of nobody")]) == []
