"""`tmprun convert`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from tmprun.archives import kinds
from tmprun.cli.once import end_cleanly
from tmprun.cli.output import complain, say
from tmprun.cli.pack import summary
from tmprun.cli.packing import DEFAULT_LEVEL, Arguments, Level, Output, Quiet, Threads, Tracing, WithLibc
from tmprun.cli.progress import stages
from tmprun.convert import convert as converting
from tmprun.errors import TmprunError, UnsupportedImage
from tmprun.human import one_line
from tmprun.images.image import Image
from tmprun.pack.trace import Trace, run_traced


def convert(
    image: Annotated[str, typer.Argument(metavar="APP", help="An image, archive or package of any kind.")],
    output: Output,
    arguments: Arguments = None,
    entry: Annotated[str, typer.Option(metavar="PROGRAM", help="What it is to start.")] = "",
    level: Level = DEFAULT_LEVEL,
    threads: Threads = 0,
    with_libc: WithLibc = False,
    trace: Tracing = False,
    force: Annotated[bool, typer.Option("--force", help="Also what claims to hold more than any app does.")] = False,
    quiet: Quiet = False,
) -> None:
    """Make a bundle of any image, archive or package.

    Examples:
        tmprun convert old.AppImage -o app
        tmprun convert --with-libc app.AppImage -o app
        tmprun convert node-v20.tar.xz --entry bin/npm -o npm
    """
    if arguments and not trace:
        raise TmprunError(
            "there is one image to convert", one_line(arguments[0]), "for the app's arguments give --trace"
        )
    if os.path.isdir(image):
        raise UnsupportedImage("is a directory", one_line(image), f"pack it: tmprun pack {one_line(image)} -o OUT")
    if os.path.exists(output) and os.path.samefile(image, output):
        raise TmprunError("is the image itself", one_line(output), "write the bundle elsewhere")
    end_cleanly()
    with stages(quiet=quiet) as progress, Image(image) as opened:
        kind = kinds.kind_of(opened.fd, image)
        if not quiet and kinds.unpacks_itself(kind):
            complain(f"{image}: {kind.what}: it unpacks itself, which executes it")
        with converting.prepared(opened, kind, entry=entry, force=force, progress=progress) as made:
            traced = Trace((), 0)
            if trace:
                traced = run_traced(made.path, arguments or [], threads=threads, with_libc=with_libc)
            report = converting.convert(
                made, output, level=level, threads=threads, with_libc=with_libc, hot=traced.paths, progress=progress
            )
            lost, notes = made.lost, made.notes
    if traced.status:
        complain(f"warning: the app ended with status {traced.status} when it was traced; what it opened is put first")
    if quiet:
        return
    for sort, texts in (
        ("left out", lost),
        ("warning", report.warnings),
        ("note", [*notes, *report.notes]),
    ):
        for text in texts:
            complain(f"{sort}: {text}")
    first = f"; {len(traced.paths)} files first" if trace else ""
    starts = f"; starts {one_line(made.starts)} ({made.why})" if made.starts != "AppRun" else ""
    say([f"{one_line(os.fspath(output))}: {summary(report)}{first}{starts}"])
