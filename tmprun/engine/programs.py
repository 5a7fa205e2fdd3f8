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
        return _door_for(machine)
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
    return _door_for(host())


def _is_ours(path: str) -> bool:
    """Whether it is a program, and not the script of another package of this name."""
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def _built() -> str:
    path = os.path.join(ENGINE, host(), "tmprun")
    return path if os.access(path, os.X_OK) else ""


def stub_for(machine: str) -> bytes:
    """The program at the head of bundles for `machine`; TmprunError when the package has none."""
    if machine not in MACHINES:
        remedy = f"there are stubs for {' and '.join(MACHINES)}"
        raise TmprunError(f"no bundle for {machine} can be made", remedy=remedy)
    try:
        with open(os.path.join(ENGINE, machine, "stub"), "rb") as file:
            return file.read()
    except FileNotFoundError:
        remedy = f"install its wheel, or its source with TMPRUN_ENGINE_ARCHES={','.join(MACHINES)} set"
        raise TmprunError(f"this installation of tmprun has no stub for {machine}", remedy=remedy) from None


def stubs() -> list[str]:
    """The machines that bundles can be made for here."""
    return [machine for machine in MACHINES if os.path.exists(os.path.join(ENGINE, machine, "stub"))]


def _door_for(machine: str) -> str:
    if machine not in MACHINES:
        raise TmprunError(f"there is no engine for {machine}", remedy=f"it runs on {' and '.join(MACHINES)}")
    path = os.path.join(ENGINE, machine, "tmprun")
    if not os.access(path, os.X_OK):
        raise TmprunError(f"the engine for {machine} is missing", path, "install tmprun again, or run make engine")
    return path
