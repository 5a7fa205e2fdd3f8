"""The stubs: the static programs at the head of every bundle, one a machine, built with the package."""

from __future__ import annotations

import io
from pathlib import Path

from tmprun.elf.facts import section
from tmprun.errors import TmprunError

ENGINE = Path(__file__).parent
MACHINES = ("aarch64", "x86_64")
UPDATE_SECTION = ".upd_info"


def stub_for(machine: str) -> bytes:
    """The stub for `machine`, a name as `uname -m` prints it; TmprunError when there is none."""
    if machine not in MACHINES:
        raise TmprunError(
            f"no bundle for {machine} can be made", remedy=f"there are stubs for {' and '.join(MACHINES)}"
        )
    try:
        return (ENGINE / machine / "stub").read_bytes()
    except FileNotFoundError:
        remedy = f"install its wheel, or its source with TMPRUN_ENGINE_ARCHES={','.join(MACHINES)} set"
        raise TmprunError(f"this installation of tmprun has no stub for {machine}", remedy=remedy) from None


def with_update_information(stub: bytes, text: str) -> bytes:
    """`stub` with `text` in its section .upd_info, where AppImage's update tools look for it, the rest of that zero."""
    found = section(io.BytesIO(stub), UPDATE_SECTION)
    if found is None:
        raise TmprunError(f"the stub has no section {UPDATE_SECTION}", remedy="build the engine again")
    offset, size = found
    raw = text.encode("utf-8", "surrogateescape")
    if len(raw) >= size or not text.isprintable():
        raise TmprunError("illegal update information", remedy=f"give one line of at most {size - 1} bytes")
    return stub[:offset] + raw.ljust(size, b"\0") + stub[offset + size :]
