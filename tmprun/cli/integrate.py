"""`tmprun integrate`: apps in the menus."""

from __future__ import annotations

import os
import re
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tmprun.cli.output import complain, say, say_json
from tmprun.cli.pages import Group
from tmprun.cli.progress import waiting
from tmprun.engine import programs
from tmprun.errors import TmprunError
from tmprun.human import one_line, table
from tmprun.menus import integrate as menus
from tmprun.menus import system

DEFAULT_FOLDER = "Applications"


class Integrate(Group):
    """`tmprun integrate APP` is `tmprun integrate add APP`."""

    default = "add"


ABOUT = """Put apps into the menus of your desktop, and take them out.

With --watch all that is in a directory, as it comes and goes.

Examples:
    tmprun integrate app.AppImage
    tmprun integrate remove app.AppImage
    tmprun integrate --watch ~/Applications
"""
integrate = typer.Typer(cls=Integrate, help=ABOUT, rich_markup_mode=None)
App = typer.Argument(metavar="APP", help="An AppImage, or a bundle.")


@integrate.callback()
def start() -> None:
    pass


@integrate.command()
def add(
    apps: Annotated[list[str] | None, App] = None,
    watch: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Keep the menus as this directory is, until interrupted; again for more."),
    ] = None,
    prefill: Annotated[
        bool, typer.Option("--prefill", help="With --watch: also unpack them, at idle, so that a click is warm.")
    ] = False,
) -> None:
    """Put apps into the menus.

    Examples:
        tmprun integrate app.AppImage another.AppImage
        tmprun integrate --watch ~/Applications --watch /share/AppImages --prefill
    """
    if watch and not apps:
        _watch([os.fspath(each) for each in watch], prefill)
        return
    if not apps or watch or prefill:
        raise TmprunError("give APP, or --watch DIR", "integrate", "see tmprun integrate --help")
    with waiting("putting them into the menus" if len(apps) > 1 else f"putting {apps[0]} into the menus"):
        done = [menus.integrate(app) for app in apps]
        menus.refresh()
    say(f"{one_line(each.app)}: {one_line(each.name)}, {one_line(each.entry)}" for each in done)


@integrate.command()
def remove(apps: Annotated[list[str], App]) -> None:
    """Take apps out of the menus; the files themselves stay.

    Examples:
        tmprun integrate remove app.AppImage
    """
    missing = [app for app in apps if not menus.remove(app)]
    menus.refresh()
    for app in missing:
        complain(f"{app}: is not in the menus; see tmprun integrate list")
    if missing:
        raise typer.Exit(127)


@integrate.command("list")
def list_command(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List what tmprun has put into the menus.

    Examples:
        tmprun integrate list --json
    """
    found = menus.integrated()
    if as_json:
        say_json([{**asdict(each), "there": each.there} for each in found])
        return
    rows = [(one_line(each.name), "" if each.there else "gone", one_line(each.app)) for each in found]
    say(table([("NAME", "FILE", "APP"), *rows]))


@integrate.command("double-click")
def double_click(
    undo: Annotated[bool, typer.Option("--undo", help="Take it back.")] = False,
) -> None:
    """Have your desktop open AppImages by tmprun, and show their icons.

    Examples:
        tmprun integrate double-click
    """
    config = os.environ.get("XDG_CONFIG_HOME", "")
    folder = Path(config) if config.startswith("/") else Path.home() / ".config"
    if undo:
        system.open_by_others(menus.data_home(), folder)
    else:
        system.open_by_us(menus.data_home(), folder, programs.door())
    menus.refresh()


@integrate.command()
def binfmt(
    install: Annotated[bool, typer.Option("--install", help="As root: write it, and tell the kernel.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="As root: take it back.")] = False,
) -> None:
    """Have the kernel start every AppImage by tmprun, for all users.

    Without an option it prints the lines for /etc/binfmt.d/tmprun.conf, and changes nothing.

    Examples:
        tmprun integrate binfmt
        sudo tmprun integrate binfmt --install
    """
    first, second = (int(part) for part in re.findall(r"\d+", os.uname().release)[:2])
    lines = [system.binfmt(programs.door(), kind, (first, second)) for kind in system.MAGIC]
    if not install and not undo:
        say(lines)
        return
    system.tell_kernel([], system.KERNEL, system.BINFMT_FILE)
    if install:
        system.tell_kernel(lines, system.KERNEL, system.BINFMT_FILE)


def _watch(directories: list[str], prefill: bool) -> None:
    from tmprun.menus.watch import Watcher

    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, end)

    def tell(line: str) -> None:
        say([line])
        sys.stdout.flush()  # it may be a journal's pipe

    Watcher(directories, tell, prefill).run(lambda: ended)
