"""One app, every way there is to run it from one file: the truth about FUSE in one table.

Cold starts of tmprun have an empty store; a mount is always made anew; extract-and-run always extracts. See
METHODOLOGY.md.
"""

from __future__ import annotations

from tmprun_bench import subjects
from tmprun_bench.context import Context
from tmprun_bench.corpora import libreoffice, neovim, node, python_numpy
from tmprun_bench.corpora.app import App
from tmprun_bench.harness import Subject, measure
from tmprun_bench.results import Result

ROUNDS = 11
PEERS = ("squashfuse", "squashfuse_ll", "own runtime, FUSE")


def ways(context: Context) -> Result:
    """Every way to run neovim, node, LibreOffice and numpy, cold and warm, beside each other."""
    result = Result("ways", "Every way to run an app that comes as one file")
    for app in (neovim.app(with_libc=False), node.app(), libreoffice.app(), python_numpy.app()):
        prefix = f"{app.name}: "
        result.add(
            measure(_all(context, app), context.rounds(ROUNDS), context.work.root, memory=context.memory), prefix
        )
        for ours in ("bundle, cold", "bundle, warm", "tmprun foreign, cold", "tmprun foreign, first ever"):
            for peer in PEERS:
                result.compare(f"{prefix}{ours}", prefix + ours, prefix + peer)
    return result


def _all(context: Context, app: App) -> list[Subject]:
    return [
        subjects.plain(context, app),
        subjects.squashfuse(context, app, low_level=False),
        subjects.squashfuse(context, app, low_level=True),
        subjects.kernel_mount(context, app),
        subjects.runtime_fuse(context, app),
        subjects.runtime_extract(context, app),
        subjects.unsquashfs(context, app),
        subjects.bundle(context, app),
        subjects.bundle(context, app, state="warm"),
        subjects.foreign(context, app, state="first ever"),
        subjects.foreign(context, app),
        subjects.foreign(context, app, state="warm"),
    ]
