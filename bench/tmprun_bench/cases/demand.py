"""What `--fill demand` keeps in memory, and whether a gated tree costs anything once its files have been opened.

What an app touches is what strace sees it open when it runs from the plain AppDir. What is held for it is the growth of
the tmpfs at its most, less that of a run from a tree which is there already (the app's own files). The other question
is answered by an app that opens three files again and again and times itself, after it has opened each once: on a tree
that is still gated otherwise, and on a plain one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np

from tmprun_bench import subjects
from tmprun_bench.corpora import catalogue, libreoffice, python_numpy
from tmprun_bench.corpora.app import App
from tmprun_bench.corpora.cache import remove, walk_files
from tmprun_bench.corpora.synthetic import checksum
from tmprun_bench.errors import BenchError, WrongAnswer
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import Measurement, Subject, measure
from tmprun_bench.measure.results import Comparison, Result
from tmprun_bench.measure.summary import Estimate

MEMORY_ROUNDS = 3
MEMORY_MUST = 1.10
REPEATS = 50_000
ROUNDS = 15
NOISE = 1.02  # what two runs of the same on the same tmpfs may differ by
SMALL = 3000, 5000  # bytes
PAGE = 4096
# strace -y: `PID openat(AT_FDCWD</cwd>, "name", ...) = FD</path>`, and `PID execve("path", ...) = 0`
OPENED = re.compile(r"^\d+ +open(?:at)?\(.* = \d+<([^>]+)>$", re.MULTILINE)
EXECUTED = re.compile(r'^\d+ +execve\("([^"]+)".* = 0$', re.MULTILINE)


def demand_memory(context: Context) -> Result:
    """Memory that `--fill demand` takes for the files of an image against what the app touched."""
    result = Result("demand-memory", "What --fill demand holds of an image, against the files that the app opened")
    for app in (python_numpy.app(), libreoffice.app()):
        touched = _touched(context, app)
        plain, ours = subjects.plain(context, app), subjects.bundle(context, app, fill="demand")
        prefix = f"{app.name}: "
        held = []
        for _ in range(context.rounds(MEMORY_ROUNDS)):
            measurement = measure([plain, ours], 1, context.work.root, memory=True)
            held.append(_tmpfs(measurement, ours) - _tmpfs(measurement, plain))
        result.add(measurement, prefix)
        result.facts |= {f"{prefix}bytes touched": touched, f"{prefix}bytes held": held}
        what = f"{prefix}held, of what was touched"
        value = Estimate(float(np.median(held)) / touched, None)
        result.comparisons.append(Comparison(what, prefix + ours.name, "files opened", value, "x", must=MEMORY_MUST))
    return result


def _tmpfs(measurement: Measurement, subject: Subject) -> int:
    memory = measurement.series[subject.name].memory
    assert memory is not None
    return memory.tmpfs


def after_gating(context: Context) -> Result:
    """What opening and reading costs an app whose files have all been opened before, gated tree against plain one."""
    app = _repeating(catalogue.large())
    result = Result("after-gating", f"Open, read and close of three small files, {REPEATS:,} times over")
    plain = subjects.plain(context, app)
    ours = [subjects.bundle(context, app, fill=fill) for fill in ("demand", "background", "eager")]
    ways = [replace(way, reads=_own_time) for way in (plain, *ours)]
    result.add(measure(ways, context.rounds(ROUNDS), context.work.root))
    for way in ours:
        # A background filler shares the processors with the app: a cost, but not of having been gated.
        limit = NOISE if "demand" in way.name else None
        result.compare(f"after gating, {way.name}", way.name, plain.name, must=limit)
    return result


def _repeating(app: App) -> App:
    """The app, made to read three files of a few KB each once, and then again and again."""
    root = app.appdir
    small = [path for path, facts in walk_files(root) if "data" in path.parts and SMALL[0] <= facts.st_size <= SMALL[1]]
    chosen = sorted(small)[:: max(1, len(small) // 3)][:3]
    expected = checksum([path.read_bytes() for path in chosen], REPEATS + 1)
    names = [str(path.relative_to(root)) for path in chosen]

    def check(output: bytes, _scratch: Path) -> None:
        if not output.startswith(expected):
            raise WrongAnswer(f"printed {output!r}, not {expected!r}")

    return replace(app, arguments=lambda _: ("--again", str(REPEATS), *names), check=check)


def _own_time(output: bytes) -> float:
    return int(output.splitlines()[1]) / 1e9


def _touched(context: Context, app: App) -> int:
    """Bytes, in whole pages, of the AppDir's files that a run opens or executes."""
    missing = subjects.missing("strace")
    if missing:
        raise BenchError(f"{missing}: it is needed to see which files an app opens")
    # In a copy: an app that may write into its AppDir sometimes does.
    root = context.work.plain("traced")
    remove(root)
    shutil.copytree(app.appdir, root, symlinks=True)
    sizes = {(fact.st_dev, fact.st_ino): fact.st_size for fact in map(os.stat, _opened(context, app, root))}
    remove(root)
    return sum(-(-size // PAGE) * PAGE for size in sizes.values())


def _opened(context: Context, app: App, root: Path) -> list[str]:
    """Which files below `root` a run of the app from there opens."""
    work = context.work
    remove(work.scratch)
    work.scratch.mkdir()
    trace = work.root / "trace"
    strace = ["strace", "-f", "-qq", "-y", "-e", "trace=open,openat,execve", "-o", str(trace)]
    command = [*strace, str(root / "AppRun"), *app.arguments(work.scratch)]
    done = subprocess.run(command, env=work.environment(), capture_output=True, check=True)
    app.check(done.stdout, work.scratch)
    text = trace.read_text(errors="surrogateescape")
    opened = {os.path.realpath(path) for pattern in (OPENED, EXECUTED) for path in pattern.findall(text)}
    return [path for path in opened if path.startswith(f"{root}/") and os.path.isfile(path)]
