"""Eight starts of one app at once: a test run, a build, a user who clicks twice.

programs/together.c starts them; the time is from its start until the last of them has ended. Cold, tmprun's eight find
the store empty and share one extraction. An AppImage's own runtime mounts eight times, that is what it does; squashfuse
and the kernel mount once, which is in their favour, and start eight times. Where several at once get into each other's
way (extract-and-run, whose directory has the same name each time) the way is skipped, with what it said.
"""

from __future__ import annotations

from dataclasses import replace

from tmprun_bench import subjects
from tmprun_bench.corpora import node, peers
from tmprun_bench.corpora.app import App, prints
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import Subject, measure
from tmprun_bench.measure.results import Result
from tmprun_bench.programs import compiled

ROUNDS = 11
AT_ONCE = 8
FRAIL = ("own runtime, extract and run",)
OURS = ("bundle, cold", "bundle, warm", "tmprun foreign, cold", "tmprun foreign, warm")
PEERS = ("squashfuse_ll", subjects.SEVERAL, "own runtime, FUSE")


def parallel_starts(context: Context) -> Result:
    """Eight starts of node at once, cold and warm."""
    peers.fetch()
    result = Result(
        "parallel-starts", f"{AT_ONCE} starts of one app at once: {node.app().title}", facts=subjects.facts()
    )
    app = replace(node.app(), check=prints(AT_ONCE * node.ANSWER))
    ways = [_together(way) for way in _ways(context, app)]
    result.add(measure(ways, context.rounds(ROUNDS), context.work.root, memory=context.memory, may_fail=FRAIL))
    for ours in OURS:
        for peer in PEERS:
            result.compare(ours, ours, peer)
    return result


def _ways(context: Context, app: App) -> list[Subject]:
    return [
        subjects.plain(context, app),
        *subjects.every_mount(context, app),
        subjects.runtime_extract(context, app),
        *(subjects.bundle(context, app, state=state) for state in ("first ever", "cold", "warm")),
        *(subjects.foreign(context, app, state=state) for state in ("first ever", "cold", "warm")),
    ]


def _together(way: Subject) -> Subject:
    """The same, but the app started so many times at once."""
    several = (str(compiled("together")), str(AT_ONCE))
    steps = [replace(step, argv=(*several, *step.argv)) if step.answer else step for step in way.steps]
    return replace(way, steps=tuple(steps))
