"""What all tests of the real programs share: the harness, and the apps that they start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from kit.apps import SETTLED, App, compile_probe, packed, probe_appdir, write
from kit.gating import Gated, compile_reader, gated_bundle, gated_image
from kit.harness import Harness, engine, remove
from kit.surroundings import require_root
from tmprun_bench.measure.installation import lay_out

ROOT = Path(__file__).resolve().parent.parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engine", help="directory of the front door to test (default: the package's own)")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    funcargs = getattr(item, "funcargs", {})
    for value in funcargs.values():
        if report.failed and isinstance(value, Harness):
            report.sections.append(("what was run", value.describe()))
    return report


@pytest.fixture(scope="session")
def door(request: pytest.FixtureRequest, shared: Path) -> Path:
    """The front door, and the stub beside it, where every user can start them: others may be kept out of a checkout."""
    directory = request.config.getoption("--engine")
    folder = Path(directory).resolve() if directory else engine("tmprun").parent
    return Path(shutil.copytree(folder, shared / "engine")) / "tmprun"


@pytest.fixture(scope="session")
def sanitized_door() -> Path:
    """A front door that aborts at the first wrong access to memory."""
    command: list[str | Path] = [sys.executable, ROOT / "stub" / "build.py", "--sanitize"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return ROOT / "build" / "asan" / "tmprun"


@pytest.fixture(scope="session")
def door_with_python(door: Path, shared: Path) -> Path:
    """The front door with the Python command line beside it, as they are installed."""
    return lay_out(door, shared)


@pytest.fixture
def harness(tmp_path: Path, door: Path) -> Iterator[Harness]:
    """A private place on whatever file system the tests use."""
    with closing(Harness(tmp_path, door)) as harness:
        yield harness


@pytest.fixture
def in_memory(door: Path) -> Iterator[Harness]:
    """A private place on tmpfs that every user may enter."""
    base = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="tmprun-test-"))
    base.chmod(0o755)
    with closing(Harness(base, door)) as harness:
        yield harness
    remove(base)


@pytest.fixture(scope="session")
def shared() -> Iterator[Path]:
    """A directory for the whole session that every user may enter."""
    base = Path(tempfile.mkdtemp(prefix="tmprun-test-"))
    base.chmod(0o755)
    yield base
    shutil.rmtree(base)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This tree's wheel for this machine."""
    into = tmp_path_factory.mktemp("wheel")
    environment = {name: value for name, value in os.environ.items() if name != "TMPRUN_ENGINE_ARCHES"}
    command: list[str | Path] = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", into]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return next(into.glob("*.whl"))


@pytest.fixture(scope="session")
def probe(shared: Path) -> Path:
    return compile_probe(shared)


@pytest.fixture(scope="session")
def app(shared: Path, probe: Path) -> App:
    """A small app: the probe, and one of everything that an AppDir can hold."""
    (shared / "small").mkdir()
    return packed(probe_appdir(shared / "small", probe), shared / "small" / "probe app")


@pytest.fixture(scope="session")
def large_app(shared: Path, probe: Path) -> App:
    """The same with 12 MB: files in several frames, and enough work that a start can be interrupted."""
    (shared / "large").mkdir()
    return packed(probe_appdir(shared / "large", probe, large=12_000_000), shared / "large" / "probe app")


@pytest.fixture(scope="session")
def foreign(app: App) -> App:
    """The small app as an AppImage of type 2: a squashfs behind some ELF program."""
    image = app.bundle.with_name("foreign.AppImage")
    squashfs = image.with_suffix(".squashfs")
    command: list[str | Path] = [
        "mksquashfs",
        app.appdir,
        squashfs,
        "-comp",
        "zstd",
        "-all-root",
        "-quiet",
        "-no-progress",
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    write(image, (app.appdir / "AppRun").read_bytes() + squashfs.read_bytes(), 0o755)
    squashfs.unlink()
    time.sleep(SETTLED)
    return replace(app, bundle=image, key="")


@pytest.fixture(scope="session")
def gated_app(shared: Path) -> Gated:
    """An app that is worth gating (gating.py), as a bundle."""
    return gated_bundle(shared / "gated", compile_reader(shared))


@pytest.fixture(scope="session")
def gated_foreign(gated_app: Gated) -> Gated:
    return gated_image(gated_app, gated_app.image.with_name("reader.AppImage"))


@pytest.fixture(scope="session")
def nobody() -> int:
    """Another user's id; these tests can be that user only when they run as root."""
    require_root()
    return 1000


@pytest.fixture(autouse=True)
def usual_mask() -> Iterator[None]:
    mask = os.umask(0o022)
    yield
    os.umask(mask)
