"""Archives and packages in a watched directory: which belong into the menus, found out beside everything else.

Few archives are apps, and telling means to read one to its end. So a process of its own does that, one after the other:
what else comes and goes in the directory does not wait for it.
"""

from __future__ import annotations

import os
import posixpath
import select
import signal
import sys
from dataclasses import dataclass

from tmprun.archives import kinds, reading
from tmprun.archives.entry import Unclear, find_entry
from tmprun.convert.convert import names_of
from tmprun.errors import BadImage, TmprunError
from tmprun.images.image import Image
from tmprun.menus import integrate

PACKAGES = ("deb", "rpm")


def is_archive(path: str) -> bool:
    """Whether the file is an archive or a package, by its first bytes."""
    try:
        with open(path, "rb") as file:
            return bool(kinds.kind_of(file.fileno(), path).format)
    except (OSError, TmprunError):
        return False


def belongs(path: str) -> bool:
    """Whether it is clear what to start of the archive, and that it has a place in menus, which its entry tells.

    Unclear for a package of which that is not clear: who puts a package there wants something of it.
    """
    with Image(path) as image:
        kind = kinds.kind_of(image.fd, path)
        read = reading.look(image.fd, kind)
    try:
        found = find_entry(read.tree, names=(read.package.name,) if read.package else names_of(path))
    except Unclear as error:
        if kind.format in PACKAGES:
            raise Unclear(error.what, path, error.remedy) from None
        return False
    at_top = any(posixpath.dirname(text) == found.top for text in read.tree.texts)
    if kind.format in PACKAGES and not found.desktop and not at_top:
        raise Unclear("is a package without an entry for menus", path, "to have one all the same: tmprun integrate")
    return bool(found.desktop) or at_top


@dataclass
class Work:
    """A process that puts the archive at `path` into the menus, if it belongs there."""

    path: str
    pid: int
    pipe: int

    def result(self) -> tuple[bool, str] | None:
        """Whether it did, and what hindered it; None as long as it is at work."""
        if not select.select([self.pipe], [], [], 0)[0]:
            return None
        said = b""
        while piece := os.read(self.pipe, 1 << 16):
            said += piece
        os.close(self.pipe)
        status = os.waitpid(self.pid, 0)[1]
        return status == 0 and not said, os.fsdecode(said)

    def end(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        os.close(self.pipe)
        os.waitpid(self.pid, 0)


def begin(path: str) -> Work:
    """Begin with one."""
    reading_end, writing_end = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        _work(path, writing_end)
    os.close(writing_end)
    return Work(path, pid, reading_end)


def _work(path: str, pipe: int) -> None:
    """Does not return. An archive that is damaged, or is still being written, is passed over without a word."""
    status = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.nice(10)  # somebody waits to see it in the menu, so it must not starve on a busy machine
        if belongs(path):
            integrate.integrate(path, asked=False)
            status = 0
    except (BadImage, integrate.NoMenu):
        pass
    except TmprunError as error:
        os.write(pipe, os.fsencode(str(error))[:4000])
    finally:
        os._exit(status)
