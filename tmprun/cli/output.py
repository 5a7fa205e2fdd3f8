"""The command line's two streams: results on stdout, everything else on stderr, one line each."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

from tmprun.human import one_line


def say(lines: Iterable[str]) -> None:
    """Write results, a line each. Whoever writes what an image says passes it through `one_line` first."""
    sys.stdout.writelines(f"{line}\n" for line in lines)


def say_json(value: object) -> None:
    """Write one result for programs, in ASCII: a name that is not UTF-8 has lone surrogates for its odd bytes."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=True)
    sys.stdout.write("\n")


def say_raw(line: bytes) -> None:
    """Write one line as it is: a path that other programs shall open."""
    sys.stdout.flush()
    sys.stdout.buffer.write(line + b"\n")


def complain(text: str) -> None:
    """Write one line to stderr: what happened, where, and what to do."""
    sys.stderr.write(f"tmprun: {one_line(text)}\n")
    sys.stderr.flush()
