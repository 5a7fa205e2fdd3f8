"""`tmprun pack --trace`: run the app once, and see which of its files a start opens, in which order.

The app is packed quickly and started in a store of its own, filled on demand: then each file that it opens is asked of
the filler, one by one, and the filler writes down which. Programs and scripts are no part of that; they are always
there before the app starts.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tmprun.bundle.footer import read_footer, read_index
from tmprun.engine import programs
from tmprun.errors import TmprunError
from tmprun.index.decode import decode
from tmprun.pack.pack import pack
from tmprun.store import layout
from tmprun.store.removal import remove
from tmprun.store.traces import files_of

LEVEL = 1
POLL = 0.02  # seconds


@dataclass(frozen=True)
class Trace:
    """The paths of the files that the app opened, in that order, and its exit status as a shell tells it."""

    paths: tuple[bytes, ...]
    status: int


def run_traced(
    appdir: str | os.PathLike[str], arguments: Sequence[str], *, threads: int = 0, with_libc: bool = False
) -> Trace:
    """Run the app of the AppDir with `arguments`, its input and output being ours, until nothing of it runs any more.

    PackError when it cannot be packed; TmprunError when nothing can be seen here, because no file can be gated.
    """
    with _workplace() as place:
        bundle = place / "app"
        pack(appdir, bundle, level=LEVEL, threads=threads, with_libc=with_libc)
        status, filled = _run(bundle, place, arguments)
        if not filled:
            raise TmprunError(
                f"the app ended with status {status} and no file of it was gated",
                os.fspath(appdir),
                "leave out --trace; with TMPRUN_LOG=debug the start says why",
            )
        return Trace(_paths(bundle, place / "trace"), status)


@contextmanager
def _workplace() -> Iterator[Path]:
    """A directory for what is used once. What the engine unpacked there is read-only, and deleted all the same."""
    path = tempfile.mkdtemp(prefix="tmprun-trace-")
    try:
        yield Path(path)
    finally:
        parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove(parent, os.path.basename(path))
        finally:
            os.close(parent)


def _run(bundle: Path, place: Path, arguments: Sequence[str]) -> tuple[int, bool]:
    """The app's exit status, and whether it was filled on demand; by now its filler has left."""
    store = place / "store"
    command = [programs.door(), "run", "--fill", "demand", "--store", str(store), str(bundle), *arguments]
    environment = os.environ | {"TMPRUN_TRACE": str(place / "trace")}
    with subprocess.Popen(command, env=environment) as app:
        filled = False
        while app.poll() is None or _is_filled(store):
            filled = filled or _is_filled(store)
            time.sleep(POLL)
    status = app.returncode
    return status if status >= 0 else 128 - status, filled or any(store.glob(layout.FILLERS))


def _is_filled(store: Path) -> bool:
    """Whether a filler is at work in the only tree of the store: it has a lock. Nothing is kept open, which would be
    use of the tree."""
    for path in store.glob(layout.FILLERS):
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            continue
    return False


def _paths(bundle: Path, written: Path) -> tuple[bytes, ...]:
    try:
        raw = written.read_bytes()
    except FileNotFoundError:
        return ()  # it opened nothing that was not there before it started
    with bundle.open("rb") as file:
        footer = read_footer(file.fileno())
        if footer is None:
            raise TmprunError("is no bundle any more", os.fspath(bundle), "let nobody else write there")
        index = decode(read_index(file.fileno(), footer))
    paths = dict(zip(index.nodes, index.paths(), strict=True))
    return tuple(paths[node] for node in files_of(raw, index.nodes))
