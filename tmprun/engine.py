"""The engine's programs that this package carries: a front door and a stub for each machine.

Imported at the first start of every image, so paths are plain strings: pathlib takes 5 ms to load.
"""

from __future__ import annotations

import os
import sys

from tmprun.errors import TmprunError

MACHINES = ("aarch64", "x86_64")
ENGINE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "engine")


def host() -> str:
    """The machine that this runs on, as `uname -m` says."""
    return os.uname().machine


def door(machine: str = "") -> str:
    """The path of the front door for `machine` (default: this one); TmprunError when the package has none."""
    return _program("tmprun", machine or host())


def stub(machine: str) -> bytes:
    """The program at the head of bundles for `machine`; TmprunError when the package has none."""
    with open(_program("stub", machine), "rb") as file:
        return file.read()


def _program(name: str, machine: str) -> str:
    if machine not in MACHINES:
        raise TmprunError(f"there is no engine for {machine}", remedy=f"it runs on {' and '.join(MACHINES)}")
    path = os.path.join(ENGINE, machine, name)
    installed = os.path.join(sys.prefix, "bin", "tmprun")
    if name == "tmprun" and machine == host() and path.startswith(f"{sys.prefix}/lib") and os.path.exists(installed):
        return installed
    if not os.access(path, os.X_OK):
        raise TmprunError(f"the engine for {machine} is missing", path, "install tmprun again, or run make engine")
    return path
