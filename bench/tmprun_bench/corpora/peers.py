"""Peers that this machine's distribution has not, or too old: squashfuse_ll with several threads, EROFS with zstd.

Debian 12's squashfuse_ll (0.1.105) serves one request after the other; since Debian 13's (0.5.2) it has ten threads.
mkfs.erofs has zstd since 1.8. To be fair to both, Debian 13's packages are downloaded with all that they depend on,
unpacked, and started by the loader that comes with them; nothing is installed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tmprun_bench.corpora import debian
from tmprun_bench.corpora.cache import make
from tmprun_bench.errors import BenchError
from tmprun_bench.places import CORPORA

SUITE = "trixie"
PACKAGES = ("squashfuse", "erofs-utils", "erofsfuse")
THREADED = b"fuse_session_loop_mt"  # what a squashfuse_ll with several threads imports from libfuse
KEPT = CORPORA / "peers-1" / "root"


def fetch() -> str:
    """Have them here. Returns why that was not possible; empty when it was."""
    if not debian.can_have(SUITE):
        return f"no apt-get with Debian's {SUITE}"
    try:
        make(KEPT, lambda root: debian.tree(root, PACKAGES, suite=SUITE))
    except BenchError as error:
        return str(error).partition("\n")[0]
    return ""


def threaded_squashfuse() -> tuple[str, ...] | None:
    """A squashfuse_ll that was built for several threads, the installed one if it was; None when there is none."""
    installed = shutil.which("squashfuse_ll")
    if installed and THREADED in Path(installed).read_bytes():
        return (installed,)
    return _kept("squashfuse_ll")


def command(program: str) -> tuple[str, ...] | None:
    """The newest that there is: the fetched one, else the installed one; None when there is neither."""
    return next((found for found in commands(program) if found), None)


def commands(program: str) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """The fetched and the installed one."""
    installed = shutil.which(program)
    return _kept(program), (installed,) if installed else None


def _kept(program: str) -> tuple[str, ...] | None:
    """By the loader and with the libraries that came with it: they want a newer C library than this machine's."""
    path = KEPT / "usr" / "bin" / program
    loader = next(KEPT.glob("usr/lib*/ld-linux*"), None)
    library = next(KEPT.glob("usr/lib/*-linux-gnu"), None)
    if not path.exists() or loader is None or library is None:
        return None
    return (str(loader), "--library-path", str(library), str(path))
