"""The shape of the engine's sources: who may include whom, and what is said in one place (docs/architecture.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

STUB = Path(__file__).resolve().parents[2] / "stub"

# From the ground up: a folder uses itself and what stands before it.
FLOORS = ("base", "image", "tree", "store", "gate", "start", "squashfs", "foreign", "slices", "door")
# Programs of their own, which nobody includes: the stub has what both programs share; fuzzers take what they test.
ROOF = {"": FLOORS[: FLOORS.index("start") + 1], "fuzz": FLOORS}

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]*)"', re.MULTILINE)
TEXT_OR_COMMENT = re.compile(r'("(?:\\.|[^"\\\n])*")|/\*.*?\*/', re.DOTALL)


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
    files["gate/hands.c"] += '\n#include "gate/refuse.h"\n'
    assert upward(files) == []
    with pytest.raises(ValueError, match="cycle"):
        TopologicalSorter(units(files)).prepare()


# What is said once. Comments may name it, and includes of course.

OPTION_ROW = re.compile(r'\{"(--[a-z-]+)", (?:TEXT|NUMBER|FLAG), [^{}]*, (?:true|false)\}')


def said(pattern: str) -> set[str]:
    """The files whose code, comments and includes left out, has something that matches."""
    codes = {name: TEXT_OR_COMMENT.sub(r"\1", INCLUDE.sub("", text)) for name, text in sources().items()}
    return {name for name, code in codes.items() if re.search(pattern, code)}


def options() -> set[str]:
    """The options in start/options.c."""
    return {*OPTION_ROW.findall(sources()["start/options.c"])}


def test_the_layout_of_a_store_is_known_to_one_file() -> None:
    assert said(r'"[^"\n]*\bv1\b') == {"store/layout.c"}
    for shelf in ("id", "lock", "stage", "trash", "image", "known", "trace"):
        assert said(rf'"(?:[^"\n]*/)?{shelf}(?:/[^"\n]*)?"') == {"store/layout.c"}, shelf


def test_the_environment_is_read_in_one_file() -> None:
    assert said(r'\b(?:secure_)?getenv\b|\benviron\b(?!")') == {"base/environment.c"}


def test_options_are_named_in_one_file() -> None:
    assert options() >= {"--store", "--fill", "--verify", "--index-fd"}
    for name in options():
        assert said(f'"{name}"') == {"start/options.c"}, name
