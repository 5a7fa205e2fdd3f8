"""The wheel, installed in every way that people install: the front door finds its Python, and only that.

Each way is tried with what needs Python most: the first start of an AppImage of another make, and a report in JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kit.apps import SETTLED, App, write

from tmprun import __version__
from tmprun.cli import shipped
from tmprun.cli.app import everything

Command = list[str | Path]
BASE = Path(sys._base_executable)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Wheels:
    """The wheel of this tree, and a folder with those of all that it needs."""

    ours: Path
    folder: Path

    @property
    def pip(self) -> Command:
        return [sys.executable, "-m", "pip"]

    @property
    def offline(self) -> Command:
        return ["-q", "--no-index", "--find-links", self.folder, self.ours]


def succeed(*command: str | Path, **changes: str) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **changes}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="session")
def wheels(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Wheels:
    folder = tmp_path_factory.mktemp("wheels")
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "-d", folder, wheel], check=True)
    return Wheels(wheel, folder)


def in_venv(wheels: Wheels, base: Path) -> Path:
    succeed(BASE, "-m", "venv", "--without-pip", base / "venv")
    succeed(*wheels.pip, "--python", base / "venv" / "bin" / "python", "install", *wheels.offline)
    return base / "venv" / "bin"


def in_a_venv_that_was_moved(wheels: Wheels, base: Path) -> Path:
    in_venv(wheels, base)
    return (base / "venv").rename(base / "elsewhere") / "bin"


def in_a_venv_with_a_long_path(wheels: Wheels, base: Path) -> Path:
    """Its scripts begin with #!/bin/sh: the kernel takes no longer line, and none with a space."""
    deep = base / ("a long name" * 15)
    deep.mkdir()
    return in_venv(wheels, deep)


def for_the_user(wheels: Wheels, base: Path) -> Path:
    command: Command = [*wheels.pip, "--python", BASE, "install", "--user", "--break-system-packages", *wheels.offline]
    succeed(*command, HOME=str(base))
    return base / ".local" / "bin"


def into_a_folder(wheels: Wheels, base: Path) -> Path:
    succeed(*wheels.pip, "--python", BASE, "install", "--target", base / "folder", *wheels.offline)
    return base / "folder" / "bin"


def by_pipx(wheels: Wheels, base: Path) -> Path:
    options = f"--no-index --find-links {wheels.folder}"
    command: Command = [
        sys.executable,
        "-m",
        "pipx",
        "install",
        "-q",
        "--python",
        BASE,
        "--pip-args",
        options,
        wheels.ours,
    ]
    succeed(*command, HOME=str(base), PIPX_HOME=str(base / "pipx"), PIPX_BIN_DIR=str(base / "bin"))
    return base / "bin"


def by_uv(wheels: Wheels, base: Path) -> Path:
    command: Command = [sys.executable, "-m", "uv", "tool", "install", "--python", BASE, *wheels.offline]
    succeed(*command, HOME=str(base), UV_TOOL_DIR=str(base / "tools"), UV_TOOL_BIN_DIR=str(base / "bin"))
    return base / "bin"


WAYS = (in_venv, in_a_venv_that_was_moved, in_a_venv_with_a_long_path, for_the_user, into_a_folder, by_pipx, by_uv)


class Place:
    """One installation: the folder of its programs, and a home and a store for those who start them."""

    def __init__(self, programs: Path, base: Path) -> None:
        self.programs = programs
        self.base = base
        self.work = base / "work"
        self.work.mkdir()

    def run(
        self, *command: str | Path, cwd: Path | None = None, status: int = 0, **changes: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.base), "TMPRUN_STORE": str(self.base / "store")}
        words = [str(self.programs / command[0]), *command[1:]]
        options: dict[str, Any] = {"cwd": cwd or self.work, "env": environment | changes}
        done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
        assert done.returncode == status, f"{command}\n{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: way.__name__)
def place(request: pytest.FixtureRequest, wheels: Wheels, tmp_path_factory: pytest.TempPathFactory) -> Place:
    base = tmp_path_factory.mktemp("way")
    install: Callable[[Wheels, Path], Path] = request.param
    return Place(install(wheels, base), base)


def test_it_starts_an_appimage_that_it_has_never_seen(place: Place, foreign: App) -> None:
    assert place.run("tmprun", foreign.bundle, "probe:report").stdout.startswith("{")


def test_its_commands_work(place: Place, foreign: App) -> None:
    assert json.loads(place.run("tmprun", "info", "--json", foreign.bundle).stdout)["type"] == "AppImage type 2"
    assert place.run("tmprun", "cache", "list").stdout.startswith("KEY")
    found = json.loads(place.run("tmprun", "doctor", "--json").stdout)
    assert found["engine"]["door"] == os.path.realpath(place.programs / "tmprun")


