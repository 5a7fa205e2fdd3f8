"""How long a command takes and how much memory."""

from __future__ import annotations

import sys
from pathlib import Path

from kit.harness import Harness, Result

# A small process starts what is measured: a child's peak begins with what its parent has, and pytest has much.
LAUNCHER = """
import os, sys, time
began = time.monotonic()
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
status, usage = os.wait4(pid, 0)[1:]
open(sys.argv[1], "w").write(f"{time.monotonic() - began} {usage.ru_maxrss}")
sys.exit(os.waitstatus_to_exitcode(status))
"""


def measured(harness: Harness, *command: str | Path) -> tuple[Result, float, int]:
    """Run to the end: the result, seconds, and the most memory it had, in bytes (10 MB of that are the launcher's)."""
    said = harness.base / "measured"
    result = harness.run(sys.executable, "-I", "-S", "-c", LAUNCHER, said, *command, status=None)
    seconds, kilobytes = said.read_text().split()
    return result, float(seconds), int(kilobytes) * 1024
