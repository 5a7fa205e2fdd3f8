"""Where the time of one start goes, for people who ask with TMPRUN_LOG=debug."""

from __future__ import annotations

import os
import sys
import time


def debugging() -> bool:
    """Whether the user wants to see what we do."""
    return os.environ.get("TMPRUN_LOG") == "debug"


class Clock:
    """Names the stretches of time since it was made, in milliseconds."""

    def __init__(self) -> None:
        self._marks: list[str] = []
        self._last = time.perf_counter()

    def started(self) -> None:
        """All of this process's processor time so far, which is what Python took to start, is called `python`."""
        self._marks.append(f"python {1000 * time.process_time():.1f} ms")

    def mark(self, name: str) -> None:
        """What was done since the last mark is called `name`."""
        now = time.perf_counter()
        self._marks.append(f"{name} {1000 * (now - self._last):.1f} ms")
        self._last = now

    def report(self) -> None:
        """One line on stderr, when somebody wants it."""
        if debugging():
            sys.stderr.write(f"tmprun: import took {', '.join(self._marks)}\n")
            sys.stderr.flush()
