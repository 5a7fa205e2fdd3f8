"""All help pages as one file, which is built into the front door: it answers `tmprun --help` without Python.

    python -m tmprun.cli.help_pages > FILE

The file holds pairs of texts, each ended by a NUL: the words behind `tmprun` that name a command, and its page.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any

import typer

from tmprun.cli.app import application

COLUMNS = 80


def pages() -> Iterator[tuple[str, str]]:
    """Each command's words (none for `tmprun` itself), and its help in lines of at most 80 characters."""
    app = application()
    os.environ["COLUMNS"] = str(COLUMNS)
    for words in _words(typer.main.get_command(app), ()):
        text = io.StringIO()
        with redirect_stdout(text):
            app(args=[*words, "--help"], prog_name="tmprun", standalone_mode=False)
        yield " ".join(words), text.getvalue()


def _words(command: Any, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield above
    for name, below in getattr(command, "commands", {}).items():
        yield from _words(below, (*above, name))


def main() -> None:
    for words, page in pages():
        sys.stdout.write(f"{words}\0{page}\0")


if __name__ == "__main__":
    main()
