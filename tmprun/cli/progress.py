"""What is shown on stderr of what lasts, when that is a terminal: a bar, or what is being done and for how long."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tmprun.human import one_line

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SHOWN_AFTER = 1.0  # seconds
STEP = 0.2
CLEAR = "\x1b[K"


@contextmanager
def stages(*, quiet: bool = False, after: float = 0) -> Iterator[Callable[[str, int, int], None] | None]:
    """What to tell how far a stage is, by its name, in bytes (a total of 0 is not known); None where nobody looks.

    Nothing is shown before `after` seconds have passed.
    """
    if quiet or not sys.stderr.isatty():  # the console also obeys FORCE_COLOR and the like
        yield None
        return
    shown: list[tuple[Progress, TaskID]] = []
    begun = time.monotonic()

    def show(stage: str, done: int, total: int) -> None:
        if not shown:
            if time.monotonic() - begun < after:
                return
            shown.append(_start(stage))  # when there is something to show, and not before what is asked for is good
        progress, task = shown[0]
        progress.update(task, description=stage, completed=done, total=total or None)

    try:
        yield show
    finally:
        for progress, _ in shown:
            progress.stop()


def _start(stage: str) -> tuple[Progress, TaskID]:
    """rich takes 50 ms to load."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    progress.start()
    return progress, progress.add_task(stage, total=None)


@contextmanager
def bar(stage: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None] | None]:
    """The same for one stage."""
    with stages(quiet=quiet) as show:
        yield (lambda done, total: show(stage, done, total)) if show else None


@contextmanager
def waiting(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """While the body runs: after a second, say on stderr what is done and for how long; at the end, take it away.

    Whoever knows how far it is may tell, in bytes; None where nobody looks. The cursor stays where the line begins:
    what the engine has to say takes its place.
    """
    if not sys.stderr.isatty():
        yield None
        return
    done = threading.Event()
    shares = [""]
    teller = threading.Thread(target=_tell, args=(one_line(what), shares, done), daemon=True)
    teller.start()

    def progress(at: int, total: int) -> None:
        shares[0] = f" {100 * at // total} %" if total else ""

    try:
        yield progress
    finally:
        done.set()
        teller.join()


def _tell(what: str, shares: list[str], done: threading.Event) -> None:
    begun = time.monotonic()
    shown = False
    while not done.wait(STEP if shown else SHOWN_AFTER):
        sys.stderr.write(f"{what} ...{shares[0]} {time.monotonic() - begun:.0f} s{CLEAR}\r")
        sys.stderr.flush()
        shown = True
    if shown:
        sys.stderr.write(CLEAR)
        sys.stderr.flush()
