"""`tmprun info`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tmprun.cli.output import say, say_json
from tmprun.cli.progress import waiting
from tmprun.human import one_line, size_text, table
from tmprun.report.info import AppRun, Contents, Info, look
from tmprun.start.ask_engine import roots
from tmprun.store.entries import locate
from tmprun.store.traces import Start


def info(
    image: Annotated[str, typer.Argument(metavar="APP", help="An AppImage, a bundle, an archive or a package.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    icon: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write its icon there, as PNG or as .svg, and print nothing.")
    ] = None,
    icon_size: Annotated[int, typer.Option(metavar="N", min=1, help="The icon's pixels, or more.")] = 256,
) -> None:
    """Tell what an app is and what is in it, without running it.

    Examples:
        tmprun info app.AppImage
        tmprun info --json app.AppImage
        tmprun info --icon app.png app.AppImage
    """
    if icon:
        from tmprun.menus.icon_file import write_icon  # takes a tenth of the time that all else does to load

        write_icon(image, icon, icon_size)
        return
    with waiting(f"reading {image}") as progress:
        found = look(image, progress)
    entry = locate(roots(), found.key) if found.key else None
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
        yield "package", found.package
        yield "starts", _starts(found, found.contents.apprun)
    yield "runtime", found.runtime
    yield (
        "size",
        size_text(found.size)
        + (f", payload from byte {found.payload_offset} on" if found.key or found.payload_offset else ""),
    )
    if found.contents:
        yield from _packed(found.contents)
    yield "filled first", _start(found.hot, "as it was packed")
    yield "trace", _start(found.trace, "opened by starts on this machine")
    yield "was ended", found.ended
    yield "updates", found.update_information or "no update information"
    yield "signature", "signed, not checked" if found.signed else "none"
    yield "SHA-256", found.sha256
    yield "key", found.key
    if found.contents:
        yield "unpacked", cached or "not yet"
    yield "brings", "; ".join(f"{each.name} {each.version} ({', '.join(each.licences)})" for each in found.packages)
    yield "runs here", found.runs_here
    yield "left out", "; ".join(found.left_out)
    yield "cannot run", found.obstacle


def _start(start: Start | None, why: str) -> str:
    return f"{size_text(start.size)} in {start.files} files, {why}" if start else ""


def _packed(contents: Contents) -> Iterator[tuple[str, str]]:
    if not contents.frames and contents.stored_size:
        yield "packed", f"{size_text(contents.stored_size)}, {contents.codec}"
        yield "content", _content(contents)
        return
    level = f" level {contents.level}" if contents.level is not None else ""
    blocks = f" in blocks of up to {contents.block_size} bytes" if contents.block_size else ""
    yield "packed", f"{size_text(contents.stored_size)}, {contents.codec}{level}, {contents.frames} frames{blocks}"
    yield "content", _content(contents)


def _content(contents: Contents) -> str:
    kinds = f"{contents.directories} directories, {contents.symlinks} symlinks, {contents.hard_links} hard links"
    return f"{size_text(contents.content_size)} in {contents.files} files; {kinds}"


def _starts(found: Info, apprun: AppRun) -> str:
    if not found.why:
        said = _apprun(apprun) if apprun.kind != "missing" or not found.obstacle else ""
        return f"{said}, for {found.starts}" if found.starts not in ("", "AppRun") else said
    what = f"program for {apprun.machine}" if apprun.kind == "ELF" else _apprun(apprun)
    return f"{found.starts}, {what}" + (f" ({found.why})" if found.why != "AppRun" else "")


def _apprun(apprun: AppRun) -> str:
    if apprun.kind == "ELF":
        return f"program for {apprun.machine}, {apprun.interpreter or 'static'}"
    return f"script for {apprun.interpreter}" if apprun.kind == "script" else f"AppRun is {apprun.kind}"
