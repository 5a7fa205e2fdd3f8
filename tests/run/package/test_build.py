"""The engine as it is built: what kind of programs these are, for both machines, and that building is repeatable."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from kit.apps import App
from kit.harness import STUB_LIMIT

from tmprun import __version__
from tmprun.engine.programs import ENGINE, door, stub_for

ROOT = Path(__file__).resolve().parents[3]
MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}
SECTIONS = {".upd_info": 1024, ".sha256_sig": 1024, ".sig_key": 8192}


def programs() -> list[Path]:
    return [Path(ENGINE, machine, name) for machine in MACHINES for name in ("stub", "tmprun")]


@pytest.fixture(params=programs(), ids=lambda path: f"{path.parent.name}-{path.name}")
def program(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_it_needs_nothing_of_the_host(program: Path) -> None:
    """No loader and no library; nothing is both writable and executable, and symbols are for who builds it."""
    with program.open("rb") as file:
        elf = ELFFile(file)
        kinds = {segment["p_type"]: segment for segment in elf.iter_segments()}
        tags = {tag.entry.d_tag for tag in kinds["PT_DYNAMIC"].iter_tags()} if "PT_DYNAMIC" in kinds else set()
        assert elf["e_machine"] == MACHINES[program.parent.name]
        assert "PT_INTERP" not in kinds
        assert not tags & {"DT_NEEDED", "DT_TEXTREL"}
        assert all(segment["p_flags"] & 3 != 3 for segment in elf.iter_segments())
        assert elf.get_section_by_name(".symtab") is None


@pytest.mark.parametrize("machine", MACHINES)
def test_the_front_door_is_hardened(machine: str) -> None:
    """Loaded at a random address, its relocated data read-only: it reads files from strangers."""
    with open(door(machine), "rb") as file:
        elf = ELFFile(file)
        assert elf["e_type"] == "ET_DYN"
        assert "PT_GNU_RELRO" in {segment["p_type"] for segment in elf.iter_segments()}


def test_it_carries_the_licences(program: Path) -> None:
    with program.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".notices")
        assert section is not None
        assert section.data() == (ROOT / "THIRD-PARTY-LICENSES").read_bytes()


@pytest.mark.parametrize("machine", MACHINES)
def test_the_stub_is_small_and_has_the_sections_of_an_appimage(machine: str) -> None:
    stub = Path(ENGINE, machine, "stub")
    assert stub.stat().st_size <= STUB_LIMIT
    with stub.open("rb") as file:
        elf = ELFFile(file)
        for name, size in SECTIONS.items():
            section = elf.get_section_by_name(name)
            assert section is not None
            assert section.data() == bytes(size)


@pytest.mark.parametrize(("machine", "processor"), [("x86_64", "Nehalem"), ("x86_64", "Haswell"), ("aarch64", "max")])
def test_every_processor_extracts_the_same(machine: str, processor: str, app: App, tmp_path: Path) -> None:
    """With BMI2 and SHA instructions and without; by emulation, which need not know leases or exec."""
    emulator = [f"qemu-{machine}-static", "-cpu", processor]
    door = Path(ENGINE, machine, "tmprun")
    into = tmp_path / "into"
    into.mkdir()
    subprocess.run([*emulator, door, "@extract", "--into", into, "--", app.bundle], check=True, capture_output=True)
    subprocess.run(["diff", "-r", "--no-dereference", app.appdir, into], check=True)


def test_the_same_sources_give_the_same_bytes_elsewhere(tmp_path: Path) -> None:
    """Another folder, another umask, nothing compiled before."""
    copy = tmp_path / "elsewhere"
    (copy / "build").mkdir(parents=True)
    shutil.copytree(ROOT / "stub", copy / "stub")
    shutil.copytree(ROOT / "build" / "sources", copy / "build" / "sources")
    shutil.copytree(ROOT / "build" / "made", copy / "stub" / "made")  # as an sdist has it
    for name in ("tmprun/__init__.py", "THIRD-PARTY-LICENSES"):
        (copy / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    machine = os.uname().machine
    subprocess.run([sys.executable, "stub/build.py", machine], cwd=copy, umask=0o077, check=True, capture_output=True)
    for name in ("stub", "tmprun"):
        assert (copy / "tmprun/engine" / machine / name).read_bytes() == Path(ENGINE, machine, name).read_bytes()


def test_the_stub_knows_its_version() -> None:
    assert __version__.encode() in stub_for(os.uname().machine)


def test_a_source_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    """Even when it lies where a good one would: pip is asked again, and without an index that is the end."""
    copy = tmp_path / "copy"
    sources = copy / "build" / "sources"
    sources.mkdir(parents=True)
    shutil.copytree(ROOT / "stub", copy / "stub")
    for file in (ROOT / "build" / "sources").glob("*.tar.gz"):
        (sources / file.name).write_bytes(file.read_bytes() + b"\0")
    environment = {"PATH": os.environ["PATH"], "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    command = [sys.executable, "stub/build.py", os.uname().machine]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "build.py: pip could not download zstd,deflate,lz4,pylzma" in done.stderr
    assert not (copy / "tmprun").exists()
