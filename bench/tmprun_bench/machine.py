"""What the numbers were measured on and with."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import psutil

# How each tool is asked for its version. Several print it on stderr, or exit with 1.
VERSIONS = {
    "squashfuse": ("squashfuse", "--help"),
    "squashfuse_ll": ("squashfuse_ll", "--help"),
    "unsquashfs": ("unsquashfs", "-version"),
    "mksquashfs": ("mksquashfs", "-version"),
    "fusermount3": ("fusermount3", "--version"),
}
BUSY = 0.25  # load average for each processor above which medians become doubtful


def describe(door: Path) -> dict[str, object]:
    """The machine, its kernel, and the versions of all subjects."""
    memory = psutil.virtual_memory()
    return {
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
        "memory_bytes": memory.total,
        "transparent_huge_pages_shmem": _setting("/sys/kernel/mm/transparent_hugepage/shmem_enabled"),
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        "tmprun": _version((str(door), "--version")),
        "versions": {name: _version(command) for name, command in VERSIONS.items()},
    }


def busy() -> str:
    """A warning when others use the machine; else empty."""
    load = os.getloadavg()[0]
    if load <= BUSY * (os.cpu_count() or 1):
        return ""
    return f"load average {load:.2f}: others use this machine, the numbers are not to be trusted"


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        return "unknown"
    return found.group(1) if found else platform.processor() or "unknown"


def _setting(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return "unknown"


def _version(command: tuple[str, ...]) -> str:
    """The first line of what a program says that has a version in it."""
    if shutil.which(command[0]) is None:
        return "not installed"
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return next((line.strip() for line in lines if re.search(r"\d\.\d", line)), "unknown")
