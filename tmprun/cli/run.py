"""`tmprun run`: declared here for its help; the front door does it, and Python is asked for it by mistake only."""

from __future__ import annotations

from typing import Annotated

import typer

from tmprun.errors import TmprunError


def run(
    image: Annotated[str, typer.Argument(metavar="APP", help="An AppImage, a bundle, an archive or a package.")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="ARGS", help="The app's own.")] = None,
    fill: Annotated[
        str,
        typer.Option(metavar="eager|background|demand", help="What is unpacked before it starts, and what later."),
    ] = "",
    store: Annotated[str, typer.Option(metavar="DIR", help="Unpack below this directory and no other.")] = "",
    entry: Annotated[str, typer.Option(metavar="PROGRAM", help="What to start of an archive or package.")] = "",
    verify: Annotated[bool, typer.Option("--verify", help="Compare what is unpacked already with the image.")] = False,
) -> None:
    """Run an app, with options.

    The same as `tmprun APP`.

    Examples:
        tmprun run --fill eager app.AppImage
        tmprun run --store /var/tmp/apps app.AppImage --an-option-of-the-app
    """
    raise TmprunError("only the program tmprun itself runs applications", image, "call that and not tmprun-py")
