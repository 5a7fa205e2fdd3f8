"""The smallest app there is: AppRun is a static program that exits with 0."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from tmprun_bench.corpora.app import App, no_arguments, prints
from tmprun_bench.programs import compiled

WORD = "this AppRun ran"


def app() -> App:
    """What is left of a start when the app itself costs nothing."""
    return App("exit0", "a static exit 0", build, no_arguments, prints(b""), revision=revision())


def speaking() -> App:
    """The same AppDir, whose AppRun says a word: proof that it is this program that runs."""
    return replace(app(), arguments=lambda _: ("--say", WORD), check=prints(WORD.encode() + b"\n"))


def revision() -> str:
    """Another one for another AppRun."""
    return compiled("apprun").name.rpartition("-")[2]


def build(root: Path) -> None:
    """Make an AppDir of nothing but AppRun."""
    root.mkdir()
    shutil.copyfile(compiled("apprun"), root / "AppRun")
    (root / "AppRun").chmod(0o755)
