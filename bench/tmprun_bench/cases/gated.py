"""Starting before everything is unpacked: cold starts of tmprun against mounts and against the tree that is there
already.

Cold: the store is empty; the page cache is warm for every subject. A cold start knows which files the last one opened,
as it would after a reboot; the `first ever` one does not, and stands beside it. Each is started as a user starts it, in
the fill mode that it chooses, and once more with everything extracted first (`eager`), which shows what gating is
worth. Peers mount the same tree, packed with the same compressor at the same level in blocks of 128 KiB, which suits
a mount better than the 1 MiB that appimagetool takes today. Neither unmounting nor the filler's work after the app's
end is timed.
"""

from __future__ import annotations

from tmprun_bench import subjects
from tmprun_bench.corpora import catalogue, libreoffice, neovim, peers, python_numpy
from tmprun_bench.corpora.app import App
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import Subject, measure
from tmprun_bench.measure.results import Result

ROUNDS = 15
PLAIN = "plain AppDir on tmpfs"
OURS = "bundle, cold"
FIRST = "bundle, first ever"
FOREIGN = "tmprun foreign, cold"


def gated_libreoffice(context: Context) -> Result:
    """LibreOffice as a bundle, run to completion, against squashfuse_ll and against the extracted tree."""
    app = libreoffice.app()
    result = _measured(context, "gated-libreoffice", app, *_low_level(context, app))
    result.compare("against a mount", OURS, "squashfuse_ll", must=0.75, reach=0.62)
    result.compare("against a mount with several threads", OURS, subjects.SEVERAL)
    result.compare("against the tree on tmpfs", OURS, PLAIN, must=1.15, reach=1.05)
    return result


def gated_neovim(context: Context) -> Result:
    """Neovim as a bundle against its AppImage's own FUSE mount and against the extracted tree."""
    app = neovim.app(with_libc=False)
    result = _measured(context, "gated-neovim", app, subjects.runtime_fuse(context, app))
    result.compare("against its own runtime's mount", OURS, "own runtime, FUSE", must=0.6, reach=0.4)
    result.compare("against the tree on tmpfs", OURS, PLAIN, must=2.5, reach=1.8)
    return result


def gated_numpy(context: Context) -> Result:
    """`import numpy` in a bundle of 18,000 small files against squashfuse_ll."""
    app = python_numpy.app()
    result = _measured(context, "gated-numpy", app, *_low_level(context, app))
    result.compare("against a mount", OURS, "squashfuse_ll", must=1.3, reach=1.0)
    result.compare("against a mount with several threads", OURS, subjects.SEVERAL)
    return result


def gated_sparse(context: Context) -> Result:
    """A bundle of 1 GB of which the app reads three files against squashfuse."""
    app = catalogue.sparse_use()
    squashfuses = [subjects.squashfuse(context, app, low_level=False), *_low_level(context, app)]
    result = _measured(context, "gated-sparse", app, *squashfuses)
    for peer in squashfuses:
        result.compare(f"against {peer.name} and the same reads", OURS, peer.name, must=1.2, reach=1.0)
    return result


def gated_exec(context: Context) -> Result:
    """Time until AppRun is exec'd: a bundle of 300 MB in 3,000 files whose AppRun ends at once."""
    result = _measured(context, "gated-exec", catalogue.large())
    result.compare("start of AppRun, and its end", OURS, "", unit="s", must=0.040, reach=0.015)
    return result


def gated_foreign(context: Context) -> Result:
    """Foreign AppImages whose index is known against their own runtime's FUSE mount."""
    result = Result("gated-foreign", "Cold start of a foreign AppImage, index known, against its own mount")
    for app in (neovim.app(with_libc=False), libreoffice.app()):
        ways = [subjects.plain(context, app), subjects.foreign(context, app), subjects.runtime_fuse(context, app)]
        prefix = f"{app.name}: "
        result.add(measure(ways, context.rounds(ROUNDS), context.work.root, memory=context.memory), prefix)
        result.compare(
            f"{prefix}against its own mount", prefix + FOREIGN, prefix + "own runtime, FUSE", must=1.0, reach=0.8
        )
    return result


def _low_level(context: Context, app: App) -> tuple[Subject, Subject]:
    """squashfuse_ll with one thread, and with several; the limits were set for one that had one."""
    peers.fetch()
    return (
        subjects.squashfuse(context, app, low_level=True),
        subjects.squashfuse(context, app, low_level=True, several_threads=True),
    )


def _measured(context: Context, case: str, app: App, *peers: Subject) -> Result:
    """The app from a bundle beside the tree on tmpfs and `peers`."""
    result = Result(case, f"Cold start of a bundle: {app.title}")
    ways = [
        subjects.plain(context, app),
        *peers,
        subjects.bundle(context, app),
        subjects.bundle(context, app, state="first ever"),
        subjects.bundle(context, app, fill="eager"),
    ]
    result.add(measure(ways, context.rounds(ROUNDS), context.work.root, memory=context.memory))
    for peer in (*peers, ways[0]):
        result.compare(f"first ever, against {peer.name}", FIRST, peer.name)
    return result
