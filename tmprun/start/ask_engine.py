"""What the command line asks of the engine: one function for each of the front door's verbs.

The engine says itself on stderr why it fails; then there is nothing to add, see `errors.EngineFailed`.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from tmprun.engine import programs
from tmprun.errors import EngineFailed, TmprunError
from tmprun.human import one_line
from tmprun.images.image import Image
from tmprun.images.opened import Opened, options_for
from tmprun.start.handover import with_content
from tmprun.store.shelves import Root

_ADDED = ": added"  # how the engine's line about what no image brought ends
ROOT_LINE = re.compile(r"(.*)\t(tmpfs|disk|)\t(ok|refused)\t(.*)")


@dataclass(frozen=True)
class Told:
    """What the engine must be told about an image: `key` names its tree; `options` name the open `descriptors` that it
    inherits, the image itself and its index."""

    key: str
    options: tuple[str, ...]
    descriptors: tuple[int, ...]


@contextmanager
def told(path: str) -> Iterator[Told]:
    """Find out, or remember, what the engine must know about the image at `path`.

    TmprunError when there is no such file, BadImage when it is no image that the engine can read.
    """
    with Image(path) as image:
        with Opened(image) as opened:
            key, foreign, table = opened.key, opened.index.foreign, opened.table
        options = options_for(image)
        if not foreign:
            yield Told(key, tuple(options), (image.fd,))
            return
        fd = with_content("tmprun-index", table)
        try:
            yield Told(key, (*options, "--index-fd", str(fd)), (image.fd, fd))
        finally:
            os.close(fd)


def roots() -> list[Root]:
    """The roots in the order in which they are tried. TmprunError when the engine does not tell."""
    door = programs.door()
    done = _run([door, "@roots"], stdout=subprocess.PIPE)
    found = []
    for line in os.fsdecode(done.stdout).splitlines():
        match = ROOT_LINE.fullmatch(line)
        if not match:
            raise TmprunError(
                f"the engine answers {one_line(line)!r} when asked for the stores", door, "install it again"
            )
        found.append(Root(match[1], match[2], match[3] == "ok", match[4]))
    return found


def build(path: str) -> bytes:
    """Unpack the image at `path`, unless that has been done; returns the path of its AppDir."""
    return _ask("@build", path, stdout=subprocess.PIPE).stdout.removesuffix(b"\n")


def extract(path: str, into: str, patterns: Sequence[str], *, force: bool = False) -> list[bytes]:
    """Extract into the directory `into` what matches a pattern, or everything; returns the paths that were written.

    With `force` also when the image claims to hold more than an app does.
    """
    options = ("--nul", *(("--force",) if force else ()), "--into", into)
    done = _ask("@extract", path, *options, arguments=patterns, stdout=subprocess.PIPE)
    return done.stdout.split(b"\0")[:-1]


def extract_and_print(path: str, into: str, patterns: Sequence[str], output: int, *, force: bool = False) -> None:
    """The same; the paths go to the descriptor `output`, a line each, escaped if that is a terminal."""
    options = (*(("--force",) if force else ()), "--into", into)
    _ask("@extract", path, *options, arguments=patterns, stdout=output)


def verify(path: str, tree: str, image: Told) -> tuple[list[str], list[str]]:
    """How what the image brought differs in the directory `tree` from what the image says, and what was added there.

    Lines `PATH: HOW`, and paths, both from the tree's root.
    """
    command = [programs.door(), "@verify", *image.options, "--tree", tree, "--", path]
    done = _run(command, descriptors=image.descriptors, fine=(0, 1), stdout=subprocess.PIPE)
    lines = os.fsdecode(done.stdout).splitlines()
    added = [line.removesuffix(_ADDED) for line in lines if line.endswith(_ADDED)]
    differences = [line for line in lines if not line.endswith(_ADDED)]
    if bool(differences) != (done.returncode == 1):
        raise TmprunError(
            f"the engine found {len(differences)} differences and exits with {done.returncode}", one_line(path)
        )
    return differences, added


def judge(tree: str) -> str:
    """Why the kernel cannot start AppRun in the directory `tree` on this machine; nothing when it can."""
    done = _run([programs.door(), "@judge", "--tree", tree], fine=(0, 1), stdout=subprocess.PIPE)
    return os.fsdecode(done.stdout)


def _ask(
    verb: str, path: str, *options: str, arguments: Sequence[str] = (), stdout: int
) -> subprocess.CompletedProcess[bytes]:
    return _run([programs.door(), verb, *options, "--", path, *arguments], stdout=stdout)


def _run(
    command: Sequence[str], *, descriptors: Sequence[int] = (), fine: Sequence[int] = (0,), stdout: int | IO[bytes]
) -> subprocess.CompletedProcess[bytes]:
    try:
        done = subprocess.run(command, pass_fds=descriptors, stdout=stdout, check=False)
    except OSError as error:
        raise TmprunError(f"cannot be started: {error.strerror}", command[0], "install tmprun again") from None
    if done.returncode not in fine:
        raise EngineFailed(done.returncode)
    return done
