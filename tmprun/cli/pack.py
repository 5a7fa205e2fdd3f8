"""`tmprun pack`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from tmprun.cli.output import complain, say
from tmprun.cli.packing import DEFAULT_LEVEL, Arguments, Level, Output, Quiet, Threads, Tracing, WithLibc
from tmprun.cli.progress import bar
from tmprun.errors import TmprunError
from tmprun.human import one_line, size_text
from tmprun.pack import pack as packing
from tmprun.pack.trace import Trace, run_traced


def pack(
    appdir: Annotated[str, typer.Argument(metavar="APPDIR", help="The directory with AppRun in it.")],
    output: Output,
    arguments: Arguments = None,
    level: Level = DEFAULT_LEVEL,
    threads: Threads = 0,
    update_info: Annotated[str, typer.Option(metavar="S", help="Update information, as AppImageUpdate reads it.")] = "",
    with_libc: WithLibc = False,
    trace: Tracing = False,
    quiet: Quiet = False,
) -> None:
    """Make a bundle of an AppDir: one file that runs by itself.

    Examples:
        tmprun pack App.AppDir -o app
        tmprun pack --with-libc --level 22 App.AppDir -o app
        tmprun pack --trace App.AppDir -o app -- --version
    """
    if arguments and not trace:
        raise TmprunError("there is one AppDir to pack", one_line(arguments[0]), "for the app's arguments give --trace")
    traced = run_traced(appdir, arguments or [], threads=threads, with_libc=with_libc) if trace else Trace((), 0)
    with bar("packing", quiet=quiet) as progress:
        report = packing.pack(
            appdir, output, level=level, threads=threads, update_information=update_info, with_libc=with_libc,
            hot=traced.paths, progress=progress,
        )  # fmt: skip
    if traced.status:
        complain(f"warning: the app ended with status {traced.status} when it was traced; what it opened is put first")
    if quiet:
        return
    for kind, texts in (("warning", report.warnings), ("note", report.notes)):
        for text in texts:
            complain(f"{kind}: {text}")
    first = f"; {len(traced.paths)} files first" if trace else ""
    say([f"{one_line(os.fspath(output))}: {summary(report)}{first}"])


def summary(report: packing.PackReport) -> str:
    """What was packed, in half a line."""
    share = f", {100 * report.size / report.content:.0f} %" if report.content > report.size else ""
    sizes = f"{size_text(report.size)} of {size_text(report.content)}{share}"
    return f"{sizes}; {report.files} files, {report.arch}, key {report.key[:12]}"
