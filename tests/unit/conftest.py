"""An AppDir, a place for the bundle, and a stub that needs no engine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.packing import script
from kit.store_layout import store_in_memory

from tmprun.engine import programs
from tmprun.store.shelves import Root

STUB_SOURCE = '__attribute__((section(".upd_info"), used)) const char update[1024]; void _start(void) { for (;;); }'


@pytest.fixture(scope="session")
def stub(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small ELF program with the section that the real stubs have: packing needs no more of them."""
    folder = tmp_path_factory.mktemp("stub")
    (folder / "stub.c").write_text(STUB_SOURCE)
    subprocess.run(["cc", "-static", "-nostdlib", "-o", "stub", "stub.c"], cwd=folder, check=True)
    return (folder / "stub").read_bytes()


@pytest.fixture
def engine(stub: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stubs for all machines, and no SOURCE_DATE_EPOCH unless a test sets one."""
    folder = tmp_path / "engine"
    for machine in programs.MACHINES:
        (folder / machine).mkdir(parents=True)
        (folder / machine / "stub").write_bytes(stub)
    monkeypatch.setattr(programs, "ENGINE", str(folder))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    return folder


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[Root]:
    """A store in memory; modules whose tests need another say so."""
    with store_in_memory(monkeypatch) as made:
        yield made


@pytest.fixture
def appdir(engine: Path, tmp_path: Path) -> Path:
    """An AppDir that can be packed; tests add what they are about."""
    folder = tmp_path / "App.AppDir"
    script(folder / "AppRun")
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where the bundle goes: the only thing in its directory, so that what is left over shows."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "app"
