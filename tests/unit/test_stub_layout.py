"""The shape of the engine's sources: who may include whom, and what is said in one place only (docs/architecture.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

STUB = Path(__file__).resolve().parents[2] / "stub"

# From the ground up: a folder uses itself and what stands before it.
FLOORS = ("base", "image", "tree", "store", "gate", "start", "foreign", "door")
# Programs of their own, which nobody includes: the stub has what both programs share; fuzzers take what they test.
ROOF = {"": FLOORS[: FLOORS.index("start") + 1], "fuzz": FLOORS}

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]*)"', re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def sources() -> dict[str, str]:
    """What is written in each file of ours, by its path below stub/."""
    files = [*STUB.rglob("*.[ch]"), *STUB.rglob("*.S")]
    return {str(file.relative_to(STUB)): file.read_text() for file in files}


def folder(name: str) -> str:
    return name.rpartition("/")[0]


def allowed(name: str) -> tuple[str, ...]:
    """The folders from which the file may include."""
    here = folder(name)
    return ROOF[here] if here in ROOF else FLOORS[: FLOORS.index(here) + 1]


def arrows(files: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name, text in files.items():
        for included in INCLUDE.findall(text):
            yield name, included


def upward(files: dict[str, str]) -> list[str]:
    return [f"{name} includes {to}" for name, to in arrows(files) if folder(to) not in allowed(name)]


def units(files: dict[str, str]) -> dict[str, set[str]]:
    """Which unit, X.c with X.h, needs which others."""
    graph: dict[str, set[str]] = {}
    for name, to in arrows(files):
        unit, other = name.rpartition(".")[0], to.rpartition(".")[0]
        graph.setdefault(unit, set()).update({other} - {unit})
    return graph


def test_every_folder_has_its_floor() -> None:
    assert {folder(name) for name in sources()} == {*FLOORS, *ROOF}


def test_every_include_names_a_file_by_its_folder() -> None:
    files = sources()
    assert [f"{name} includes {to}" for name, to in arrows(files) if to not in files] == []


def test_includes_point_down() -> None:
    assert upward(sources()) == []


def test_no_two_units_need_each_other() -> None:
    """Not within a folder either, where there are no floors."""
    TopologicalSorter(units(sources())).prepare()


def test_an_arrow_up_and_a_circle_would_be_seen() -> None:
    files = sources()
    files["base/text.c"] += '\n#include "gate/state.h"\n'
    assert upward(files) == ["base/text.c includes gate/state.h"]
    files = sources()
    files["gate/give_up.c"] += '\n#include "gate/hands.h"\n'
    assert upward(files) == []
    with pytest.raises(ValueError, match="cycle"):
        TopologicalSorter(units(files)).prepare()
