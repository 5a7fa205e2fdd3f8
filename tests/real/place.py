"""Where starts happen: a home and a runtime directory of the user's own, with nothing in them."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.places import shelf

ORDINARY = 54321
"""A user id without a name."""
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Place:
    """`home` is on disk, `runtime` (for XDG_RUNTIME_DIR, where the store comes) in memory where there is /dev/shm."""

    user: int
    home: Path
    runtime: Path

    def empty(self) -> None:
        """As if this user had never been here."""
        for folder in (self.home, self.runtime):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            os.chown(folder, self.user, self.user)

    @property
    def store(self) -> Path:
        """tmprun's, as docs/store.md says."""
        return self.runtime / "tmprun"

    def trees(self) -> dict[Path, int]:
        """The published entries, and which directory each of them is."""
        return {entry: entry.stat().st_ino for entry in shelf(self.store, "tree").glob("*")}

    def environment(self) -> dict[str, str]:
        """All that a start has in its environment, but for what a program needs."""
        return {
            "HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.runtime), "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8", "TMPDIR": str(self.runtime),
        }  # fmt: skip

    def quiet(self) -> bool:
        """Wait until every process that was started here has ended, tmprun's filler and Wine's server among them.
        Whoever does not end by itself is ended, and the answer is no."""
        end = time.monotonic() + PATIENCE_SECONDS
        while left := self._processes():
            if time.monotonic() > end:
                for process in left:
                    os.kill(process, signal.SIGKILL)
                return False
            time.sleep(0.1)
        return True

    def _processes(self) -> list[int]:
        mine = f"HOME={self.home}".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mine in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return found


@contextmanager
def place(user: int) -> Iterator[Place]:
    """A place for one program and one user; nothing of it stays."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix="real-", dir="/var/tmp", ignore_cleanup_errors=True) as disk,
        tempfile.TemporaryDirectory(prefix="real-", dir=memory, ignore_cleanup_errors=True) as fast,
    ):
        for folder in (disk, fast):
            os.chmod(folder, 0o755)
        here = Place(user, Path(disk) / "home", Path(fast) / "run")
        here.empty()
        try:
            yield here
        finally:
            here.quiet()


def become(user: int) -> Any:
    """Arguments for subprocess, for a command to be started as that user."""
    return {} if user == os.geteuid() else {"user": user, "group": user, "extra_groups": ()}
