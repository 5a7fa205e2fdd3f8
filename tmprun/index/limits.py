"""What is more than any app is: a bundle beyond these limits is refused, unless somebody insists (docs/format.md).

They are the engine's (stub/start/limits.c), which also compares the content's size with the file's before it unpacks.
"""

from __future__ import annotations

import os

from tmprun.errors import BadImage
from tmprun.index.rules import HEADER

USUAL_NODES = 200_000
USUAL_SEGMENTS = 1 << 20
USUAL_FRAMES = 1 << 18


def check_limits(table: bytes) -> None:
    """BadImage when the index `table` says that there are more files, or pieces of files, than an app has.

    Before it is decoded, which takes seconds and a gigabyte for a few million. One that is too short says nothing.
    """
    if len(table) < HEADER.size or os.environ.get("TMPRUN_LIMITS") == "none":
        return
    _, frames, nodes, segments = HEADER.unpack_from(table)[:4]
    if nodes > USUAL_NODES:
        raise _too_many(f"{nodes} files")
    if segments > USUAL_SEGMENTS or frames > USUAL_FRAMES:
        raise _too_many(f"{max(segments, frames)} pieces of files")


def _too_many(what: str) -> BadImage:
    return BadImage(f"claims to hold {what}, and may be a bomb", remedy="if it is not, set TMPRUN_LIMITS=none")
