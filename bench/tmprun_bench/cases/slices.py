"""What a libc slice costs an AppImage: the same image on a machine that has glibc, and where a slice brings it.

On one machine, so that nothing else differs: its C library says for the time of a start that it is older than it is
(subjects/sliced.py). A slice that is added and not needed stands beside that: what is only looked at. The slice itself
is unpacked before, as it is for every app but the first. Unfair to us: Alpine has no libc.so.6, whose version a start
would look for. Each app proves its answer; the smallest is a dynamic exit 0, of which nothing else is left. With memory
watched, the growth of the tmpfs is the app's tree alone: nothing for the slice.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from pathlib import Path

from tmprun.libc.make import make
from tmprun_bench import subjects
from tmprun_bench.corpora import git, neovim, node
from tmprun_bench.corpora.app import App, no_arguments, prints
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import measure
from tmprun_bench.measure.results import Comparison, Result
from tmprun_bench.measure.summary import Estimate

TRUE = Path("/usr/bin/true")
ROUNDS, TIGHT_ROUNDS = 15, 60
SETTLED = 0.1  # seconds until a file's times tell of the next change
MUST, REACH = 1.05, 1.02


def slices(context: Context) -> Result:
    """Starts of an AppImage with a libc slice against the same on a machine with glibc, cold and warm."""
    result = Result("slices", "The C library of a slice, against the machine's own")
    place = context.work.root / "data" / "tmprun" / "libc"
    place.mkdir(parents=True)
    make(str(place / "glibc.slice"))
    time.sleep(SETTLED)
    for app in (_true(), git.app(), neovim.app(with_libc=False), node.app()):
        _compare(context, app, place / "glibc.slice", result)
    return result


def _compare(context: Context, app: App, slice_: Path, result: Result) -> None:
    prefix = f"{app.name}: "
    cold, warm = subjects.foreign(context, app), subjects.foreign(context, app, state="warm")
    idle = subjects.sliced(context, app, slice_, needed=False)
    ours = subjects.sliced(context, app, slice_, needed=True)
    again = subjects.sliced(context, app, slice_, needed=True, state="warm")
    rounds = context.rounds(TIGHT_ROUNDS if app.name == "true" else ROUNDS)
    result.add(measure([cold, idle, ours, warm, again], rounds, context.work.root, memory=context.memory), prefix)
    result.compare(f"{prefix}cold, with a slice", prefix + ours.name, prefix + cold.name, must=MUST, reach=REACH)
    result.compare(f"{prefix}cold, a slice that is not needed", prefix + idle.name, prefix + cold.name, must=MUST)
    result.compare(f"{prefix}warm, with a slice", prefix + again.name, prefix + warm.name, must=MUST)
    _compare_memory(result, prefix + ours.name, prefix + cold.name, f"{prefix}tmpfs, with a slice")


def _compare_memory(result: Result, ours: str, theirs: str, what: str) -> None:
    """One run each was watched, if any."""
    held = [result.series[name].memory for name in (ours, theirs) if name in result.series]
    if len(held) == 2 and held[0] is not None and held[1] is not None and held[1].tmpfs:
        result.comparisons.append(Comparison(what, ours, theirs, Estimate(held[0].tmpfs / held[1].tmpfs, None), "x"))


def _true() -> App:
    """The smallest dynamic program there is."""

    def build(root: Path) -> None:
        root.mkdir()
        shutil.copyfile(TRUE, root / "AppRun")
        (root / "AppRun").chmod(0o755)

    revision = hashlib.sha256(TRUE.read_bytes()).hexdigest()[:16]
    return App("true", "a dynamic exit 0", build, no_arguments, prints(b""), revision=revision)
