"""What the tests may do where they run, and what they can see from there."""

from __future__ import annotations

import ctypes
import os

import pytest

# An ordinary user's run may skip what these words explain, and nothing else; root's run skips nothing (conftest.py).
FOR_WANT_OF_A_RIGHT = "for want of a right: "

IS_ROOT = os.geteuid() == 0
NEEDS_ROOT = f"{FOR_WANT_OF_A_RIGHT}only root can mount, chroot and be two users"
needs_root = pytest.mark.skipif(not IS_ROOT, reason=NEEDS_ROOT)

# The number that the kernel gives the first PID namespace (PROC_PID_INIT_INO). In any other, processes may be hidden
# from tmprun, and it removes what was used of late only when it is told that nobody outside uses the store.
IN_CONTAINER = os.stat("/proc/self/ns/pid").st_ino != 0xEFFFFFFC
ALONE = ("--alone",) if IN_CONTAINER else ()


def unshare(*flags: str) -> list[str]:
    """The command with these flags. An ordinary user gets a user namespace as well, and is root in it."""
    return ["unshare", *([] if IS_ROOT else ["-r"]), *flags]


def require_root() -> None:
    """Skip the test unless root runs it."""
    if not IS_ROOT:
        pytest.skip(NEEDS_ROOT)


def is_excused(reason: str) -> bool:
    """Whether a test that was skipped for `reason` may be missing from a green run."""
    return not IS_ROOT and FOR_WANT_OF_A_RIGHT in reason


def has_landlock() -> bool:
    """Whether this kernel confines who asks for it (Linux 5.13)."""
    return int(ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1)) > 0
