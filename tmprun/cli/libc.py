"""`tmprun libc`: a C library for machines that have none."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from tmprun.cli.output import complain, say, say_json
from tmprun.cli.pack import summary
from tmprun.cli.packing import DEFAULT_LEVEL, Level
from tmprun.cli.progress import bar
from tmprun.human import one_line, size_text, table
from tmprun.libc import shelf
from tmprun.libc.make import make as make_slice
from tmprun.libc.sets import SETS

ABOUT = """Bring glibc to machines that lack it.

A slice is one file with a C library and what apps take for granted. It is made on a machine with glibc and added on the
machine that has none, or one that is too old; apps of others then start there unchanged.

Examples:
    tmprun libc make -o glibc.slice
    tmprun libc add glibc.slice
"""
libc = typer.Typer(help=ABOUT, rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Everybody = Annotated[bool, typer.Option("--system", help=f"For all users: {shelf.SYSTEM}.")]


@libc.callback(invoke_without_command=True)
def start(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        sys.stderr.write(context.get_help() + "\n")
        raise typer.Exit(127)


@libc.command()
def make(
    output: Annotated[str, typer.Option("-o", "--output", metavar="OUT", help="The slice to write.")],
    add: Annotated[
        list[str] | None, typer.Option("--add", metavar="NAME", help="A library besides, or those of a package.")
    ] = None,
    sets: Annotated[list[str] | None, typer.Option("--set", metavar="SET", help=f"Any of: {', '.join(SETS)}.")] = None,
    debs: Annotated[
        str | None, typer.Option("--debs", metavar="DIR", help="Make it of the Debian packages in there.")
    ] = None,
    level: Level = DEFAULT_LEVEL,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Report errors only.")] = False,
) -> None:
    """Make a slice of this machine's C library.

    Examples:
        tmprun libc make -o glibc.slice
        tmprun libc make -o desktop.slice --set desktop --add libpcre2-8.so.0
    """
    with bar("packing", quiet=quiet) as progress:
        made = make_slice(output, add=add or (), sets=sets or (), debs=debs, level=level, progress=progress)
    if quiet:
        return
    for name in made.missing:
        complain(f"note: {one_line(name)} is not here; the slice does without")
    say([f"{one_line(output)}: glibc {made.glibc}, {len(made.packages)} packages; {summary(made.report)}"])


@libc.command()
def add(file: Annotated[str, typer.Argument(metavar="SLICE")], everybody: Everybody = False) -> None:
    """Put a slice where starts look for one.

    Examples:
        tmprun libc add glibc.slice
    """
    say([f"{one_line(str(shelf.add(file, everybody=everybody)))}: apps that lack a C library are started with it"])


@libc.command("list")
def list_command(as_json: Json = False) -> None:
    """List the slices that starts find.

    Examples:
        tmprun libc list --json
    """
    found = shelf.slices()
    if as_json:
        say_json([asdict(each) for each in found])
        return
    rows = [("GLIBC", "MACHINE", "SIZE", "FILE")]
    rows += [
        (each.glibc or "-", each.machine or "-", size_text(each.size), one_line(f"{each.path}{_but(each.trouble)}"))
        for each in found
    ]
    say(table(rows, right=(2,)))


@libc.command()
def remove(name: Annotated[str, typer.Argument(metavar="SLICE", help="Its file, or that file's name.")]) -> None:
    """Take a slice away; apps that run with it go on.

    Examples:
        tmprun libc remove glibc
    """
    say([f"{one_line(str(shelf.remove(name)))}: removed"])


def _but(trouble: str) -> str:
    return f": {trouble}" if trouble else ""
