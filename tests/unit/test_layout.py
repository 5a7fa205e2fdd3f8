"""The shape of the repository: which module may import which, and what no file may contain."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tmprun import engine

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "tmprun"

# cli -> pack, convert, store, engine and the rest -> images -> index -> errors. Within a layer no cycle.
LAYERS = {"errors": 0, "index": 1, "images": 2, "output": 4, "cli": 4, "main": 5}
REST = 3
# Small facts that stand alone: anyone may use them, they use nothing but errors.
ALONE = {"clock", "desktop", "draft", "human", "memory", "missing", "pyc", "removal", "sections", "usage"}

SLOW = {
    "argparse",
    "dataclasses",
    "inspect",
    "json",
    "logging",
    "pathlib",
    "re",
    "subprocess",
    "tempfile",
    "typer",
    "typing",
}


def modules() -> dict[str, Path]:
    """Every module of the package, by its name below `tmprun`."""
    files = [file for file in PACKAGE.rglob("*.py") if file.name != "__init__.py"]
    return {".".join(file.relative_to(PACKAGE).with_suffix("").parts): file for file in files}


def imported(file: Path) -> set[str]:
    """The package's modules that `file` imports anywhere, in functions too."""
    known = modules()
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.removeprefix("tmprun.") for name in names} & known.keys()


def layer(module: str) -> int:
    top = module.split(".")[0]
    return LAYERS["cli"] if top.startswith("cli_") else LAYERS.get(top, REST)


def test_imports_point_down() -> None:
    """No module imports from a layer above its own."""
    wrong = [
        f"{module} imports {name}"
        for module, file in modules().items()
        for name in imported(file)
        if (name != "errors" if module in ALONE else layer(name) > layer(module) and name not in ALONE)
    ]
    assert not wrong


def test_no_import_cycle() -> None:
    TopologicalSorter({module: imported(file) for module, file in modules().items()}).prepare()


def test_the_engine_is_found() -> None:
    """There is a front door and a stub for each machine, and the module that finds them is no namespace package."""
    assert engine.__file__ is not None
    for machine in engine.MACHINES:
        assert Path(engine.door(machine)).name == "tmprun"
        assert engine.stub(machine).startswith(b"\x7fELF")


def test_the_importer_loads_nothing_slow() -> None:
    """A first start waits for these imports."""
    code = "import sys; before = set(sys.modules); import tmprun.importer; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({str(ROOT)!r}); {code}"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert not SLOW & set(done.stdout.split())


def files() -> Iterator[Path]:
    """What is, or is about to be, in the repository; all that is there where git does not know the tree."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, check=False
    )
    if listed.returncode == 0:
        names = [name.decode() for name in listed.stdout.split(b"\0") if name]
    else:
        names = [
            str(file.relative_to(ROOT))
            for folder in ("tmprun", "stub", "tests", "docs", "bench")
            for file in (ROOT / folder).rglob("*")
        ]
    for name in names:
        if (ROOT / name).is_file():
            yield ROOT / name


def registry_hosts() -> set[str]:
    """The hosts that pip, npm and apt are set up to ask on this machine: facts about it, not about the project."""
    asked = [
        [sys.executable, "-c", "from pip._internal.models.index import PyPI; print(PyPI.url)"],
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        ["npm", "config", "get", "registry"],
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"],
    ]
    words: list[str] = []
    for command in asked:
        try:
            words += subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout.split()
        except FileNotFoundError:
            continue
    return {host for word in words if (host := urlsplit(word).hostname)}


@pytest.fixture(scope="module")
def foreign_words() -> set[bytes]:
    """The path of this very checkout, and the registries' hosts."""
    hosts = registry_hosts()
    assert hosts, "pip itself names one"
    return {word.encode() for word in {str(ROOT) + "/", *hosts}}


def test_nothing_of_this_machine_is_in_the_tree(foreign_words: set[bytes]) -> None:
    found = [
        f"{file.relative_to(ROOT)}: {word.decode()}"
        for file in files()
        for word in foreign_words
        if word in file.read_bytes()
    ]
    assert not found


def test_no_generated_file_is_tracked() -> None:
    """The engine and the decoders' sources are made or fetched, never committed."""
    assert not [
        file
        for file in files()
        if file.suffix in {".so", ".o", ".a", ".gz", ".whl"} or PACKAGE / "engine" in file.parents
    ]
