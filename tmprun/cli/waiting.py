"""What is shown on a terminal while something takes longer than a second; nothing anywhere else."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tmprun.human import one_line

PATIENCE = 1.0  # seconds
STEP = 0.2
CLEAR = "\x1b[K"


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """While the body runs: after a second, say on stderr what is done and for how long; at the end, take it away.

    The cursor stays where the line begins: what the engine has to say takes its place.
    """
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    teller = threading.Thread(target=_tell, args=(one_line(what), done), daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _tell(what: str, done: threading.Event) -> None:
    begun = time.monotonic()
    shown = False
    while not done.wait(STEP if shown else PATIENCE):
        sys.stderr.write(f"{what} ... {time.monotonic() - begun:.0f} s{CLEAR}\r")
        sys.stderr.flush()
        shown = True
    if shown:
        sys.stderr.write(CLEAR)
        sys.stderr.flush()
