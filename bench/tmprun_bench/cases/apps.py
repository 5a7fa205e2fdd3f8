"""Real apps, run to completion, every way there is from one file: the truth about FUSE in one table.

From a command of a few milliseconds to an office suite. Cold starts of tmprun have an empty store; a mount is always
made anew; extract-and-run always extracts. See METHODOLOGY.md.
"""

from __future__ import annotations

from tmprun_bench import subjects
from tmprun_bench.corpora import git, libreoffice, neovim, node, peers, python_numpy
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import measure
from tmprun_bench.measure.results import Result

ROUNDS = 11
LONG_ROUNDS = 7  # of what takes a second and more in each way
OURS = ("bundle, cold", "bundle, warm", "tmprun foreign, cold", "tmprun foreign, first ever")
PEERS = ("squashfuse_ll", subjects.SEVERAL, "own runtime, FUSE")


def apps(context: Context) -> Result:
    """git status, neovim, node, numpy and LibreOffice, run to completion every way there is, cold and warm."""
    peers.fetch()
    result = Result("apps", "Real apps run to completion, every way from one file", facts=subjects.facts())
    short = (git.app(), neovim.app(with_libc=False), node.app(), python_numpy.app())
    rounds = dict.fromkeys(short, ROUNDS) | {libreoffice.app(): LONG_ROUNDS}
    for app, usual in rounds.items():
        prefix = f"{app.name}: "
        ways = subjects.every_way(context, app)
        result.add(measure(ways, context.rounds(usual), context.work.root, memory=context.memory), prefix)
        for ours in OURS:
            for peer in PEERS:
                result.compare(f"{prefix}{ours}", prefix + ours, prefix + peer)
    return result
