"""`tmprun cache`: what is unpacked, where, and how it goes away."""

from __future__ import annotations

import os
import sys
import time
from typing import Annotated, Any

import typer

from tmprun.cli.output import complain, say, say_json, say_raw
from tmprun.cli.progress import waiting
from tmprun.human import age_text, one_line, parse_age, parse_size, size_text, table
from tmprun.report.audit import Finding, audit
from tmprun.start.ask_engine import build, roots
from tmprun.store import entries, layout, usage
from tmprun.store.entries import Entry, KnownImage
from tmprun.store.prune import DEFAULT_SIZE, Item, Limits, Report, default_memory, default_shares
from tmprun.store.prune import prune as prune_stores

DAMAGED = 1
SHORT = 12  # so much of a key tells it from the others

ABOUT = """Show and tidy what is unpacked.

Examples:
    tmprun cache list
    tmprun cache prune --max-size 2G
"""
cache = typer.Typer(help=ABOUT, rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Alone = Annotated[bool, typer.Option("--alone", help="In a container: nobody outside it uses these stores.")]


@cache.callback(invoke_without_command=True)
def start(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        sys.stderr.write(context.get_help() + "\n")
        raise typer.Exit(127)


@cache.command("list")
def list_command(as_json: Json = False) -> None:
    """List what is unpacked, and what is remembered.

    Examples:
        tmprun cache list --json
    """
    view, now = usage.look(), time.time()
    found = entries.entries(roots())
    images = entries.known_images(layout.cache())
    if as_json:
        facts = [{**_facts(entry), "in_use": entry.locked or view.uses(entry.key)} for entry in found]
        say_json({"entries": facts, "images": [_facts(image) for image in images]})
        return
    rows = [("KEY", "SIZE", "FILES", "LAST USE", "STATE", "STORE", "SOURCE")]
    for entry in sorted(found, key=lambda entry: -entry.last_use):
        used = entry.locked or view.uses(entry.key)
        state = "in use" if used else "idle" if entry.complete else "incomplete"
        where, source = one_line(entry.root.path), one_line(entry.source)
        age = age_text(now - entry.last_use)
        rows.append((entry.key[:SHORT], size_text(entry.size), str(entry.files), age, state, where, source))
    for image in sorted(images, key=lambda image: -image.last_use):
        age, (digest, _, kind) = age_text(now - image.last_use), image.name.partition(".")
        rows.append((digest[:SHORT], size_text(image.size), "", age, kind, one_line(image.folder), ""))
    say(table(rows, right=(1, 2)))


@cache.command()
def path(
    image: Annotated[str, typer.Argument(metavar="APP", help="An AppImage, or a bundle.")], as_json: Json = False
) -> None:
    """Print where an app is unpacked; unpack it if need be.

    Examples:
        ls "$(tmprun cache path app.AppImage)"
    """
    with waiting(f"unpacking {image}"):
        found = build(image)
    if as_json:
        say_json({"path": os.fsdecode(found)})
    else:
        say_raw(found)


@cache.command()
def prune(
    max_size: Annotated[str, typer.Option(metavar="SIZE", help="Keep so much at most, as 500M or 2G.")] = "",
    older_than: Annotated[
        str, typer.Option(metavar="AGE", help="Keep nothing unused for so long, as 30d or 12h.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only tell what would go.")] = False,
    alone: Alone = False,
    as_json: Json = False,
) -> None:
    """Remove what was not used for the longest time.

    Without options: until all together take no more than 10 GB, those in memory no more than a quarter of it, and those
    of one store no more than half of its file system. What is in use stays; what killed processes left goes.

    Examples:
        tmprun cache prune --older-than 30d --dry-run
    """
    size = parse_size(max_size) if max_size else DEFAULT_SIZE
    age = parse_age(older_than) if older_than else None
    places = roots()
    limits = Limits(size, default_memory(), age, alone, default_shares(places))
    report = prune_stores(places, limits, dry_run=dry_run)
    _tell(report, as_json=as_json, dry_run=dry_run)


@cache.command()
def clear(alone: Alone = False, as_json: Json = False) -> None:
    """Remove everything that is not in use.

    Examples:
        tmprun cache clear
    """
    _tell(prune_stores(roots(), Limits(0, 0, alone=alone)), as_json=as_json, dry_run=False)


@cache.command()
def verify(
    image: Annotated[str | None, typer.Argument(metavar="APP", help="Only the tree of this image.")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Remove what is damaged; the next start unpacks it again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare what is unpacked, byte for byte, with its images.

    Examples:
        tmprun cache verify --repair
    """
    with waiting(f"comparing {image or 'what is unpacked'}"):
        findings = [*audit(roots(), image, repair=repair)]
    if as_json:
        say_json([_finding_facts(found) for found in findings])
    else:
        for found in findings:
            _tell_finding(found)
    if any(found.result == "damaged" for found in findings):
        raise typer.Exit(DAMAGED)


def _facts(item: Item) -> dict[str, Any]:
    """What JSON says of an entry, or of what is known about an image."""
    if isinstance(item, KnownImage):
        digest, _, kind = item.name.partition(".")
        return {"image": digest, "kind": kind, "path": item.path, "size": item.size, "last_use": item.last_use}
    return {
        "key": item.key,
        "path": item.path,
        "root": item.root.path,
        "kind": item.root.kind,
        "source": item.source,
        "size": item.size,
        "files": item.files,
        "last_use": item.last_use,
        "complete": item.complete,
    }


def _finding_facts(found: Finding) -> dict[str, Any]:
    outcome = {"result": found.result, "reason": found.reason, "differences": list(found.differences)}
    return {**_facts(found.entry), **outcome, "added": list(found.added), "removed": found.removed}


def _named(item: Item) -> str:
    if isinstance(item, Entry):
        return one_line(f"{item.key[:SHORT]}  {item.source}")
    digest, _, kind = item.name.partition(".")
    return f"{digest[:SHORT]}  {kind} of an image"


def _tell(report: Report, *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        parts = {name: [{**_facts(item), "reason": why} for item, why in part]
                 for name, part in (("removed", report.removed), ("kept", report.kept))}  # fmt: skip
        say_json({**parts, "freed": report.freed, "leftovers": report.leftovers, "dry_run": dry_run})
        return
    verb = "would remove" if dry_run else "removed"
    say(f"{verb}  {_named(item)}  {size_text(item.size)}: {why}" for item, why in report.removed)
    say(f"kept  {_named(item)}  {size_text(item.size)}: {why}" for item, why in report.kept)
    left = f", {report.leftovers} leftovers" if report.leftovers else ""
    kept = f"; kept {len(report.kept)}" if report.kept else ""
    say([f"{verb} {len(report.removed)}, {size_text(report.freed)}{left}{kept}"])


def _tell_finding(found: Finding) -> None:
    say([f"{found.result}  {_named(found.entry)}{': ' + one_line(found.reason) if found.reason else ''}"])
    say(f"  {one_line(difference)}" for difference in found.differences)
    say(f"  {one_line(path)}: added, not the image's" for path in found.added)
    if found.result == "damaged" and not found.removed:
        complain(f"{found.entry.path}: differs from its image; tmprun cache verify --repair removes it")
