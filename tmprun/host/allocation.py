"""How the C library hands out memory, for work that goes through many large buffers.

glibc gives a large block back to the kernel as soon as it is free (mallopt(3), M_TRIM_THRESHOLD): the next one consists
of new pages, each of which costs a fault and is zeroed: a twentieth of the time that it takes to pack LibreOffice.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST = 32 << 20  # bytes; glibc takes no more as the second
_KEPT = 64 << 20  # likewise, at the most


def keep_freed_memory() -> None:
    """From now on this process, and whoever it forks, uses freed memory again; nothing happens without glibc."""
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # a static Python, musl
        return
    set_option(_MMAP_THRESHOLD, _LARGEST)
    set_option(_TRIM_THRESHOLD, _KEPT)
