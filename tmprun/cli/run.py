"""`tmprun run`: declared here for its help; the front door does it, and Python is asked for it by mistake only."""

from __future__ import annotations

from typing import Annotated

import typer

from tmprun.errors import TmprunError


def run(
    image: Annotated[str, typer.Argument(metavar="APP")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="ARGS", help="The app's own.")] = None,
    fill: Annotated[str, typer.Option(help="eager, background or demand.")] = "",
    store: Annotated[str, typer.Option(help="Unpack below this directory and no other.")] = "",
    entry: Annotated[str, typer.Option(metavar="PROGRAM", help="What to start of an archive or package.")] = "",
    verify: Annotated[bool, typer.Option("--verify", help="Compare what is unpacked already with the image.")] = False,
) -> None:
    """Run an application."""
    raise TmprunError("only the program tmprun itself runs applications", image, "call that and not tmprun-py")
