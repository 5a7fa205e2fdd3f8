"""What a program says to a terminal."""

from __future__ import annotations

import os
import pty
from pathlib import Path

from kit.harness import Harness


def on_a_terminal(harness: Harness, *command: str | Path, stream: str = "stdout") -> bytes:
    """All that a command which ends well says there; with `stream` "stderr" what it says on that."""
    ours, theirs = pty.openpty()
    process = harness.start(*command, **{stream: theirs})
    os.close(theirs)
    said = b""
    while True:
        try:
            said += os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert process.wait(60) == 0, said
    return said.replace(b"\r\n", b"\n")
