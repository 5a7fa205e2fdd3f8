"""`tmprun extract`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from tmprun.archives import kinds, reading
from tmprun.archives.kinds import Kind
from tmprun.cli.output import complain, say_json, say_raw
from tmprun.cli.progress import waiting
from tmprun.errors import TmprunError
from tmprun.human import one_line
from tmprun.images.image import Image
from tmprun.start import ask_engine


def extract(
    image: Annotated[str, typer.Argument(metavar="APP", help="An AppImage, a bundle, an archive or a package.")],
    patterns: Annotated[
        list[str] | None, typer.Argument(metavar="PATTERN", help="Only what matches, as 'usr/share/*'.")
    ] = None,
    directory: Annotated[
        str, typer.Option("-C", "--directory", metavar="DIR", help="Extract into it.")
    ] = "squashfs-root",
    force: Annotated[
        bool, typer.Option("--force", help="Extract also what claims to hold more than any app does.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Extract an app's files into a directory, and print their paths.

    Examples:
        tmprun extract app.AppImage -C app.AppDir
        tmprun extract app.AppImage 'usr/share/icons/*'
    """
    paths = _of_archive(image, directory, patterns or [], force)
    if paths is not None:
        paths = [os.path.join(os.fsencode(directory), path) for path in paths]
        if as_json:
            say_json({"directory": os.path.abspath(directory), "paths": [os.fsdecode(path) for path in paths]})
            return
        for path in paths:
            say_raw(one_line(path).encode() if sys.stdout.isatty() else path)
        return
    if not as_json:
        sys.stdout.flush()
        ask_engine.extract_and_print(image, directory, patterns or [], sys.stdout.fileno(), force=force)
        return
    with waiting(f"extracting {image}"):
        paths = ask_engine.extract(image, directory, patterns or [], force=force)
    say_json({"directory": os.path.abspath(directory), "paths": [os.fsdecode(path) for path in paths]})


def _of_archive(image: str, directory: str, patterns: list[str], force: bool) -> list[bytes] | None:
    """The paths that were unpacked of an archive; None for what the engine reads, which also says what is no image."""
    if os.path.isdir(image):
        return None
    with Image(image) as opened:
        kind = kinds.kind_of(opened.fd, image)
        if kinds.is_ours(kind):
            return None
        if kinds.unpacks_itself(kind):
            raise kinds.not_executed(kind, "convert it: tmprun convert")
        return _unpack(opened, kind, directory, patterns, force)


def _unpack(image: Image, kind: Kind, directory: str, patterns: list[str], force: bool) -> list[bytes]:
    """All of it is read once; for patterns twice: what links lead to may stand anywhere, and nothing is written when
    one of them matches nothing."""
    paths: set[bytes] = set()
    with waiting(f"extracting {image.path}") as progress:
        wanted = _matching(image, kind, patterns, progress) if patterns else None
        try:
            os.makedirs(directory, exist_ok=True)
        except FileExistsError:
            raise TmprunError("it is a symlink or no directory", one_line(directory)) from None
        read = reading.unpack(
            image.fd, kind, directory, force=force, wanted=wanted, made=lambda path, _: paths.add(path),
            progress=progress,
        )  # fmt: skip
    for line in read.lost:
        complain(f"left out: {line}")
    return sorted(paths)


def _matching(image: Image, kind: Kind, patterns: list[str], progress: reading.Progress | None) -> set[bytes]:
    wanted, missed = reading.look(image.fd, kind, progress=progress).tree.matching(patterns)
    if missed:
        raise TmprunError(f"nothing in it matches {one_line(missed)}")
    return wanted
