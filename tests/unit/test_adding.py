"""What a flag, a variable, a format and a codec cost in files: no more than docs/architecture.md says ("How to add").

Each that there is now is looked for where adding it would have meant to write it down. Whoever only gives an option to
the engine, or asks a codec's name, is not counted: that is what it was added for.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tmprun.archives import library
from tmprun.index import rules

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = (ROOT / "docs" / "architecture.md").read_text()
# They give options to the engine, or variables to a program, for one purpose each.
GIVERS = {"stub/foreign/python.c", "tmprun/start/ask_engine.py", "tmprun/images/opened.py", "tmprun/pack/trace.py"}
GIVERS |= {"tmprun/convert/own_runtime.py", "tmprun/archives/appdir.py"}
# What `--help` shows, and what people ask for there, is declared as typer wants it.
PAGES = re.compile("tmprun/cli/")


@cache
def sources() -> dict[str, str]:
    found = [*(ROOT / "stub").rglob("*.[ch]"), *(ROOT / "tmprun").rglob("*.py"), *(ROOT / "stub").rglob("*.py")]
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in found}
    return {path: text for path, text in texts.items() if not path.startswith("stub/fuzz/")}


def naming(pattern: str) -> set[str]:
    return {path for path, text in sources().items() if re.search(pattern, text)}


def permitted(what: str) -> int:
    """How many files the paragraph on `what` speaks of."""
    paragraph = re.search(rf"\*\*{re.escape(what)}\*\*: (.*?)(?:\n\n|\Z)", HOW_TO, re.DOTALL)
    assert paragraph, f"docs/architecture.md does not say how to add {what}"
    numbers = re.findall(r"\b(\d)\s+files?\b", paragraph[1])
    assert numbers, f"docs/architecture.md does not say how many files {what} takes"
    return max(map(int, numbers))


OPTIONS = re.findall(r'{"(--[a-z-]+)", \w+, offsetof\(struct request, (\w+)\)', sources()["stub/start/options.c"])
VARIABLES = re.findall(r'\[(\w+)\] = "(\w+)"', sources()["stub/base/environment.c"])
ENGINE_CODECS = [name for name in vars(rules) if name.startswith("CODEC_")]


@pytest.mark.parametrize(("option", "field"), OPTIONS, ids=[name for name, _ in OPTIONS])
def test_a_flag(option: str, field: str) -> None:
    """Its row, and the field that it sets. (What the field does is the reader's.)"""
    named = {path for path in naming(f'"{option}"') - GIVERS if not PAGES.match(path)}
    declared = {path for path in naming(rf"\b{field};") if path.endswith("request.h")}
    assert named | declared == {"stub/start/options.c", "stub/start/request.h"}
    assert len(named | declared) <= permitted("A flag of `run`")


@pytest.mark.parametrize(("symbol", "name"), VARIABLES, ids=[name for _, name in VARIABLES])
def test_a_variable(symbol: str, name: str) -> None:
    """Its row and its number in the engine; in Python it is read in one place at the most."""
    engine = {path for path in naming(rf'"{name}"') if path.startswith("stub/")}
    engine |= {path for path in naming(rf"\b{symbol},\n") if path.endswith("environment.h")}
    assert engine - {"stub/foreign/boot.py"} == {"stub/base/environment.c", "stub/base/environment.h"}
    assert len(engine) <= permitted("An environment variable")
    python = {path for path in naming(rf'"{name}"') if path.startswith("tmprun/")} - GIVERS
    assert len(python) <= permitted("An environment variable that Python reads")


@pytest.mark.parametrize("codec", [name for name in ENGINE_CODECS if name != "CODEC_STORED"])
def test_a_codec_of_the_engine(codec: str) -> None:
    """Its number, and the table or, for one that bundles do not use, where it is added; then Python's number for it."""
    engine = {path for path in naming(rf"\b{codec}\b") if path.startswith("stub/")} - {"stub/image/image.c"}
    assert len(engine) <= permitted("A codec")
    python = {path for path in naming(rf"\b{codec}\b") if path.startswith("tmprun/")}
    # Bundles are written with one of them, and `info` calls it by its name.
    assert python - {"tmprun/bundle/write.py", "tmprun/report/info.py"} == {
        "tmprun/index/rules.py",
        "tmprun/images/opened.py",
    }


def test_a_codec_of_squashfs() -> None:
    """One table has the numbers of both; nobody else knows squashfs' own."""
    assert naming(r"\{6, CODEC_ZSTD,") == {"stub/squashfs/superblock.c"}


@pytest.mark.parametrize("format", sorted(library.FORMATS))
def test_a_format(format: str) -> None:
    """Where it is recognised and read; nobody else of those who read archives asks which one it is."""
    named = {path for path in naming(rf'"{format}"') if path.startswith(("tmprun/archives/", "tmprun/convert/"))}
    # A type-1 AppImage is an image, too: it has update information, a signature and a runtime.
    named -= {"tmprun/convert/convert.py"} if format == "iso" else set()
    assert {"tmprun/archives/kinds.py", "tmprun/archives/library.py"} <= named
    assert len(named) <= permitted("A format of archives or packages")
