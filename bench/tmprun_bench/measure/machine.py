"""What the numbers were measured on and with."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import psutil

from tmprun.host import memory
from tmprun_bench.corpora import peers
from tmprun_bench.measure.workspace import Workspace, file_system
from tmprun_bench.places import CHECKOUT

# How each tool is asked for its version. Several print it on stderr, or exit with 1.
VERSIONS = {
    "squashfuse": ("squashfuse", "--help"),
    "squashfuse_ll": ("squashfuse_ll", "--help"),
    "fusermount3": ("fusermount3", "--version"),
    "unsquashfs": ("unsquashfs", "-version"),
    "mksquashfs": ("mksquashfs", "-version"),
    "mkfs.erofs": ("mkfs.erofs", "--version"),
    "tar": ("tar", "--version"),
    "zstd": ("zstd", "--version"),
}
BUSY = 0.25  # load average for each processor above which medians become doubtful
DROP_CACHES = Path("/proc/sys/vm/drop_caches")


def describe(door: Path, work: Workspace, images: Path, *, cold: bool = False) -> dict[str, object]:
    """The machine, its kernel, where things lie on it, and the versions of all subjects.

    `images`: the directory that they are in; `cold`: the page cache is dropped before each run.
    """
    available = psutil.virtual_memory()
    return {
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
        "governor": _setting("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "memory_bytes": available.total,
        "control_group": _control_group(),
        "transparent_huge_pages_shmem": _setting("/sys/kernel/mm/transparent_hugepage/shmem_enabled"),
        "load_average": os.getloadavg()[0],
        "user": "root" if os.geteuid() == 0 else "ordinary",
        "page_cache": "dropped before each run" if cold else "warm",
        "file_systems": {"work directory": file_system(work.root), "images": file_system(images)},
        "python": platform.python_version(),
        "tmprun": " ".join(filter(None, (_version((str(door), "--version")), _commit()))),
        "versions": {name: _version(command) for name, command in (VERSIONS | _fetched()).items()},
    }


def busy() -> str:
    """A warning when others use the machine; else empty."""
    load = os.getloadavg()[0]
    if load <= BUSY * (os.cpu_count() or 1):
        return ""
    return f"load average {load:.2f}: others use this machine, the numbers are not to be trusted"


def cannot_drop_caches() -> str:
    """Why the page cache cannot be dropped here; empty when it can."""
    if os.geteuid() != 0:
        return "only root can drop the page cache"
    return "" if os.access(DROP_CACHES, os.W_OK) else f"{DROP_CACHES} cannot be written here"


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        return "unknown"
    return found.group(1) if found else platform.processor() or "unknown"


def _control_group() -> dict[str, object]:
    """What our control groups allow us of the machine: bytes of memory, and processors' worth of time."""
    return {"memory_bytes": memory.look().limit or "no limit", "processors": _processor_limit() or "no limit"}


def _processor_limit() -> float | None:
    """The smallest quota of a group that we are in, in the second version of the interface and the first."""
    limits = []
    for line in _setting("/proc/self/cgroup").splitlines():
        _, controllers, path = f"{line}::".split(":")[:3]
        first = "cpu" in controllers.split(",")
        if controllers and not first:
            continue
        top = Path("/sys/fs/cgroup/cpu" if first else "/sys/fs/cgroup")
        # In a container, the path may be that of the host, whose group is mounted at the top.
        for group in (top / path.lstrip("/"), *(top / path.lstrip("/")).parents):
            if group.is_relative_to(top):
                limits.append(_quota(group, first))
    return min((limit for limit in limits if limit is not None), default=None)


def _quota(group: Path, first: bool) -> float | None:
    files = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if first else ("cpu.max",)
    words = " ".join(_setting(str(group / name)) for name in files).split()
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        return None
    return int(words[0]) / int(words[1])


def _setting(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return "unknown"


def _commit() -> str:
    """The commit of our source tree, with `-dirty` when it has been changed since; empty when there is none."""
    if CHECKOUT is None or shutil.which("git") is None:
        return ""
    # The tree may be another user's, of whom git is suspicious.
    command = ("git", "-c", f"safe.directory={CHECKOUT}", "-C", str(CHECKOUT), "describe", "--always", "--dirty")
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return f"({done.stdout.strip()})" if done.returncode == 0 else ""


def _fetched() -> dict[str, tuple[str, ...]]:
    """Peers that were fetched, and are used instead of what this machine has (corpora/peers.py)."""
    threaded, makers = peers.threaded_squashfuse(), peers.commands("mkfs.erofs")
    found = {"squashfuse_ll, several threads": (*threaded, "--help")} if threaded else {}
    return found | ({"mkfs.erofs, fetched": (*makers[0], "--version")} if makers[0] else {})


def _version(command: tuple[str, ...]) -> str:
    """The first line of what a program says that has a version in it."""
    if shutil.which(command[0]) is None:
        return "not installed"
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return next((line.strip() for line in lines if re.search(r"\d\.\d", line)), "unknown")