def test_nothing_that_is_meant_for_the_app_steers_it(place: Place, foreign: App) -> None:
    """Neither modules in PYTHONPATH, in the working directory and in the user's site, nor a wrong PYTHONHOME."""
    folder = place.base / "misleading"
    folder.mkdir()
    for name in ("tmprun", "json", "typer", "sitecustomize"):
        write(folder / f"{name}.py", "import sys; sys.exit('misled')")
    for changes in ({"PYTHONPATH": str(folder), "PYTHONUSERBASE": "/none"}, {"PYTHONHOME": "/nowhere"}):
        done = place.run("tmprun", "info", "--json", foreign.bundle, cwd=folder, **changes)
        assert json.loads(done.stdout)["key"]


def test_python_runs_it_as_a_module(place: Place, app: App, wheels: Wheels) -> None:
    """With whatever Python sees the package: of an isolated one (pipx, uv), its own."""
    python = os.path.realpath(place.programs / "tmprun").rpartition("/")[0] + "/python"
    paths = {"PYTHONPATH": str(place.programs.parent)} if place.programs.parent.name == "folder" else {}
    command = python if os.path.exists(python) else str(BASE)
    assert place.run(command, "-m", "tmprun", "--version", **paths).stdout == f"tmprun {__version__}\n"
    assert place.run(command, "-m", "tmprun", app.bundle, "probe:report", **paths).stdout.startswith("{")
    assert place.run(command, "-m", "tmprun", "cache", "list", **paths).stdout.startswith("KEY")


def test_a_front_door_that_is_alone_says_what_it_lacks(harness_door: Path) -> None:
    """It still starts bundles, and answers for its help."""
    done = subprocess.run([harness_door, "info", "x"], capture_output=True, text=True, check=False)
    assert done.returncode == 127
    assert "(tmprun-py)" in done.stderr
    assert "pip" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture
def harness_door(tmp_path: Path, door: Path) -> Path:
    return Path(shutil.copy(door, tmp_path / "tmprun"))


def test_a_script_for_a_python_that_is_gone_is_named(harness_door: Path) -> None:
    """After an upgrade of the distribution, for instance."""
    write(harness_door.parent / "tmprun-py", "#!/nowhere/bin/python3.9\nraise SystemExit\n", 0o755)
    done = subprocess.run([harness_door, "info", "x"], capture_output=True, text=True, check=False)
    assert done.returncode == 127
    assert f"{harness_door.parent}/tmprun-py was made for a Python that is not there" in done.stderr


def test_a_python_without_the_package_is_named(harness_door: Path) -> None:
    write(harness_door.parent / "tmprun-py", f"#!{BASE}\nraise SystemExit\n", 0o755)
    done = subprocess.run([harness_door, "info", "x"], capture_output=True, text=True, check=False)
    assert done.returncode == 127
    assert "has no package tmprun" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_package_that_a_stranger_has_put_there_is_not_run(harness_door: Path, nobody: int) -> None:
    """The parent of the front door's folder is where `pip install --target` puts packages; it may be everybody's."""
    write(harness_door.parent / "tmprun-py", f"#!{BASE}\nraise SystemExit\n", 0o755)
    package = harness_door.parent.parent / "tmprun"
    package.mkdir()
    write(package / "__init__.py", "")
    write(package / "main.py", "def main(door):\n    print('taken over')\n")
    command = [harness_door, "info", "x"]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == "taken over\n", "a control"
    os.chown(package / "main.py", nobody, nobody)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 127)


def test_help_is_the_command_lines_own(door: Path) -> None:
    """The front door prints, to the byte, what Python would: the pages are made of the same declarations."""
    pages = dict(shipped.pages(everything()))
    alone = subprocess.run([door], capture_output=True, text=True, check=False)
    assert (alone.stdout, alone.stderr, alone.returncode) == ("", pages.pop(shipped.ALONE), 127)
    assert {"", "run", "pack", "cache", "cache prune", "bench"} <= pages.keys()
    for words, page in pages.items():
        for command in ([*words.split(), "--help"], [*words.split(), "-h"], ["help", *words.split()]):
            done = subprocess.run([door, *command], capture_output=True, text=True, check=False)
            assert (done.stdout, done.stderr, done.returncode) == (page, "", 0), command
    assert max(len(line) for page in pages.values() for line in page.splitlines()) <= 80


def test_completions_and_the_manual_page_are_installed(wheels: Wheels) -> None:
    with zipfile.ZipFile(wheels.ours) as archive:
        found = {name.partition(".data/data/share/")[2]: name for name in archive.namelist() if "/data/share/" in name}
        for path, text in shipped.share(everything()).items():
            assert archive.read(found[path]).decode() == text


def test_help_is_not_taken_from_the_app(app: App, harness_door: Path, tmp_path: Path) -> None:
    """An option behind the name of an app is the app's, also when the app has a command's name and a slash."""
    named = Path(shutil.copy(app.bundle, tmp_path / "info"))
    time.sleep(SETTLED)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TMPRUN_STORE": str(tmp_path / "store")}
    for command in ([named, "probe:report", "--help"], ["run", named, "probe:report", "--help"]):
        done = subprocess.run([harness_door, *command], env=environment, capture_output=True, text=True, check=False)
        assert '"--help"' in done.stdout, done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["help", "pack"]])
def test_a_full_disk_is_noticed(door: Path, arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([door, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 127
    assert done.stderr == "tmprun: cannot print: no space left\n"
