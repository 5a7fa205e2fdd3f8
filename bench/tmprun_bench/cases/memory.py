"""What an app costs in memory and processor time, its helpers included: a mount against a tree on tmpfs.

Three kinds of memory, each at its peak, each against what it was before the run (memory.py): the proportional set size
of all processes, the FUSE daemon's and the filler's too; growth of the tmpfs, where our trees are; and growth of the
page cache, where a mount's files are, and which the kernel may drop when it needs room, as it may not drop a tmpfs.
The page cache is the whole machine's: somebody else's reading counts. The images are in it before, for everybody, and
do not count. What is mapped counts twice, as part of a process and of the tmpfs or the cache, for mounts and trees
alike; so the sum, which is compared, is too large for both. Between two looks 10 ms pass: a shorter peak is not seen.
"""

from __future__ import annotations

from tmprun_bench import subjects
from tmprun_bench.corpora import libreoffice, neovim, peers, python_numpy
from tmprun_bench.corpora.app import App
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import Series, Subject, measure
from tmprun_bench.measure.results import Comparison, Result
from tmprun_bench.measure.summary import Estimate

ROUNDS = 5
OURS = tuple(f"bundle, cold, {fill}" for fill in subjects.FILLS)
PEERS = ("squashfuse_ll", subjects.SEVERAL)


def memory(context: Context) -> Result:
    """Memory and processor time of neovim, numpy and LibreOffice with their helpers: mounts, ours, the plain tree."""
    peers.fetch()
    result = Result("memory", "Memory and processor time of an app and its helpers", facts=subjects.facts())
    for app in (neovim.app(with_libc=False), python_numpy.app(), libreoffice.app()):
        prefix = f"{app.name}: "
        result.add(measure(_ways(context, app), context.rounds(ROUNDS), context.work.root, memory=True), prefix)
        for ours in OURS:
            for peer in PEERS:
                _compare(result, prefix + ours, prefix + peer, f"{prefix}memory in all, {ours}")
    return result


def _ways(context: Context, app: App) -> list[Subject]:
    return [
        subjects.plain(context, app),
        *subjects.every_mount(context, app),
        *(subjects.bundle(context, app, fill=fill) for fill in subjects.FILLS),
        subjects.bundle(context, app, state="warm"),
        *(subjects.foreign(context, app, fill=fill) for fill in subjects.FILLS),
    ]


def _compare(result: Result, ours: str, theirs: str, what: str) -> None:
    """One run each was watched, so there is no interval."""
    if ours in result.series and theirs in result.series:
        ratio = _sum(result.series[ours]) / _sum(result.series[theirs])
        result.comparisons.append(Comparison(what, ours, theirs, Estimate(ratio, None), "x"))


def _sum(series: Series) -> int:
    held = series.memory
    assert held is not None
    return held.processes + held.tmpfs + held.page_cache
