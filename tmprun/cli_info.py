"""`tmprun info`, and what the front door asks for with `--appimage-updateinformation` and its like."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from tmprun import info as looking
from tmprun import sections, store
from tmprun.bundle import read_footer
from tmprun.errors import TmprunError
from tmprun.foreign import Image
from tmprun.human import one_line, size_text, table
from tmprun.images.elf_head import read_head
from tmprun.images.source import Source
from tmprun.info import Contents, Info
from tmprun.output import say, say_json, say_raw
from tmprun.start_trace import Start
from tmprun.verbs import roots


def info(
    image: Annotated[str, typer.Argument(metavar="APP")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what an image is and what is in it, without running it."""
    found = looking.look(image)
    entry = store.locate(roots(), found.key) if found.key else None
    cached = entry.path if entry else ""
    if as_json:
        say_json({**asdict(found), "cached": cached})
        return
    rows = [(name, one_line(value)) for name, value in _rows(found, cached) if value]
    say(table(rows))


def _rows(found: Info, cached: str) -> Iterator[tuple[str, str]]:
    yield "file", found.path
    yield "type", found.type
    yield "machine", found.machine
    if found.contents:
        yield "name", found.contents.name
        yield "starts", _apprun(found.contents.apprun)
    yield "size", f"{size_text(found.size)}, payload from byte {found.payload_offset} on"
    if found.contents:
        yield from _packed(found.contents)
    yield "filled first", _start(found.hot, "as it was packed")
    yield "trace", _start(found.trace, "opened by starts on this machine")
    yield "updates", found.update_information or "no update information"
    yield "signature", "signed, not checked" if found.signed else "none"
    yield "SHA-256", found.sha256
    yield "key", found.key
    if found.contents:
        yield "unpacked", cached or "not yet"
    yield "brings", "; ".join(f"{each.name} {each.version} ({', '.join(each.licences)})" for each in found.packages)
    yield "runs here", found.runs_here
    yield "cannot run", found.obstacle


def _start(start: Start | None, why: str) -> str:
    return f"{size_text(start.size)} in {start.files} files, {why}" if start else ""


def _packed(contents: Contents) -> Iterator[tuple[str, str]]:
    level = f" level {contents.level}" if contents.level is not None else ""
    blocks = f" in blocks of up to {contents.block_size} bytes" if contents.block_size else ""
    yield "packed", f"{size_text(contents.stored_size)}, {contents.codec}{level}, {contents.frames} frames{blocks}"
    kinds = f"{contents.directories} directories, {contents.symlinks} symlinks, {contents.hard_links} hard links"
    yield "content", f"{size_text(contents.content_size)} in {contents.files} files; {kinds}"


def _apprun(apprun: looking.AppRun) -> str:
    if apprun.kind == "ELF":
        return f"program for {apprun.machine}, {apprun.interpreter or 'static'}"
    return f"script for {apprun.interpreter}" if apprun.kind == "script" else f"AppRun is {apprun.kind}"


def section(what: str, path: str) -> int:
    """Print the payload's offset, the update information or the signature of an image, as its own runtime would."""
    with Image(path) as image:
        if what == "offset":
            footer = read_footer(image.fd)
            offset = footer.offset if footer else read_head(Source(image.fd, image.size)).payload
            say_raw(str(offset).encode())
            return 0
        name = {"updateinformation": sections.UPDATE_INFORMATION, "signature": sections.SIGNATURE}[what]
        content = sections.section(image.fd, name)
        if not content and what == "updateinformation" and looking.is_iso(image):
            content = sections.iso_update_information(image.fd)
        if content is None:
            raise TmprunError(f"has no {os.fsdecode(name)} section", path, "it may be no AppImage")
        say_raw(content)
    return 0
