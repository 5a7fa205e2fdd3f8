"""The engine's programs: a front door and a stub for each machine.

A source tree has them all in `tmprun/engine`, where `make engine` puts them. An installation has the stubs there; its
front door is the script `tmprun`, and stands beside the package as every script does.

Imported at the first start of every image, so paths are plain strings: pathlib takes 5 ms to load.
"""

from __future__ import annotations

import os
import sys

from tmprun.errors import TmprunError

MACHINES = ("aarch64", "x86_64")
ENGINE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.dirname(ENGINE)

# The path of the front door that started this process, if one did.
started_by = ""


def host() -> str:
    """The machine that this runs on, as `uname -m` says."""
    return os.uname().machine


def door(machine: str = "") -> str:
    """The path of the front door for `machine` (default: this one); TmprunError when there is none."""
    if machine and machine != host():
        return _program("tmprun", machine)
    return started_by or (_built() or script())


def script() -> str:
    """The front door as it is installed; where nothing is, the built one. TmprunError when there is neither.

    `pip install --target DIR` puts scripts into DIR/bin and all else into DIR. Every other scheme has them in
    PREFIX/bin, and packages in PREFIX/lib/pythonX.Y/site-packages. The package of an editable installation lies
    somewhere else, and only the interpreter knows where its scripts are.
    """
    folder = os.path.dirname(PACKAGE)
    prefix = os.path.dirname(os.path.dirname(os.path.dirname(folder)))
    for base in (folder, prefix, sys.prefix):
        path = os.path.join(base, "bin", "tmprun")
        if os.access(path, os.X_OK) and _is_ours(path):
            return path
    return _program("tmprun", host())


def _is_ours(path: str) -> bool:
    """Whether it is a program, and not the script of another package of this name."""
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def _built() -> str:
    path = os.path.join(ENGINE, host(), "tmprun")
    return path if os.access(path, os.X_OK) else ""


def stub(machine: str) -> bytes:
    """The program at the head of bundles for `machine`; TmprunError when the package has none."""
    with open(_program("stub", machine), "rb") as file:
        return file.read()


def _program(name: str, machine: str) -> str:
    if machine not in MACHINES:
        raise TmprunError(f"there is no engine for {machine}", remedy=f"it runs on {' and '.join(MACHINES)}")
    path = os.path.join(ENGINE, machine, name)
    installed = os.path.join(sys.prefix, "bin", "tmprun")
    if name == "tmprun" and machine == host() and not os.path.exists(path) and os.path.exists(installed):
        return installed
    if not os.access(path, os.X_OK):
        raise TmprunError(f"the engine for {machine} is missing", path, "install tmprun again, or run make engine")
    return path
