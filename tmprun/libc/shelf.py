"""Where slices lie: adding, listing and removing them is putting files there and taking them away (docs/libc.md)."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tmprun.errors import TmprunError
from tmprun.host.folders import data_home
from tmprun.human import one_line
from tmprun.images.image import Image
from tmprun.images.opened import Opened
from tmprun.index.decode import metadata_of

SYSTEM = "/usr/lib/tmprun/libc"
SUFFIX = ".slice"


@dataclass(frozen=True)
class Slice:
    """A slice: `glibc` is the version of its C library; `trouble` is why it cannot be used, as far as that is known."""

    path: str
    machine: str = ""
    glibc: str = ""
    size: int = 0
    trouble: str = ""

    @property
    def version(self) -> tuple[int, ...]:
        """`glibc` as numbers."""
        return tuple(int(part) for part in self.glibc.split(".") if part.isdigit())


def own() -> str | None:
    """The user's own place; None when there is no home."""
    above = data_home()
    return above and f"{above}/tmprun/libc"


def places() -> list[str]:
    """In the order in which a start looks into them."""
    return [*filter(None, [own()]), SYSTEM]


def slices() -> list[Slice]:
    return [look(path) for place in places() for path in _files(place)]


def _files(place: str) -> Iterator[str]:
    names = sorted(os.listdir(place)) if os.path.isdir(place) else []
    yield from (f"{place}/{name}" for name in names if name.endswith(SUFFIX) and not name.startswith("."))


def look(path: str) -> Slice:
    """What the file says that it is."""
    size = 0
    try:
        size = os.stat(path).st_size
        with Image(path) as image, Opened(image) as opened:
            facts: dict[str, Any] = metadata_of(opened.index.metadata)
            return Slice(path, str(facts["arch"]), str(facts["slice"]["glibc"]), size)
    except OSError as error:
        return Slice(path, trouble=error.strerror or str(error))
    except TmprunError as error:
        return Slice(path, size=size, trouble=f"it is no slice, or not whole: {error.what}")
    except (KeyError, TypeError, ValueError):
        return Slice(path, size=size, trouble="it is no slice; tmprun libc make makes one")


def add(file: str, *, everybody: bool = False) -> Path:
    """Copy the slice to where starts find it; it is there when it is whole, and not before."""
    found = look(file)
    if found.trouble:
        raise TmprunError(found.trouble, one_line(file))
    place = SYSTEM if everybody else own()
    if place is None:
        raise TmprunError("there is no home to put it into", remedy="set HOME, or give --system")
    name = os.path.basename(file)
    target = Path(place, name if name.endswith(SUFFIX) else f"{name}{SUFFIX}")
    # Nobody else may write where programs are taken from, whatever the umask is.
    os.makedirs(place, mode=0o755, exist_ok=True)
    beside = target.with_name(f".{secrets.token_hex(8)}")
    try:
        with open(beside, "xb", opener=lambda path, flags: os.open(path, flags, 0o644)) as copy:
            with open(file, "rb") as original:
                shutil.copyfileobj(original, copy)
            os.fsync(copy.fileno())
        os.chmod(beside, 0o644)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    return target


def remove(name: str) -> Path:
    """Remove the slice of that path, or of that name in the first place that has one."""
    for found in slices():
        base = os.path.basename(found.path)
        if found.path in (name, os.path.abspath(name)) or name in (base, base.removesuffix(SUFFIX)):
            os.unlink(found.path)
            return Path(found.path)
    raise TmprunError("is not added here", one_line(name), "tmprun libc list shows what is")
