"""The machines that ELF files are for, by the names that `uname -m` prints."""

from __future__ import annotations

import os
import struct

MAGIC = b"\x7fELF"
HEAD = 20
"""So many bytes from a file's start tell whether it is ELF, and its machine."""

# (e_machine, ELF class, byte order) as in the ELF header.
_MACHINES = {
    (62, 2, 1): "x86_64", (183, 2, 1): "aarch64", (3, 1, 1): "i386", (40, 1, 1): "armhf", (62, 1, 1): "x32",
    (243, 2, 1): "riscv64", (21, 2, 1): "ppc64le", (22, 2, 2): "s390x", (258, 2, 1): "loongarch64",
}  # fmt: skip
# Whose programs a machine runs beside its own.
_ALSO_RUNS = {"x86_64": ("i386",), "aarch64": ("armhf",)}


def machine_of(head: bytes) -> str | None:
    """The machine that a file is for, judged by its first `HEAD` bytes; `ELF machine N` for one that has no name here,
    None when it is no ELF file."""
    if len(head) < HEAD or not head.startswith(MAGIC):
        return None
    (number,) = struct.unpack_from(">H" if head[5] == 2 else "<H", head, 18)
    return _MACHINES.get((number, head[4], head[5]), f"ELF machine {number}")


def is_for(path: str, machine: str) -> bool:
    """Whether the file at `path` is there, and an ELF file for `machine`."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return machine_of(file.read(HEAD)) == machine


def runs(machine: str, here: str) -> bool:
    """Whether programs for `machine` run on the machine `here` without an emulator."""
    return machine == here or machine in _ALSO_RUNS.get(here, ())
