"""The command line: parse, call, report. Nothing else prints, and nothing else decides on an exit status."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated, Any

import typer

from tmprun import __version__
from tmprun.cli.declared import Declared, declared
from tmprun.cli.output import complain, say
from tmprun.cli.pages import Command, Group, meant
from tmprun.clock import debugging
from tmprun.errors import EngineFailed, TmprunError
from tmprun.missing import missing

FAILED = 127

# In the order in which people need them: an app is run, looked at, kept; then made and measured. Each is defined in the
# module of its name, which is loaded when it is asked for: all together they take three times as long to load as one.
COMMANDS = (
    "run", "info", "integrate", "extract", "cache", "doctor", "libc", "pack", "convert", "oci", "bench", "help"
)  # fmt: skip
HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}
# What stands behind APP is the app's, also when it looks like an option.
ARGUMENTS_OF_THE_APP = ("run", "bench")

ABOUT = """Run Linux apps that come as one file, AppImages and bundles, without FUSE.

What is no command is an app, and everything behind it is the app's own. An argument with a slash is always an app, also
when it is named like a command.

Examples:
    tmprun app.AppImage
    tmprun ./app.AppImage --an-option-of-the-app
    tmprun help cache
"""

# What `tmprun` alone says.
IN_SHORT = """\
Usage: tmprun APP [ARGS...]

  tmprun app.AppImage           run an app that is one file, without FUSE
  tmprun info app.AppImage      what it is, what is in it, whether it runs here
  tmprun integrate app.AppImage put it into the menus
  tmprun doctor                 where this machine lets apps be unpacked
  tmprun pack App.AppDir -o app make your own app one file that runs itself

All commands: tmprun --help. One of them: tmprun help COMMAND.
"""


class Commands(Group):
    """Lists commands in the order of COMMANDS; typer itself puts those that have commands of their own last."""

    def list_commands(self, _: Any) -> list[str]:
        return [name for name in COMMANDS if name in self.commands]


def application(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with the commands `names`."""
    app = typer.Typer(
        name="tmprun",
        cls=Commands,
        help=ABOUT,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=HELP_OPTIONS,
    )
    app.callback(invoke_without_command=True)(start)
    for name in names:
        command = help_command if name == "help" else getattr(import_module(f"tmprun.cli.{name}"), name)
        if isinstance(command, typer.Typer):
            for each in command.registered_commands:
                each.cls = Command
            app.add_typer(command, name=name, cls=_group(command))
        else:
            settings = {"allow_interspersed_args": name not in ARGUMENTS_OF_THE_APP}
            app.command(name, cls=Command, context_settings=settings)(command)
    return app


def _group(command: typer.Typer) -> type[Group]:
    """Its own kind of group, if it has one of ours."""
    own = command.info.cls
    return own if isinstance(own, type) and issubclass(own, Group) else Group


def everything() -> Declared:
    """The whole command line, as it is declared."""
    return declared(typer.main.get_command(application()))


def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        say([f"tmprun {__version__}"])
        raise typer.Exit
    if context.invoked_subcommand is None:
        sys.stderr.write(IN_SHORT)
        raise typer.Exit(FAILED)


def help_command(
    command: Annotated[list[str] | None, typer.Argument(metavar="COMMAND", help="Its words, as `cache prune`.")] = None,
) -> None:
    """Explain a command.

    Examples:
        tmprun help cache prune
    """
    application()(args=[*(command or []), "--help"], prog_name="tmprun", standalone_mode=False)


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
        status = report(error)
    return status if _printed() else FAILED


def _act(arguments: list[str]) -> int:
    app = application(arguments[:1] if arguments[:1] and arguments[0] in COMMANDS else COMMANDS)
    status: Any = app(args=arguments, prog_name="tmprun", standalone_mode=False)
    return status if isinstance(status, int) else 0


def report(error: Exception) -> int:
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
        complain(_of_click(error))
    elif isinstance(error, OSError):
        complain(f"{error.filename or 'the system'}: {error.strerror}")
    else:
        complain(f"internal error: {type(error).__name__}: {error}")
    return FAILED


def _of_click(error: Any) -> str:
    """What click finds wrong with the arguments, as one line of ours."""
    context = getattr(error, "ctx", None)
    if hasattr(error, "possibilities"):
        known = [name for each in context.command.params for name in each.opts] if context else []
        return f"no such option: {error.option_name}; {meant(error.option_name, known) or _see(context)}"
    text = str(error.format_message()).rstrip(".")
    return f"{text[:1].lower()}{text[1:]}; {_see(context)}"


def _see(context: Any) -> str:
    return f"see {context.command_path if context else 'tmprun'} --help"


def _printed() -> bool:
    """Whether everything got out. If not, that is said, and Python shall not try again when it ends."""
    try:
        sys.stdout.flush()
    except OSError as error:
        complain(f"standard output: {error.strerror}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True
