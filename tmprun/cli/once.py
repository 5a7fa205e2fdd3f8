"""What the front door asks for when it meets a file that it cannot read: a bundle of it, once, in the disk cache.

`tmprun-py @convert FD VERB ENTRY FORCE PATH` (stub/foreign/converted.c): the path of the bundle goes to stdout.
The app's own environment and terminal are ours meanwhile; somebody waits.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import NamedTuple, NoReturn

from tmprun.archives import kinds
from tmprun.cli.output import complain
from tmprun.cli.progress import SHOWN_AFTER, stages
from tmprun.convert.convert import convert, prepared, starts_of
from tmprun.errors import UnsupportedImage
from tmprun.host.allocation import keep_freed_memory
from tmprun.images.image import Image
from tmprun.pack.levels import FAST_LEVEL, QUICK_LEVEL
from tmprun.store import converted

# What only looks at an image never executes it.
EXECUTES = ("run", "build")


class Request(NamedTuple):
    """What the front door asked for."""

    image_fd: int
    verb: str
    entry: str
    force: bool
    path: str


def bundle_for(request: Request) -> str:
    """The path of the bundle that the file is to be started as, made now unless it is there."""
    with Image(request.path, request.image_fd) as image:
        kind = kinds.kind_of(image.fd, request.path)
        if kinds.unpacks_itself(kind) and request.verb not in EXECUTES:
            raise kinds.not_executed(kind, "run it or convert it once: tmprun convert")
        if request.entry and kinds.is_ours(kind) and kind != kinds.SQUASHFS:
            raise UnsupportedImage("starts by its AppRun", remedy="for another program of it: tmprun convert --entry")
        known = _known(image, request)
        if known:
            return known
        return _made(image, kind, request)


def _known(image: Image, request: Request) -> str | None:
    """The bundle that was made of it before, if that is whole, and starts what is asked for."""
    path = converted.lookup(image.identity)
    starts = starts_of(path) if path else ""
    return path if starts and request.entry in ("", starts) else None


def _made(image: Image, kind: kinds.Kind, request: Request) -> str:
    def waiting() -> None:
        complain(f"{image.path}: is just being converted; waiting for that")

    if kinds.unpacks_itself(kind):
        complain(f"{image.path}: {kind.what}: it unpacks itself, once")
    level = FAST_LEVEL if kinds.is_quickly_read(kind) else QUICK_LEVEL
    with (
        stages(after=SHOWN_AFTER) as progress,
        prepared(
            image, kind, entry=request.entry, force=request.force, progress=progress, waiting=waiting, behind=True,
            level=level,
        ) as made,
    ):  # fmt: skip
        known = _known(image, request)  # by whom we waited for
        if known:
            return known
        for line in made.lost:
            complain(f"{image.path}: left out: {line}")
        bundle = os.path.join(made.folder, "bundle")
        report = convert(made, bundle, level=level, progress=progress)
        path = converted.keep(bundle, report.key)
        if image.settled:
            converted.remember(image.identity, report.key)
        return path


def end_cleanly() -> None:
    """When somebody ends this process, it clears away what it made, as it does for an interrupt."""

    def end(number: int, _: object) -> NoReturn:
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


def main(argv: list[str]) -> NoReturn:
    """`argv` is what follows `@convert`. Prints the path, or says in one line why there is none."""
    end_cleanly()
    keep_freed_memory()
    gc.disable()  # hardly anything here refers to itself, and looking for it takes a fiftieth of the time
    try:
        fd, verb, entry, force, path = argv
        request = Request(int(fd), verb, entry, bool(force), path)
        sys.stdout.buffer.write(os.fsencode(bundle_for(request)))
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from tmprun.cli.app import report  # which takes 30 ms to load

        sys.exit(report(error))
    sys.exit(0)
