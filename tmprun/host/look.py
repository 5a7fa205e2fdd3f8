"""One look at the machine: what a start depends on here. Facts only; `tmprun doctor` shows them."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from tmprun.host import memory
from tmprun.host.memory import Memory

CLONE_NEWUSER = 0x10000000
LOADERS = ("/lib64/ld-linux*.so.*", "/lib/ld-linux*.so.*", "/lib/ld-musl-*.so.*", "/libexec/ld-elf.so.*")
FUSE_HELPERS = ("fusermount3", "fusermount")


@dataclass(frozen=True)
class Fuse:
    """`device`: /dev/fuse can be opened; `helper`: the program that mounts for ordinary users, or None."""

    device: bool
    helper: str | None


@dataclass(frozen=True)
class Leases:
    """`enabled` and `break_time` (seconds) are the kernel's settings, None when unreadable.

    `tried` is what came of taking one in a store.
    """

    enabled: bool | None
    break_time: int | None
    tried: str


@dataclass(frozen=True)
class Host:
    """What `look` found."""

    kernel: str
    machine: str
    processors: int
    sha_instructions: bool
    memory: Memory
    open_files: tuple[int, int]  # soft and hard limit; -1: none
    libc: str
    loaders: tuple[str, ...]
    fuse: Fuse
    user_namespaces: str  # "yes", or why not
    leases: Leases
    python: str


def look(store: str | None) -> Host:
    """Look at this machine. The lease is tried on a new file in the directory `store`. Never fails."""
    system = os.uname()
    return Host(
        kernel=f"{system.sysname} {system.release}",
        machine=system.machine,
        processors=len(os.sched_getaffinity(0)),
        sha_instructions=bool({"sha_ni", "sha2"} & _cpu_flags()),
        memory=memory.look(),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE),
        libc=_libc(),
        loaders=tuple(sorted({path for pattern in LOADERS for path in glob(pattern)})),
        fuse=Fuse(_can_open("/dev/fuse"), next(filter(None, map(shutil.which, FUSE_HELPERS)), None)),
        user_namespaces=_try_user_namespace(),
        leases=_leases(store),
        python=f"{platform.python_version()} ({sys.executable})",
    )


def _cpu_flags() -> set[str]:
    match = re.search(r"^(?:flags|Features)\s*:(.*)$", _text("/proc/cpuinfo"), re.MULTILINE)
    return set(match[1].split()) if match else set()


def _libc() -> str:
    """The C library of the host and its version: the one that our Python runs on, or else what the loaders tell."""
    try:
        version = os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError):
        version = None
    if version:
        return version
    for loader in glob("/lib/ld-musl-*.so.*"):
        match = re.search(r"^Version (\S+)", _stderr_of(loader), re.MULTILINE)
        return f"musl {match[1]}" if match else "musl"
    return "none"


def _stderr_of(program: str) -> str:
    try:
        return subprocess.run(
            [program], capture_output=True, text=True, errors="replace", timeout=5, check=False
        ).stderr
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _can_open(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _try_user_namespace() -> str:
    """Make one in a child. Settings alone do not tell: AppArmor, seccomp and limits each may forbid it as well."""
    libc = ctypes.CDLL(None, use_errno=True)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if libc.unshare(CLONE_NEWUSER) == 0 else ctypes.get_errno() & 0xFF or 255)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return "yes" if code == 0 else os.strerror(code) if code > 0 else f"signal {-code}"


def _leases(store: str | None) -> Leases:
    enabled, seconds = _text("/proc/sys/fs/leases-enable").strip(), _text("/proc/sys/fs/lease-break-time").strip()
    tried = _try_lease(store) if store else "no store to try it in"
    return Leases(enabled != "0" if enabled else None, int(seconds) if seconds.isdecimal() else None, tried)


def _try_lease(folder: str) -> str:
    """Take a write lease on a file in `folder`, as a gated start does: "granted", or why not."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError as error:
        return f"refused: {errno.errorcode.get(error.errno or 0, '')} {error.strerror}"
    return "granted"


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
