"""The disk, beside the tmpfs on which everything else happens."""

from __future__ import annotations

import atexit
import tempfile
from functools import cache
from pathlib import Path

from tmprun_bench.corpora.cache import remove
from tmprun_bench.measure.workspace import file_system
from tmprun_bench.places import CORPORA

IN_MEMORY = ("tmpfs", "ramfs")


@cache
def on_disk() -> Path:
    """A directory of this process beside the corpora, gone with it."""
    CORPORA.parent.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="disk-", dir=CORPORA.parent))
    atexit.register(remove, directory)
    return directory


def no_disk() -> str:
    """Why nothing can be extracted to a disk here; empty when it can."""
    kind = file_system(on_disk())
    return f"{on_disk().parent} is on {kind}, no disk" if kind in IN_MEMORY else ""
