"""`tmprun oci`: a container image of one app."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from tmprun.cli.output import complain, say
from tmprun.cli.progress import waiting
from tmprun.errors import TmprunError
from tmprun.human import one_line, size_text
from tmprun.libc import shelf
from tmprun.oci.image import Wish, write_image
from tmprun.report.info import look


def oci(
    apps: Annotated[list[str], typer.Argument(metavar="APP", help="The app; one for each machine.")],
    output: Annotated[str, typer.Option("-o", "--output", metavar="OUT", help="A .tar to write, or a directory DIR/.")],
    unpacked: Annotated[
        bool, typer.Option("--unpacked", help="Its files themselves, not the file with tmprun beside it.")
    ] = False,
    libc: Annotated[
        list[str] | None,
        typer.Option(metavar="SLICE", help="Bring this C library (tmprun libc make); again for another machine's."),
    ] = None,
    tag: Annotated[str, typer.Option(metavar="NAME", help="What the image is called in OUT.")] = "latest",
) -> None:
    """Make a container image that holds one app and nothing else.

    The same bytes for the same app. It is started as an ordinary user, in /tmp.

    Examples:
        tmprun oci app.AppImage -o image.tar
        tmprun oci --libc glibc.slice app.AppImage -o image.tar
        tmprun oci --unpacked app.AppImage -o layout/
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "0")
    if not epoch.isdigit():
        raise TmprunError("is no number of seconds", "SOURCE_DATE_EPOCH", "unset it, or set it to one")
    slices = [shelf.look(each) for each in libc or ()]
    for each in slices:
        if each.trouble:
            raise TmprunError(each.trouble, one_line(each.path))
    if slices and unpacked:
        raise TmprunError("an unpacked app is not started by tmprun, which a slice needs", "--libc", "leave one out")
    with waiting(f"writing {output}"):
        made = write_image(Wish(apps, unpacked, slices, tag, int(epoch)), output)
    brought = {each.machine for each in slices}
    for one in made:
        for word in _lacking(one.app) if one.machine not in brought else ():
            complain(f"warning: {one.app}: {word}")
    say(f"{one_line(output)}: {one_line(one.app)} for {one.machine}, {size_text(one.size)}, {one.digest}"
        for one in made)  # fmt: skip


def _lacking(app: str) -> list[str]:
    """What the app needs and an image with nothing else does not have."""
    contents = look(app).contents
    interpreter = contents.apprun.interpreter if contents else ""
    if not contents or not interpreter:
        return []
    brings = "bring it by --libc" if contents.apprun.kind == "ELF" else "use it above a base that has it"
    remedy = f"{brings}; see docs/containers.md"
    return [f"AppRun needs {interpreter}, which is not in the image; {remedy}"]
