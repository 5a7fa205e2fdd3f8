"""The command line: parse, call, report. Nothing else prints, and nothing else decides on an exit status."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from typing import Annotated, Any

import typer

from tmprun import __version__, cli_bench, cli_cache, cli_doctor, cli_info, cli_pack
from tmprun.clock import debugging
from tmprun.errors import TmprunError
from tmprun.missing import missing
from tmprun.output import complain, say, say_json
from tmprun.verbs import EngineFailed, extract

FAILED = 127

EPILOG = """
Anything else is an application: "tmprun APP [ARGS...]" runs it, and everything behind APP is its own.
An argument with a slash is always an application, also when it is named like a command.
"""

app = typer.Typer(
    name="tmprun",
    help="Run applications that come as one file: AppImages and bundles, without FUSE.",
    epilog=EPILOG,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(cli_pack.pack)
app.command()(cli_info.info)
app.command()(cli_doctor.doctor)
app.command(context_settings={"allow_interspersed_args": False})(cli_bench.bench)
app.add_typer(cli_cache.app, name="cache")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        say([f"tmprun {__version__}"])
        raise typer.Exit
    if context.invoked_subcommand is None:
        sys.stderr.write(context.get_help() + "\n")
        raise typer.Exit(FAILED)


@app.command(context_settings={"allow_interspersed_args": False})
def run(
    image: Annotated[str, typer.Argument(metavar="APP")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="ARGS", help="The app's own.")] = None,
    fill: Annotated[str, typer.Option(help="eager, background or demand.")] = "",
    store: Annotated[str, typer.Option(help="Unpack below this directory and no other.")] = "",
    verify: Annotated[bool, typer.Option("--verify", help="Compare what is unpacked already with the image.")] = False,
) -> None:
    """Run an application."""
    raise TmprunError("only the program tmprun itself runs applications", image, "call that and not tmprun-py")


@app.command("extract")
def extract_command(
    image: Annotated[str, typer.Argument(metavar="APP")],
    patterns: Annotated[
        list[str] | None, typer.Argument(metavar="PATTERN", help="Only what matches, as 'usr/share/*'.")
    ] = None,
    directory: Annotated[
        str, typer.Option("-C", "--directory", metavar="DIR", help="Extract into it.")
    ] = "squashfs-root",
    as_json: Json = False,
) -> None:
    """Extract an image's files into a directory, and print their paths."""
    if not as_json:
        sys.stdout.flush()
        extract(image, directory, patterns or [], sys.stdout.fileno())
        return
    paths = extract(image, directory, patterns or []).splitlines()
    say_json({"directory": os.path.abspath(directory), "paths": [os.fsdecode(path) for path in paths]})


@app.command("help")
def help_command(command: Annotated[list[str] | None, typer.Argument(metavar="COMMAND")] = None) -> None:
    """Explain a command."""
    app(args=[*(command or []), "--help"], prog_name="tmprun", standalone_mode=False)


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments, by default this process's, ask for; returns the exit status."""
    # A reader that has seen enough ends us as it ends any other program.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        status = _act(sys.argv[1:] if arguments is None else arguments)
    except (KeyboardInterrupt, typer.Abort):  # which click makes of it
        status = 128 + signal.SIGINT
    except Exception as error:
        status = _report(error)
    return status if _printed() else FAILED


def _act(arguments: list[str]) -> int:
    if arguments[:1] == ["@section"]:
        return cli_info.section(*arguments[1:])
    status: Any = app(args=arguments, prog_name="tmprun", standalone_mode=False)
    return status if isinstance(status, int) else 0


def _report(error: Exception) -> int:
    """Say in one line what went wrong, unless that has been said; returns the exit status."""
    if debugging():
        traceback.print_exc()
    if isinstance(error, EngineFailed):
        return error.status
    if isinstance(error, ImportError):
        error = missing(error)
    if isinstance(error, TmprunError):
        for part in (error, *getattr(error, "also", ())):
            complain(str(part))
        return error.status
    if hasattr(error, "format_message"):  # what click's exceptions have, typer's own copy of them included
        text = str(error.format_message()).rstrip(".")
        complain(f"{text[:1].lower()}{text[1:]}; see tmprun --help")
    elif isinstance(error, OSError):
        complain(f"{error.filename or 'the system'}: {error.strerror}")
    else:
        complain(f"internal error: {type(error).__name__}: {error}")
    return FAILED


def _printed() -> bool:
    """Whether everything got out. If not, that is said, and Python shall not try again when it ends."""
    try:
        sys.stdout.flush()
    except OSError as error:
        complain(f"standard output: {error.strerror}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True
