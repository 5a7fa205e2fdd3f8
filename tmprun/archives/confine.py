"""Before this process parses what strangers wrote, it gives up what it does not need for that, for good.

Limits of memory, time and file size; no new privileges; and where the kernel has Landlock, nothing is written outside
one directory, nothing read but the system's libraries, no program started and no connection made.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
from dataclasses import dataclass

# prctl(2), landlock(7); the numbers of the latter's calls are the same on all machines.
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION = 1  # landlock_create_ruleset's flag
_BENEATH = 1
# Rights, by the version of Landlock that brought them.
_RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14}
_EXECUTE, _WRITE, _READ = 1, 1 << 1, 1 << 2 | 1 << 3
_TCP = 3  # bind and connect, version 4
_READABLE = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", sys.prefix, sys.base_prefix)


@dataclass(frozen=True)
class Limits:
    """Bytes of memory; seconds of a processor, and one more for each `each` bytes of the file."""

    memory: int
    seconds: int
    each: int


# xz at its highest level takes 65 MiB, zstd with --ultra 128, 7-Zip as much as somebody told it.
USUAL = Limits(1 << 30, 30, 1 << 20)
# Hardly anything is compressed there; but where a name says that it goes on in itself, libarchive follows for ever.
NAMES = Limits(192 << 20, 5, 4 << 20)


def confine(directory: str, size: int, limits: Limits = USUAL) -> None:
    """From now on this process writes below `directory` alone, and ends when it takes more than `size` bytes need."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _limits(size, limits)
    _landlock(libc, directory, reads=False)


def fence(directory: str) -> None:
    """From now on this process, and what it becomes, writes below `directory` alone, where the kernel has Landlock."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _landlock(libc, directory, reads=True)


def _limits(size: int, limits: Limits) -> None:
    seconds = limits.seconds + size // limits.each
    _lower(resource.RLIMIT_CPU, seconds, seconds + 5)
    _lower(resource.RLIMIT_AS, _address_space() + limits.memory)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NPROC, 0)


def _lower(what: int, limit: int, hard: int | None = None) -> None:
    soft, most = resource.getrlimit(what)
    wanted = hard or limit
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    try:
        resource.setrlimit(what, (min(limit, wanted), wanted))
    except (OSError, ValueError):
        resource.setrlimit(what, (min(limit, soft) if soft != resource.RLIM_INFINITY else limit, most))


def _address_space() -> int:
    """Bytes that this process has mapped already."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _landlock(libc: ctypes.CDLL, directory: str, *, reads: bool) -> None:
    """Best effort: kernels before 5.13, and some containers, have none. With `reads` all that can be read still can,
    programs are started, and connections made."""
    version = libc.syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)
    if version < 1:
        return
    rights = sum(right for since, right in _RIGHTS.items() if since <= version)
    if reads:
        rights &= ~(_READ | _EXECUTE)
    rules = struct.pack("<QQ", rights, 0 if reads else _TCP)[: 16 if version >= 4 else 8]
    ruleset = libc.syscall(_CREATE, rules, ctypes.c_size_t(len(rules)), 0)
    if ruleset < 0:
        return
    _allow(libc, ruleset, directory, rights & ~_EXECUTE)
    for path in ("/dev",) if reads else _READABLE:
        _allow(libc, ruleset, path, rights & _WRITE if reads else _READ)
    libc.syscall(_RESTRICT, ruleset, 0)
    os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):
        rights &= 1 << 1 | 1 << 2  # the others make no sense for a file, and are refused
    libc.syscall(_ADD, ruleset, _BENEATH, struct.pack("<Qi", rights, fd), 0)
    os.close(fd)
