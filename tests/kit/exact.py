"""Starting the probe with an environment that no shell, and no dict, could hand on."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from kit.harness import Harness

# What every start sets (notes in test_environment.py); the rest is the caller's.
OURS = {"APPIMAGE", "APPDIR", "ARGV0", "OWD"}

# execve(2) itself, with the words that come on stdin.
EXECVE = """
import ctypes, sys
libc = ctypes.CDLL(None)
arguments, environment = eval(sys.stdin.read())
array = lambda words: (ctypes.c_char_p * (len(words) + 1))(*words, None)
libc.execve(arguments[0], array(arguments), array(environment))
"""


def seen_with_exactly(harness: Harness, command: Sequence[str | Path], environment: Sequence[bytes]) -> list[bytes]:
    """Run the probe with these entries, in this order, as its environment; returns what it saw, less what we set."""
    words = [os.fsencode(word) for word in command]
    given = repr((words, list(environment))).encode()
    seen = harness.run(sys.executable, "-I", "-c", EXECVE, stdin=given).report()["environ"]
    entries = [entry.encode("latin-1") for entry in seen]
    assert {_name(entry) for entry in entries} >= OURS
    return [entry for entry in entries if _name(entry) not in OURS]


def _name(entry: bytes) -> str:
    return entry.partition(b"=")[0].decode("latin-1")
