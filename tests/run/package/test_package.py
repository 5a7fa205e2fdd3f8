"""What pip installs: the wheel, the sdist, and an installation of each, made for this machine alone to be quick."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MACHINE = os.uname().machine


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run to success, with the engine of this machine only."""
    environment = os.environ | {"TMPRUN_ENGINE_ARCHES": MACHINE}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def venv(folder: Path) -> Path:
    """A virtual environment that sees this one's packages, but not this project's scripts; returns its Python."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    return folder / "bin" / "python"


def test_the_sdist_carries_the_pinned_sources(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"stub/build.py", "stub/sources.txt", "hatch_build.py", "tests/conftest.py", "LICENSE"} <= names
    assert len([name for name in names if name.startswith("build/sources/") and name.endswith(".tar.gz")]) == 2
    assert not [name for name in names if name.startswith((f"tmprun/engine/{MACHINE}/", ".venv", "build/objects"))]


def test_the_wheel_is_for_any_linux_of_this_machine(wheel: Path) -> None:
    assert wheel.name.endswith(
        f"-py3-none-manylinux_2_17_{MACHINE}.manylinux2014_{MACHINE}.musllinux_1_1_{MACHINE}.whl"
    )
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        for name in ("stub", "tmprun"):
            assert archive.getinfo(f"tmprun/engine/{MACHINE}/{name}").external_attr >> 16 & 0o111
    assert [name for name in names if name.endswith(".data/scripts/tmprun")]
    for notice in ("LICENSE", "THIRD-PARTY-LICENSES"):
        assert [name for name in names if name.endswith(f".dist-info/licenses/{notice}")]
    assert not [name for name in names if name.startswith(("stub/", "tests/", "build/"))]


def check(python: Path, engine: Path) -> None:
    """`tmprun` is the front door itself, beside `tmprun-py`."""
    scripts = python.parent
    assert (scripts / "tmprun").read_bytes() == engine.read_bytes()
    assert os.access(scripts / "tmprun", os.X_OK)
    assert (scripts / "tmprun-py").read_text().startswith("#!")
    run(scripts / "tmprun", "@roots")
    found = run(python, "-I", "-c", "import tmprun.engine.programs as e; print(e.door())").stdout.strip()
    assert found == str(engine)


def test_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    python = venv(tmp_path / "venv")
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", wheel)
    where = run(python, "-I", "-c", "import tmprun; print(tmprun.__path__[0])").stdout.strip()
    assert Path(where).is_relative_to(tmp_path)
    check(python, Path(where) / "engine" / MACHINE / "tmprun")


def test_an_editable_installation(tmp_path: Path) -> None:
    python = venv(tmp_path / "venv")
    build = "import sys; from hatchling.build import build_editable; print(build_editable(sys.argv[1]))"
    name = run(sys.executable, "-c", build, tmp_path).stdout.strip().splitlines()[-1]
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", tmp_path / name)
    check(python, ROOT / "tmprun" / "engine" / MACHINE / "tmprun")
