"""Scratch directories: several who want one, and who clear away what is nobody's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tmprun.store import layout
from tmprun.store.cache import shelves
from tmprun.store.scratch import _take

TAKES = """
import os, sys
from tmprun.store.scratch import scratch
for _ in range(int(sys.argv[1])):
    with scratch("one") as folder:
        assert os.listdir(folder) == []
        open(f"{folder}/file", "x").close()
"""

CLEARS = """
from tmprun.store import layout
from tmprun.store.cache import shelves
from tmprun.store.scratch import clear
while True:
    with shelves(layout.SCRATCH) as (shelf,):
        clear(shelf)
"""


def test_it_may_be_taken_while_others_clear_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One who clears may find it between its making and its lock, when it looks like a killed one's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    clearing = [subprocess.Popen([sys.executable, "-c", CLEARS]) for _ in range(2)]
    try:
        for _ in range(2):
            command = [sys.executable, "-c", TAKES, "1500"]
            taking = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
            for process in taking:
                _, said = process.communicate(timeout=60)
                assert process.returncode == 0, said
    finally:
        for process in clearing:
            process.kill()
            process.wait()


@pytest.mark.timeout(20)
def test_nobody_tries_for_ever_where_the_cache_was_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with shelves(layout.SCRATCH) as (shelf,):
        os.rmdir(layout.shelf(layout.cache() or "", layout.SCRATCH))
        with pytest.raises(FileNotFoundError):
            _take(shelf, "one", None)
