"""Packages as rpmbuild makes them: the tree is bsdtar's, and they run."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest
from kit.apps import SETTLED
from kit.archives import Unpacked
from kit.bundle_reader import Bundle
from kit.harness import Harness

SPEC = """Name: greet
Version: 1.2
Release: 3
Summary: Says what it is told
License: CC0
BuildArch: noarch
AutoReqProv: no
%description
Says what it is told.
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/opt/greet %{buildroot}/usr/share/greet %{buildroot}/usr/share/applications
printf '#!/bin/sh\\necho "$(cat "$(dirname "$0")/../../usr/share/greet/word")" "$@"\\n' > %{buildroot}/opt/greet/greet
chmod 755 %{buildroot}/opt/greet/greet
echo hello > %{buildroot}/usr/share/greet/word
ln %{buildroot}/usr/share/greet/word %{buildroot}/usr/share/greet/same
head -c 300000 /dev/zero | tr '\\0' x > %{buildroot}/usr/share/greet/large
ln -s /opt/greet/greet %{buildroot}/usr/bin/greet
cd %{buildroot}/usr/share/applications
printf '[Desktop Entry]\\nType=Application\\nName=Greet\\nExec=/opt/greet/greet %%%%U\\n' > greet.desktop
%files
/usr/bin/greet
/opt/greet
/usr/share/greet
/usr/share/applications/greet.desktop
%post
echo a script that nobody runs
"""
PAYLOADS = {"gzip": "w9.gzdio", "xz": "w6.xzdio", "zstd, as Fedora's": "w19.zstdio", "bzip2": "w9.bzdio"}


def rpm(folder: Path, payload: str) -> Path:
    spec = folder / "greet.spec"
    spec.write_text(SPEC)
    subprocess.run(
        ["rpmbuild", "--quiet", "-bb", "--define", f"_topdir {folder}/rpm", "--define", f"_binary_payload {payload}",
         "--define", "_build_id_links none", "--buildroot", folder / "root", spec],
        check=True, capture_output=True,
    )  # fmt: skip
    (made,) = (folder / "rpm" / "RPMS").glob("*/*.rpm")
    return made


@pytest.mark.parametrize("name", PAYLOADS)
def test_an_rpm(harness: Harness, door_with_python: Path, tmp_path: Path, name: str) -> None:
    package = rpm(tmp_path, PAYLOADS[name])
    ours = Unpacked.by_us(package.read_bytes(), tmp_path / "ours")
    assert ours.tree == Unpacked.by_bsdtar(package, tmp_path / "theirs").tree and len(ours.tree) >= 10
    harness.door = door_with_python
    time.sleep(SETTLED)
    for _ in range(2):
        result = harness.run(harness.door, package, "a b")
        assert (result.stdout, result.stderr) == (b"hello a b\n", b"")
    harness.run(harness.door, "convert", package, "-o", "greet", "--level", "1")
    assert harness.run(harness.work / "greet", "x").stdout == b"hello x\n"
    facts = json.loads(Bundle(harness.work / "greet").index.metadata)
    assert facts["package"] == {"name": "greet", "version": "1.2-3", "machine": ""}
    assert facts["starts"] == "opt/greet/greet"
