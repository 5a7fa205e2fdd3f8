"""The list of a slice's libraries, which the engine makes a cache for the slice's loader of (docs/libc.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable

LIST = "ld.so.cache"
"""What the list, and then the cache, is called in the slice."""

_FLAGS = {
    "x86_64": 0x303,
    "aarch64": 0xA03,
}  # what glibc's caches call its libraries of 64 bits (sysdeps/generic/ldconfig.h)
_PARTS = re.compile(r"\d+|\D")


def library_list(names: Iterable[str], machine: str) -> bytes:
    """The flags that each row of the cache has, and the names in the order in which the loader searches them."""
    lines = [str(_FLAGS[machine]), *sorted(names, key=_rank, reverse=True)]
    return "".join(f"{line}\n" for line in lines).encode()


def _rank(name: str) -> list[tuple[int, int]]:
    """As _dl_cache_libcmp compares (elf/dl-cache.c): digits as numbers, and these behind everything else."""
    return [(1, int(part)) if part.isdigit() else (0, ord(part)) for part in _PARTS.findall(name)]
