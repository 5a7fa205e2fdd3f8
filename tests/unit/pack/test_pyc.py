"""Compiled Python files in bundles: Python itself says whether it takes them."""

from __future__ import annotations

import os
import py_compile
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from kit.bundle_reader import Bundle
from kit.packing import EPOCH, payload, quickly


def python_app(appdir: Path) -> Path:
    """A module `greet` and its compiled file, as pip would have installed them at some time."""
    source = appdir / "lib" / "greet.py"
    source.parent.mkdir()
    source.write_text("print('from greet')\n")
    os.utime(source, (1_500_000_000.75, 1_500_000_000.75))
    return source


def compiled_is_used(out: Path, into: Path) -> bool:
    """Whether Python takes the compiled `greet` when it imports that from the extracted bundle."""
    into.mkdir()
    subprocess.run(["bash", "-ec", f"{payload(out)} | zstd -dc | tar -xp"], cwd=into, check=True)
    command = [sys.executable, "-I", "-B", "-v", "-c", "import sys; sys.path.insert(0, 'lib'); import greet"]
    ran = subprocess.run(command, cwd=into, capture_output=True, text=True, check=True)
    assert "from greet" in ran.stdout
    loaded = [line for line in ran.stderr.splitlines() if line.startswith("# code object from ") and "greet" in line]
    assert len(loaded) == 1
    return ".pyc" in loaded[0]


@pytest.mark.parametrize("optimize", [-1, 2])
def test_compiled_files_stay_valid(
    optimize: int, appdir: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = python_app(appdir)
    py_compile.compile(str(source), optimize=optimize, invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))
    assert quickly(appdir, out).compiled == 1
    assert optimize == 2 or compiled_is_used(out, tmp_path / "x")
    (name,) = (name for name in Bundle(out).files() if name.endswith(b".pyc"))
    assert struct.unpack_from("<I", Bundle(out).files()[name], 8) == (EPOCH,)


def test_compiled_files_beside_their_source_and_behind_a_symlink_stay_valid(
    appdir: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = python_app(appdir)
    (source.parent / "alias.py").symlink_to("greet.py")
    for name in ("greet.pyc", "alias.pyc"):
        path = str(source.parent / name)
        py_compile.compile(str(source), path, invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))
    assert quickly(appdir, out).compiled == 2


def test_compiled_files_that_were_stale_stay_stale(
    appdir: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = python_app(appdir)
    py_compile.compile(str(source), invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
    os.utime(source, (1, 1))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))
    assert quickly(appdir, out).compiled == 0
    assert not compiled_is_used(out, tmp_path / "x")


def test_other_compiled_files_are_left_alone(appdir: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = python_app(appdir)
    hashed = py_compile.compile(str(source), invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
    assert hashed is not None
    kept = {hashed: Path(hashed).read_bytes()}
    for name, content in {"short.pyc": b"\x55\x0d\r\n", "orphan.pyc": b"x" * 100, "text.pyc": b""}.items():
        kept[str(source.parent / name)] = content
        (source.parent / name).write_bytes(content)
    (source.parent / "short.py").write_text("")
    (source.parent / "text.py").write_text("")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))
    assert quickly(appdir, out).compiled == 0
    files = Bundle(out).files()
    assert {path: files[os.fsencode(os.path.relpath(path, appdir))] for path in kept} == kept


def test_without_an_epoch_compiled_files_are_left_alone(appdir: Path, out: Path, tmp_path: Path) -> None:
    py_compile.compile(str(python_app(appdir)), invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
    assert quickly(appdir, out).compiled == 0
    assert compiled_is_used(out, tmp_path / "x")
