"""The ELF files that patchelf's own tests use, from Debian's source package: many machines, and headers that lie."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tmprun.elf.facts import facts_of
from tmprun.elf.interpreter_slot import slot_of

CACHE = Path(__file__).parents[3] / "build" / "corpora" / "patchelf"
SOURCES = """
base=$(apt-get indextargets --format '$(REPO_URI)' | grep -v security | head -n 1)
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $base bookworm main" > s.list
mkdir -p lists/partial archives/partial
options="-q -o Dir::Etc::SourceList=$PWD/s.list -o Dir::Etc::SourceParts=/dev/null -o Dir::State::lists=$PWD/lists"
options="$options -o Dir::Cache=$PWD/archives -o APT::Sandbox::User=root"
apt-get $options update
apt-get $options source --download-only patchelf
"""


def archive() -> Path:
    """The source package's archive, fetched once."""
    found = sorted(CACHE.glob("patchelf_*.orig.tar.*"))
    if not found:
        CACHE.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["sh", "-eu", "-c", SOURCES], cwd=CACHE, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        found = sorted(CACHE.glob("patchelf_*.orig.tar.*"))
    return found[0]


@pytest.fixture(scope="module")
def programs() -> dict[str, bytes]:
    with tarfile.open(archive()) as tar:
        contents = {
            os.path.basename(os.path.dirname(member.name)) + "/" + os.path.basename(member.name): file.read()
            for member in tar
            if "/tests/" in member.name and member.isfile() and (file := tar.extractfile(member))
        }
    return {name: raw for name, raw in contents.items() if raw[:4] == b"\x7fELF"}


def test_each_is_understood_or_unknown(programs: dict[str, bytes]) -> None:
    assert len(programs) >= 20
    machines = {name: found.machine if (found := facts_of(io.BytesIO(raw))) else None for name, raw in programs.items()}
    assert {machine for name, machine in machines.items() if name.startswith("invalid-elf/")} == {None}
    assert machines["no-rpath-prebuild/no-rpath-amd64"] == "x86_64"
    assert machines["no-rpath-prebuild/no-rpath-i386"] == "i386"
    assert machines["ppc64le/main"] == "ppc64le"


def test_a_new_path_never_overwrites_anything(programs: dict[str, bytes]) -> None:
    slots = 0
    for name, raw in programs.items():
        slot = slot_of(lambda offset, length, raw=raw: raw[offset : offset + length], len(raw))
        if slot is None:
            continue
        slots += 1
        assert slot.at >= len(raw) or not any(raw[slot.at : slot.at + slot.room]), name
        assert not name.startswith("invalid-elf/")
    assert slots
