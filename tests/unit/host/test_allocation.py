"""Freed memory is used again, and not asked of the kernel each time."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource, sys
from tmprun.host.allocation import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for size in range(1_000_000, 1_200_000, 1000):
    for each in (bytearray(size), bytearray(size // 2)):
        each[::4096] = bytes(len(each[::4096]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    command = [sys.executable, "-c", PROGRAM, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_freed_memory_is_used_again() -> None:
    assert faults("kept") < 2000 < faults("as usual")
