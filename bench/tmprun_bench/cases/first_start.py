"""The first start ever of an AppImage, about which nothing is known: hashing it and making its index is part of it.

Against the same file's own runtime in extract-and-run mode: what a user without FUSE has. That one deletes what it
extracted when the app ends, as part of the time; tmprun keeps it. So a second start is not compared here. Page cache
warm. With `eager` everything is there before the app starts, as with extract-and-run; the limit holds for both modes.

A start is over when the app is there. All of these apps end as soon as they are, but for the LibreOffice that converts
a text: its work, about a second, stands on both sides, and a ratio of the sums says little about starting. So the
limit of a half belongs to the same image asked for its version (`--version`); the conversion stands beside it, and has
to be faster than theirs.
"""

from __future__ import annotations

import re
import subprocess
import time

from tmprun_bench import subjects
from tmprun_bench.corpora import catalogue, libreoffice, linuxdeploy, node
from tmprun_bench.corpora.app import App
from tmprun_bench.corpora.cache import remove
from tmprun_bench.corpora.images import type2
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import measure
from tmprun_bench.measure.results import Result

ROUNDS = 7
LARGE = 100_000_000  # bytes, from which half the time is the limit
LIMIT, LARGE_LIMIT = 1.0, 0.5
MICROSECONDS = re.compile(r"(\d+) us")


def first_start(context: Context) -> Result:
    """First-ever start of foreign images of 10 MB and more against their own extract-and-run."""
    result = Result("first-start", "First-ever start of foreign images, nothing known")
    _compare(context, result, linuxdeploy.app())
    _compare(context, result, node.app())
    _compare(context, result, catalogue.many())
    _compare(context, result, catalogue.many(), codec="gzip")
    _compare(context, result, libreoffice.starting(), does=" --version")
    _compare(context, result, libreoffice.app(), does=" to the end", limit=LIMIT)
    return result


def _compare(
    context: Context, result: Result, app: App, *, codec: str = "zstd", does: str = "", limit: float | None = None
) -> None:
    size = type2(app, context.packing, codec=codec).stat().st_size
    prefix = f"{app.name}{does}, {'zlib, ' if codec == 'gzip' else ''}{size / 1e6:.0f} MB: "
    ours = [subjects.foreign(context, app, state="first ever", fill=fill, codec=codec) for fill in ("", "eager")]
    theirs = subjects.runtime_extract(context, app, codec=codec)
    measurement = measure([*ours, theirs], context.rounds(ROUNDS), context.work.root, memory=context.memory)
    result.add(measurement, prefix)
    what = f"{prefix}first start and all of its work" if limit else f"{prefix}first start"
    limit = limit or (LARGE_LIMIT if size >= LARGE else LIMIT)
    for way in ours:
        result.compare(what, prefix + way.name, prefix + theirs.name, must=limit)
    result.notes += [f"{prefix}{line}" for line in _breakdown(context, app, codec)]


def _breakdown(context: Context, app: App, codec: str) -> list[str]:
    """Where the time of one more such start goes: reading the image, as the engine says itself, and the rest."""
    work = context.work
    for directory in (work.store, work.forgotten, work.scratch):
        remove(directory)
        directory.mkdir(mode=0o700)
    command = [str(context.door), str(type2(app, context.packing, codec=codec)), *app.arguments(work.scratch)]
    environment = work.environment(TMPRUN_LOG="debug", XDG_CACHE_HOME=str(work.forgotten))
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    whole = 1000 * (time.perf_counter() - start)
    said = [line for line in done.stderr.splitlines() if line.startswith("tmprun: ")]
    reading = sum(int(part) for line in said if "reading it took" in line for part in MICROSECONDS.findall(line)) / 1000
    rest = f"unpacking and the app itself {whole - reading:.0f} ms"
    return [*said, f"of {whole:.0f} ms, reading the image {reading:.0f} ms, {rest}"]
