"""The other compiler that there is for this machine: its stub is small too, and its programs start an app."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
from kit.apps import App
from kit.harness import STUB_LIMIT, Harness, environ_of

from tmprun.engine import programs
from tmprun.pack.pack import pack

pytestmark = pytest.mark.timeout(900)  # zig compiles musl at its first use

ROOT = Path(__file__).resolve().parents[3]
MACHINE = os.uname().machine


def engine_build() -> ModuleType:
    """stub/build.py, which is part of no package."""
    spec = importlib.util.spec_from_file_location("engine_build_of_tests", ROOT / "stub" / "build.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def by_zig(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like tmprun/engine with what zig makes for this machine. Its objects stay in build/objects."""
    build, into = engine_build(), tmp_path_factory.mktemp("engine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPRUN_CC", f"{sys.executable} -m ziglang cc -target {MACHINE}-linux-musl")
        for name in build.PROGRAMS:
            build.make(build.toolchain(MACHINE, name), name, into / MACHINE)
    return into


def test_the_stub_is_small(by_zig: Path) -> None:
    stub = by_zig / MACHINE / "stub"
    assert stub.read_bytes() != (Path(programs.ENGINE) / MACHINE / "stub").read_bytes()
    assert stub.stat().st_size <= STUB_LIMIT


def test_both_programs_start_an_app(
    by_zig: Path, app: App, harness: Harness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The front door a bundle, and the stub the bundle that it is the first part of."""
    monkeypatch.setattr(programs, "ENGINE", str(by_zig))
    pack(app.appdir, tmp_path / "app", level=1)
    for command in ([by_zig / MACHINE / "tmprun", app.bundle], [tmp_path / "app"]):
        report = harness.run(*command, "probe:report", "probe:sum").report()
        assert app.sums_seen(report, environ_of(report)["APPDIR"])
        harness.clear()
