"""What a run and its helpers hold in memory at most: psutil looks at them again and again, in a run that is not
timed."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

INTERVAL = 0.01  # seconds between two looks; one look at a process with a thousand mappings takes as long


@dataclass(frozen=True)
class Memory:
    """Peaks, in bytes: `processes`, proportional set size (shared pages divided by their users) of all processes
    below the timing program; `tmpfs`, what the file system of the working directory holds more than before;
    `page_cache`, what the kernel caches of files more than before, those on tmpfs not counted: the whole machine's, and
    with what it keeps of names and inodes."""

    processes: int
    tmpfs: int
    page_cache: int = 0


class Watch:
    """A context; afterwards `memory` is what the descendants of the process `pid` held at most meanwhile."""

    def __init__(self, pid: int, directory: Path) -> None:
        self._root = psutil.Process(pid)
        self._directory = directory
        self._over = threading.Event()
        self._before = self._used()
        self._cached_before = _cached()
        self._processes = self._tmpfs = self._cached = 0
        self._thread = threading.Thread(target=self._look)

    @property
    def memory(self) -> Memory:
        """The peaks so far."""
        return Memory(self._processes, self._tmpfs, self._cached)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(INTERVAL):
            self._processes = max(self._processes, sum(map(_held, self._root.children(recursive=True))))
            self._tmpfs = max(self._tmpfs, self._used() - self._before)
            self._cached = max(self._cached, _cached() - self._cached_before)

    def _used(self) -> int:
        facts = os.statvfs(self._directory)
        return (facts.f_blocks - facts.f_bfree) * facts.f_frsize


def _cached() -> int:
    facts = psutil.virtual_memory()
    return int(facts.cached + facts.buffers - facts.shared)


def _held(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:  # it has ended meanwhile
        return 0
