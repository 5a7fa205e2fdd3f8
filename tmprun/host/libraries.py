"""Where this machine's loader would find a library."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence

from tmprun.elf.machines import is_for

# How ldconfig marks the libraries of a machine.
_MARKS = {"x86_64": "x86-64", "aarch64": "AArch64"}
_LINE = re.compile(r"\t(\S+) \(([^)]*)\) => (/.*)")
_BANNER = re.compile(rb"GNU C Library [^\n]{0,200}?release version (\d{1,3})\.(\d{1,3})")


class SystemLibraries:
    """The libraries for `machine` that the loader's cache lists, and those in directories that a file names itself."""

    def __init__(self, machine: str) -> None:
        self.machine = machine
        self.known: dict[str, str] = {}
        for line in _cache().splitlines():
            found = _LINE.fullmatch(line)
            # Variants for newer processors come with a "hwcap" of their own: a bundle is for all.
            if (
                found
                and _MARKS.get(machine, machine) in found[2]
                and "hwcap" not in found[2]
                and "glibc-hwcaps" not in found[3]
            ):
                self.known.setdefault(found[1], found[3])

    def find(self, name: str, search: Sequence[str] = ()) -> str | None:
        """The path of the library `name` for a file with the run path `search`; None when there is none."""
        for folder in search:
            path = os.path.join(folder, name)
            if folder.startswith("/") and is_for(path, self.machine):
                return path
        path = self.known.get(name, "")
        return path if is_for(path, self.machine) else None


def glibc_version(library: bytes) -> tuple[int, int] | None:
    """The version in the banner of the C library with that content; None when it is not glibc's."""
    found = _BANNER.search(library)
    return (int(found[1]), int(found[2])) if found else None


def _cache() -> str:
    path = shutil.which("ldconfig", path=f"{os.environ.get('PATH', '')}:/sbin:/usr/sbin")
    if path is None:
        return ""
    command = [path, "-p"]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"LC_ALL": "C"}).stdout
