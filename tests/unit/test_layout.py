"""The shape of the repository: which module may import which, and what no file may contain."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from kit.trees import below

from tmprun.engine import programs

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "tmprun"

# From the ground up: a folder uses itself, what stands before it, and the package's own modules that are the ground.
FLOORS = (
    "index", "elf", "engine", "host", "desktop", "images", "bundle", "archives", "store", "start", "pack", "convert",
    "libc", "report", "menus", "oci", "cli",
)  # fmt: skip
GROUND = {"__init__", "clock", "errors", "human", "missing"}
# Where the process begins.
ROOF = {"main", "__main__"}

# The benchmark's. Of tmprun it may use everything but the command line, which loads the benchmark when it is asked for.
BENCH = PACKAGE.parent / "bench" / "tmprun_bench"
BENCH_FLOORS = ("programs", "corpora", "measure", "subjects", "report", "pictures", "cases", "own")
BENCH_GROUND = {"__init__", "errors", "extras", "places"}
BENCH_ROOF = {"command", "__main__"}


def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Every module of a package, by its name below it."""
    files = package.rglob("*.py")
    return {".".join(file.relative_to(package).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def imported(text: str, package: str) -> set[tuple[str, str]]:
    """What of `package` the text imports anywhere, in functions too: modules below it, and names in them or none."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{package}."):
            found |= {(f"{node.module}".removeprefix(package).lstrip("."), alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            names = (alias.name for alias in node.names if alias.name.startswith(f"{package}."))
            found |= {(name.removeprefix(f"{package}."), "") for name in names}
    return found


def graph(texts: dict[str, str], package: str) -> dict[str, set[str]]:
    """Which module needs which others. Who takes a module from a folder does not need what the folder's face is."""
    arrows = {}
    for module, text in texts.items():
        named = {(f"{parent}.{name}".strip("."), parent) for parent, name in imported(text, package)}
        arrows[module] = {full if full in texts else parent for full, parent in named} & texts.keys() - {module}
    return arrows


def texts(package: Path) -> dict[str, str]:
    return {module: file.read_text() for module, file in modules(package).items()}


def folder(module: str) -> str:
    return module.partition(".")[0]


def upward(arrows: dict[str, set[str]], floors: tuple[str, ...], ground: set[str]) -> list[str]:
    """Imports that do not lead down. What is in no folder, and not on the ground, is above all floors."""

    def height(module: str) -> int:
        name = folder(module)
        return -1 if name in ground else floors.index(name) if name in floors else len(floors)

    return [f"{here} imports {there}" for here, all in arrows.items() for there in all if height(there) > height(here)]


def test_every_module_has_its_floor() -> None:
    assert {folder(module) for module in modules()} == {*FLOORS, *GROUND, *ROOF}
    assert {folder(module) for module in modules(BENCH)} == {*BENCH_FLOORS, *BENCH_GROUND, *BENCH_ROOF}


def test_imports_point_down() -> None:
    assert upward(graph(texts(PACKAGE), "tmprun"), FLOORS, GROUND) == []
    assert upward(graph(texts(BENCH), "tmprun_bench"), BENCH_FLOORS, BENCH_GROUND) == []


def test_no_two_modules_need_each_other() -> None:
    """Not within a folder either, where there are no floors."""
    TopologicalSorter(graph(texts(PACKAGE), "tmprun")).prepare()
    TopologicalSorter(graph(texts(BENCH), "tmprun_bench")).prepare()


def test_an_arrow_up_and_a_circle_would_be_seen() -> None:
    changed = texts(PACKAGE)
    changed["index.rules"] += "\nfrom tmprun.store import layout\n"
    assert upward(graph(changed, "tmprun"), FLOORS, GROUND) == ["index.rules imports store.layout"]
    changed = texts(PACKAGE)
    changed["index.rules"] += "\ndef late():\n    import tmprun.index.walk\n"
    with pytest.raises(ValueError, match="cycle"):
        TopologicalSorter(graph(changed, "tmprun")).prepare()


def test_the_two_packages_meet_in_one_place() -> None:
    """The command line's `bench` alone knows the benchmark, and nothing of the benchmark but its start knows that."""
    assert {module for module, text in texts(PACKAGE).items() if imported(text, "tmprun_bench")} == {"cli.bench"}
    users = {
        module for module, text in texts(BENCH).items() if any(folder(m) == "cli" for m, _ in imported(text, "tmprun"))
    }
    assert users <= BENCH_ROOF


# What is said once.


def said(pattern: str) -> set[str]:
    """The modules that have a string, no docstring, which the pattern matches somewhere."""
    found = set()
    for module, text in texts(PACKAGE).items():
        tree = ast.parse(text)
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        strings = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in prose)
        if any(isinstance(each.value, str | bytes) and re.search(pattern, _text(each.value)) for each in strings):
            found.add(module)
    return found


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def test_the_layout_of_a_store_is_known_to_one_module() -> None:
    assert said(r"(?<!config\.)(?<!manifest\.)(?<!index\.)(?<!layer\.)\bv1\b") == {"store.layout"}
    for name in ("lock", "stage", "trash", "known", "lease"):
        assert said(rf"^{name}$") - {"cli.cache"} == {"store.layout"}, name


def test_the_layout_of_a_store_is_known_to_one_module_of_the_tests() -> None:
    lines = [(path.name, line) for path in (ROOT / "tests").rglob("*.py") for line in path.read_text().splitlines()]
    assert [name for name, line in lines if re.search(r"\bv1\b", line) and "git-lfs" not in line] == ["places.py"]


def test_the_layout_of_elf_headers_is_known_to_one_module() -> None:
    """Who takes fields out of them knows where they are; only that module, and the one with machines, do."""
    known = {name for name, text in texts(PACKAGE).items() if folder(name) in ("elf", "images", "report", "pack")
             and "import struct" in text and "ELF" in text}  # fmt: skip
    assert known <= {"elf.header", "elf.machines"}


def test_nothing_depends_on_an_assertion() -> None:
    """`python -O` leaves them out."""
    found = [name for name, text in texts(PACKAGE).items() for node in ast.walk(ast.parse(text))
             if isinstance(node, ast.Assert)]  # fmt: skip
    assert found == []


def test_what_is_imported_keeps_its_name() -> None:
    """Only a command, whose function is called as it is, may not call what it uses so, too."""
    found = []
    for module, text in texts(PACKAGE).items():
        tree = ast.parse(text)
        targets = [each.targets[0] for each in tree.body if isinstance(each, ast.Assign)]
        own = {each.id for each in targets if isinstance(each, ast.Name)}
        own |= {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}
        renamed = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)
                   for alias in node.names if alias.asname}  # fmt: skip
        found += [f"{module}: {name}" for name in renamed - (own if folder(module) == "cli" else set())]
    assert found == []


# What is there, and what is not.


def test_the_engine_is_found() -> None:
    """There is a front door and a stub for each machine, and the module that finds them is no namespace package."""
    assert programs.__file__ is not None
    for machine in programs.MACHINES:
        assert Path(programs.door(machine)).name == "tmprun"
        assert programs.stub_for(machine).startswith(b"\x7fELF")


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
            for file in below(ROOT / folder)
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
        if file.suffix in {".so", ".o", ".a", ".gz", ".whl"} or PACKAGE / "engine" in file.parents[1:]
    ]


def test_trees_are_walked_by_one_function() -> None:
    """In Python 3.11.2 Path.rglob fails at a symlink with a long target; `trees.below` never does."""
    assert not [
        file for file in below(ROOT / "tests") if file.suffix == ".py" and '.rglob("*' + '")' in file.read_text()
    ]


def test_tests_use_the_kit_and_not_each_other() -> None:
    found = []
    for file in (ROOT / "tests").rglob("test_*.py"):
        named = re.findall(r"^(?:from|import) (test_\w+)", file.read_text(), re.MULTILINE)
        found += [(str(file.relative_to(ROOT)), name) for name in named]
    assert found == []
