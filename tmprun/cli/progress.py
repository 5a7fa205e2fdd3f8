"""A progress bar on stderr, when that is a terminal and what is done lasts."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


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
