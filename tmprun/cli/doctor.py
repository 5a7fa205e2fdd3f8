"""`tmprun doctor`: this machine, and what tmprun can do on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer

from tmprun import __version__
from tmprun.cli.output import say, say_json
from tmprun.engine import programs
from tmprun.engine.programs import stubs
from tmprun.errors import EngineFailed, TmprunError
from tmprun.host.look import Host, look
from tmprun.human import one_line, size_text, table
from tmprun.libc.shelf import slices
from tmprun.report.runs_here import REMEDY
from tmprun.start.ask_engine import roots
from tmprun.store.shelves import Root

CANNOT_START = 1


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Look where this machine lets apps be unpacked, and why not.

    And at what else a start depends on.

    Examples:
        tmprun doctor
        tmprun doctor --json
    """
    engine, trouble = _engine()
    found = _roots() if not trouble else []
    usable = next((root.path for root in found if root.ok), None)
    facts = look(usable)
    if as_json:
        stores = [{**asdict(root), "free": _free(root)} for root in found]
        added = [asdict(each) for each in slices()]
        say_json({"version": __version__, "engine": engine, "host": asdict(facts), "stores": stores, "slices": added})
    else:
        rows = [
            *_rows(facts),
            ("engine", trouble or f"tmprun {__version__}, {engine['door']}; stubs: {', '.join(engine['stubs'])}"),
        ]
        say(table([(name, one_line(value)) for name, value in rows]))
        say(_stores(found))
    if usable is None:
        raise typer.Exit(CANNOT_START)


def _engine() -> tuple[dict[str, Any], str]:
    """The engine's programs, and what is wrong with them."""
    found = stubs()
    try:
        return {"door": programs.door(), "stubs": found}, ""
    except TmprunError as error:
        return {"door": None, "stubs": found}, str(error)


def _roots() -> list[Root]:
    try:
        return roots()
    except EngineFailed:
        return []


def _free(root: Root) -> int | None:
    """Bytes that an ordinary user may still write there."""
    try:
        facts = os.statvfs(root.path)
    except OSError:
        return None
    return facts.f_bavail * facts.f_frsize


def _rows(facts: Host) -> Iterator[tuple[str, str]]:
    memory, leases = facts.memory, facts.leases
    sha = "with" if facts.sha_instructions else "without"
    yield "kernel", f"{facts.kernel}, {facts.machine}, {facts.processors} processors {sha} SHA instructions"
    limit = (
        f"control group: {size_text(memory.used or 0)} used of {size_text(memory.limit)}"
        if memory.limit
        else "no control group's limit"
    )
    yield "memory", f"{size_text(memory.available)} available of {size_text(memory.total)}; {limit}"
    yield "open files", " of ".join("unlimited" if number < 0 else str(number) for number in facts.open_files)
    yield "C library", facts.libc
    yield "loaders", ", ".join(facts.loaders) or "none"
    device = "/dev/fuse opens" if facts.fuse.device else "/dev/fuse cannot be opened"
    yield "libc slices", _slices(facts)
    yield "FUSE", f"{device}, {facts.fuse.helper or 'no fusermount'}"
    yield "user namespaces", facts.user_namespaces
    switch = {True: "enabled", False: "disabled", None: "unknown"}[leases.enabled]
    yield "leases", f"{leases.tried}; {switch}, broken after {leases.break_time} s"
    yield "Python", facts.python


def _slices(facts: Host) -> str:
    """What is added; what to do about it where nothing is and programs of glibc would not start."""
    added = [f"glibc {each.glibc} in {each.path}" if not each.trouble else f"{each.path}: {each.trouble}"
             for each in slices()]  # fmt: skip
    return "; ".join(added) or ("none" if facts.libc.startswith("glibc") else f"none: {REMEDY}")


def _stores(found: list[Root]) -> list[str]:
    if not found:
        return []
    rows = []
    for root in found:
        free = _free(root) if root.kind else None
        what = root.reason or (f"{size_text(free)} free" if free is not None else "")
        rows.append(("ok" if root.ok else "refused", root.kind or "-", one_line(root.path), one_line(what)))
    return ["stores, in the order in which they are tried:", *(f"  {line}" for line in table(rows))]
