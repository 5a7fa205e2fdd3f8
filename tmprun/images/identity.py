"""Which file an image is, by what the kernel says of it, without reading it (docs/store.md)."""

from __future__ import annotations

import os
import time

# File times move in ticks of up to 10 ms. Where they are whole seconds (ext4 with inodes of 128 bytes) or two of them
# (FAT) they show no fraction.
_FRESH_NS = 50_000_000
_COARSE_FRESH_NS = 2_000_000_000


def identity(facts: os.stat_result) -> str:
    """The identity of the file that `facts` are about: DEV-INO-SIZE-MTIME-CTIME, hexadecimal, times in nanoseconds."""
    parts = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    return "-".join(f"{part & 0xFFFFFFFFFFFFFFFF:x}" for part in parts)


def is_fresh(facts: os.stat_result) -> bool:
    """Whether the file was changed so shortly ago that it could change again without its times showing it."""
    limit = _FRESH_NS if facts.st_ctime_ns % 1_000_000_000 else _COARSE_FRESH_NS
    return 0 <= time.time_ns() - facts.st_ctime_ns < limit
