"""What strace says about a run: its system calls, and the ones that it is told to spoil."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from kit.harness import Harness

# Every way to get bytes out of a file.
READS = {
    "read",
    "pread64",
    "readv",
    "preadv",
    "preadv2",
    "mmap",
    "mmap2",
    "sendfile",
    "copy_file_range",
    "splice",
    "io_uring_enter",
}

CALL = re.compile(r"^(?P<pid>\d+) +(?P<name>\w+)\((?P<rest>.*)$")


@dataclass(frozen=True)
class Call:
    """One system call: who made it, its name, and its arguments and result as strace writes them."""

    pid: int
    name: str
    rest: str


def strace(log: Path, *options: str) -> list[str | Path]:
    """The words in front of a command that is to be traced, descriptors with their paths, into `log`."""
    return ["strace", "-f", "-qq", "-y", "-s", "256", "-o", log, *options]


def calls(log: Path) -> list[Call]:
    found = []
    for line in log.read_text("utf-8", "replace").splitlines():
        match = CALL.match(line)
        if match:
            found.append(Call(int(match["pid"]), match["name"], match["rest"]))
    return found


def trace(harness: Harness, *command: str | Path) -> list[Call]:
    """The calls of a command that starts an app, up to there."""
    log = harness.base / "trace"
    harness.run(*strace(log), *command)
    return until_app(calls(log))


def until_app(found: list[Call]) -> list[Call]:
    """The calls of ours, before the one that starts the app."""
    for at, call in enumerate(found):
        if call.name == "execve" and "/tree/AppRun" in call.rest:
            return found[: at + 1]
    raise AssertionError("the app was never started")
