"""`tmprun extract`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from tmprun.cli.output import say_json
from tmprun.cli.waiting import waiting
from tmprun.start import ask_engine as verbs


def extract(
    image: Annotated[str, typer.Argument(metavar="APP", help="An AppImage, or a bundle.")],
    patterns: Annotated[
        list[str] | None, typer.Argument(metavar="PATTERN", help="Only what matches, as 'usr/share/*'.")
    ] = None,
    directory: Annotated[
        str, typer.Option("-C", "--directory", metavar="DIR", help="Extract into it.")
    ] = "squashfs-root",
    force: Annotated[
        bool, typer.Option("--force", help="Extract also what claims to hold more than any app does.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Extract an app's files into a directory, and print their paths.

    Examples:
        tmprun extract app.AppImage -C app.AppDir
        tmprun extract app.AppImage 'usr/share/icons/*'
    """
    if not as_json:
        sys.stdout.flush()
        verbs.extract_and_print(image, directory, patterns or [], sys.stdout.fileno(), force=force)
        return
    with waiting(f"extracting {image}"):
        paths = verbs.extract(image, directory, patterns or [], force=force)
    say_json({"directory": os.path.abspath(directory), "paths": [os.fsdecode(path) for path in paths]})
