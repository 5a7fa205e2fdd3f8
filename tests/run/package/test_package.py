"""What pip installs: the wheels, the sdist, and an installation of each."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from types import ModuleType

import pytest
from elftools.elf.elffile import ELFFile
from kit.apps import App
from packaging.requirements import Requirement

pytestmark = pytest.mark.timeout(900)  # zig compiles musl at its first use

ROOT = Path(__file__).resolve().parents[3]
MACHINE = os.uname().machine
MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}
OTHER = next(machine for machine in MACHINES if machine != MACHINE)

# As the test's own make would have it; and nothing of a wheel for another machine, unless it is asked for.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "TMPRUN_ENGINE_ARCHES")
}
# Whatever would ask an index, or connect to anything, fails at once.
NOWHERE = "http://127.0.0.1:9"
OFFLINE = {
    "PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_NO_CACHE_DIR": "1",
    "http_proxy": NOWHERE, "https_proxy": NOWHERE,
}  # fmt: skip


def run(
    *command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None, status: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run to that end."""
    done = subprocess.run(
        command, cwd=cwd, env=env or ENVIRONMENT, capture_output=True, text=True, errors="replace", check=False
    )
    assert done.returncode == status, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make wheels` makes; with the Python that the tests run in."""
    folder = tmp_path_factory.mktemp("dist")
    run("make", "-o", "setup", "wheels", f"DIST={folder}", f"BIN={Path(sys.executable).parent}")
    return folder


@pytest.fixture(scope="module")
def wheels(made: Path) -> dict[str, Path]:
    return {machine: next(made.glob(f"*_{machine}.whl")) for machine in MACHINES}


@pytest.fixture(scope="module")
def sdist(made: Path) -> Path:
    return next(made.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def source(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, unpacked."""
    folder = tmp_path_factory.mktemp("source")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder)
    return folder / sdist.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist as `pip install` builds it, where there are hatchling and a compiler and no network."""
    folder = tmp_path_factory.mktemp("wheel")
    python = venv(folder / "venv")
    for each in closure(distribution("hatchling")):
        copy_into(each, site_packages(folder / "venv"))
    pip = [sys.executable, "-m", "pip", "--python", python, "wheel", "-q", "--no-deps", "--no-build-isolation"]
    run(*pip, "-w", folder, sdist, env=OFFLINE, cwd=folder)
    return next(folder.glob("*.whl"))


def venv(folder: Path, *, with_packages: bool = False) -> Path:
    """A virtual environment without pip; with the packages that this one has, but not with its programs. Its Python."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    if with_packages:
        (site_packages(folder) / "packages.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")
    return folder / "bin" / "python"


def site_packages(environment: Path) -> Path:
    return environment / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"


def closure(top: Distribution) -> Iterator[Distribution]:
    """A package and all that it needs here."""
    yield top
    for wanted in map(Requirement, top.requires or []):
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            yield from closure(distribution(wanted.name))


def copy_into(package: Distribution, folder: Path) -> None:
    for file in package.files or []:
        if ".." not in file.parts and "__pycache__" not in file.parts:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(package.locate_file(file), folder / file)


def install(wheel: Path, folder: Path) -> Path:
    """A virtual environment with that wheel, and the packages that it needs; returns its `bin`."""
    python = venv(folder, with_packages=True)
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel)
    return python.parent


# The files


def test_the_sdist_has_what_building_needs_and_no_measurements(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        sizes = {entry.name.partition("/")[2]: entry.size for entry in archive}
    assert {"stub/build.py", "stub/sources.txt", "hatch_build.py", "tests/conftest.py", "LICENSE"} <= {*sizes}
    assert len([name for name in sizes if name.startswith("build/sources/") and name.endswith(".tar.gz")]) == 4
    assert not [
        name
        for name in sizes
        if name.startswith((*(f"tmprun/engine/{each}/" for each in MACHINES), ".venv", "build/objects", "dist"))
    ]
    assert not [name for name in sizes if name.startswith("bench/runs/") and name.endswith(".json")]
    assert sum(size for name, size in sizes.items() if not name.startswith("build/sources/")) < 4_500_000


@pytest.mark.parametrize("machine", MACHINES)
def test_a_wheel_is_for_any_linux_of_its_machine(wheels: dict[str, Path], machine: str) -> None:
    tags = f"-py3-none-manylinux_2_17_{machine}.manylinux2014_{machine}.musllinux_1_1_{machine}.whl"
    assert wheels[machine].name.endswith(tags)
    assert wheels[machine].stat().st_size < 1_000_000
    with zipfile.ZipFile(wheels[machine]) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        doors = [name for name in names if archive.read(name)[:4] == b"\x7fELF" and "stub" not in name]
        assert [name.partition("/")[2] for name in doors] == ["scripts/tmprun"], "the front door is there once"
        with archive.open(doors[0]) as file:
            assert ELFFile(file)["e_machine"] == MACHINES[machine]
        for name in (doors[0], *(f"tmprun/engine/{each}/stub" for each in MACHINES)):
            assert archive.getinfo(name).external_attr >> 16 & 0o111
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not re.fullmatch(r"tmprun-[\d.]+\.(data|dist-info)", top)} == {"tmprun"}
    assert not [name for name in names if "__pycache__" in name or name.startswith("tmprun/bench/runs")]
    for notice in ("LICENSE", "THIRD-PARTY-LICENSES"):
        assert [name for name in names if name.endswith(f".dist-info/licenses/{notice}")]


def test_what_pip_builds_here_is_for_here_alone(wheel: Path, wheels: dict[str, Path]) -> None:
    assert wheel.name == wheels[MACHINE].name
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(wheels[MACHINE]) as other:
        assert {*other.namelist()} - {*one.namelist()} == {f"tmprun/engine/{OTHER}/stub"}


@pytest.mark.parametrize(("machines", "wanted"), [("", []), (MACHINE, []), (" ".join(MACHINES), ["ziglang"])])
def test_only_who_asks_for_another_machine_waits_for_zig(source: Path, machines: str, wanted: list[str]) -> None:
    program = "from hatchling.build import get_requires_for_build_wheel as wanted; print(*wanted())"
    said = run(sys.executable, "-c", program, cwd=source, env=OFFLINE | {"TMPRUN_ENGINE_ARCHES": machines}).stdout
    assert [re.split("[<>=]", word)[0] for word in said.split()] == wanted


@pytest.mark.parametrize(
    ("variable", "machine", "words"),
    [
        ("TMPRUN_ENGINE_ARCHES", "vax", "there is no engine for vax; TMPRUN_ENGINE_ARCHES may name x86_64, aarch64"),
        ("TMPRUN_WHEEL_MACHINE", "vax", "there is no engine for vax"),
        ("TMPRUN_ENGINE_ARCHES", OTHER, f"TMPRUN_ENGINE_ARCHES must name {MACHINE}, the machine of this wheel"),
    ],
)
def test_a_machine_that_cannot_be_is_refused(
    source: Path, variable: str, machine: str, words: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    done = run(*command, cwd=source, env=OFFLINE | {variable: machine}, status=1)
    assert f"tmprun: {words}" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


# The description


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    """hatch_build.py."""
    spec = importlib.util.spec_from_file_location("hatch_build_of_tests", ROOT / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def links(text: str) -> list[str]:
    return [link for link in re.findall(r"\]\(([^)]*)\)", text) if not link.startswith("#")]


def test_no_link_of_the_description_leads_nowhere(wheels: dict[str, Path], hook: ModuleType) -> None:
    with zipfile.ZipFile(wheels[MACHINE]) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        text = archive.read(name).decode().partition("\n\n")[2]
    readme = (ROOT / "README.md").read_text()
    assert text.startswith("# tmprun\n")
    assert all(link.startswith("https://") for link in links(text))
    repository = "https://host.example/somebody/tmprun"
    public = links(hook.description(readme, repository))
    assert len(public) == len(links(readme)) and all(link.startswith("https://") for link in public)
    for link in public:
        if link.startswith(repository):
            assert (ROOT / re.sub(r"^/(blob|raw)/HEAD/|#.*", "", link.removeprefix(repository))).exists(), link


def test_links_of_a_description(hook: ModuleType) -> None:
    text = "[a b](docs/x.md#y) [c](https://d.example/) [e](#f) ![g](h.svg)"
    assert hook.description(text, "") == "a b [c](https://d.example/) [e](#f) "
    there = hook.description(text, "https://r.example/o/p")
    assert "[a b](https://r.example/o/p/blob/HEAD/docs/x.md#y)" in there
    assert "![g](https://r.example/o/p/raw/HEAD/h.svg)" in there
    assert "[c](https://d.example/) [e](#f)" in there


# Installations


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an installation of what was built here."""
    return install(wheel, tmp_path_factory.mktemp("installed") / "venv")


def settings(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPRUN_STORE": str(folder / "store")}


def check(scripts: Path, door: Path) -> None:
    """`tmprun` is the front door itself, beside `tmprun-py`, and Python finds it."""
    engine = ROOT / "tmprun" / "engine" / MACHINE / "tmprun"
    assert (scripts / "tmprun").read_bytes() == engine.read_bytes()
    assert os.access(scripts / "tmprun", os.X_OK)
    assert (scripts / "tmprun-py").read_text().startswith("#!")
    run(scripts / "tmprun", "@roots")
    found = run(scripts / "python", "-I", "-c", "import tmprun.engine.programs as e; print(e.door())").stdout.strip()
    assert found == str(door)


def test_an_installed_wheel(installed: Path, app: App, tmp_path: Path) -> None:
    where = run(installed / "python", "-I", "-c", "import tmprun; print(tmprun.__path__[0])").stdout.strip()
    assert Path(where).is_relative_to(installed.parent)
    check(installed, installed / "tmprun")
    env = settings(tmp_path)
    run(installed / "tmprun", "extract", app.bundle, cwd=tmp_path, env=env)
    run("diff", "-r", "--no-dereference", app.appdir, tmp_path / "squashfs-root")


def test_the_benchmark_of_an_installed_wheel(installed: Path, app: App, tmp_path: Path) -> None:
    def bench(*arguments: str | Path) -> str:
        return run(installed / "tmprun", "bench", *arguments, cwd=tmp_path, env=settings(tmp_path)).stdout

    assert "\n  warm-start " in bench("--list")
    bench("--runs", "1", "--json", "measured.json", app.bundle)
    measured = json.loads((tmp_path / "measured.json").read_text())
    assert [series for result in measured["results"] for series in result["series"]]


def test_a_bundle_for_a_machine_whose_stub_is_not_installed(installed: Path, tmp_path: Path) -> None:
    appdir = tmp_path / "App"
    appdir.mkdir()
    shutil.copy(ROOT / "tmprun" / "engine" / OTHER / "stub", appdir / "AppRun")
    done = run(installed / "tmprun", "pack", appdir, "-o", "out", cwd=tmp_path, env=settings(tmp_path), status=127)
    remedy = "install its wheel, or its source with TMPRUN_ENGINE_ARCHES=aarch64,x86_64 set"
    assert done.stderr == f"tmprun: this installation of tmprun has no stub for {OTHER}; {remedy}\n"


def test_a_bundle_for_another_machine(wheels: dict[str, Path], tmp_path: Path) -> None:
    scripts = install(wheels[MACHINE], tmp_path / "venv")
    appdir, stub = tmp_path / "App", ROOT / "tmprun" / "engine" / OTHER / "stub"
    appdir.mkdir()
    shutil.copy(stub, appdir / "AppRun")
    run(scripts / "tmprun", "pack", appdir, "-o", "out", cwd=tmp_path, env=settings(tmp_path))
    with (tmp_path / "out").open("rb") as file:
        assert ELFFile(file)["e_machine"] == MACHINES[OTHER]


def test_an_editable_installation(tmp_path: Path) -> None:
    python = venv(tmp_path / "venv")
    build = "import sys; from hatchling.build import build_editable; print(build_editable(sys.argv[1]))"
    name = run(sys.executable, "-c", build, tmp_path).stdout.strip().splitlines()[-1]
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", tmp_path / name)
    check(python.parent, ROOT / "tmprun" / "engine" / MACHINE / "tmprun")


def test_a_build_whose_packages_are_on_its_path_alone(tmp_path: Path) -> None:
    """As `pip install .` has it: the interpreter knows none of what the build asked for."""
    python, packages = venv(tmp_path / "venv"), tmp_path / "packages"
    build = "from hatchling.build import *; print(*get_requires_for_build_wheel(), sep='\\n')"
    wanted = run(sys.executable, "-c", build).stdout.splitlines()
    assert any(each.startswith("typer") for each in wanted)
    for name in ("hatchling", *(Requirement(each).name for each in wanted)):
        for each in closure(distribution(name)):
            copy_into(each, packages)
    build = "import sys; from hatchling.build import *; print(build_wheel(sys.argv[1]))"
    name = run(python, "-c", build, tmp_path, env=ENVIRONMENT | {"PYTHONPATH": str(packages)}).stdout.splitlines()[-1]
    assert (tmp_path / name).stat().st_size > 100_000
