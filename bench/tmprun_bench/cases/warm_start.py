"""What stands between a command and an app that is in the store already.

The app is a static program that exits with 0, so that nothing else is measured; the floor is its start by path. These
are fractions of a millisecond: the timing program does all rounds by itself, in between runs no Python. Fair to the
floor: it lies on the same tmpfs and is started the same way. Unfair to nobody, since no peer is compared: a mount
starts in milliseconds, and the case `start` shows it.
"""

from __future__ import annotations

from dataclasses import replace

from tmprun_bench import subjects
from tmprun_bench.corpora import exit0
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import Subject, measure
from tmprun_bench.measure.results import Result

ROUNDS = 300
OWN_LIMIT = 0.0005  # seconds above the floor
DOOR_LIMIT = 0.0008


def warm_start(context: Context) -> Result:
    """Warm start of an exit 0: bundle, `tmprun BUNDLE` and `tmprun APPIMAGE` against its AppRun by path."""
    result = Result("warm-start", "Warm start of a static exit 0")
    ways = ways_of_exit0(context)
    result.add(measure(ways, context.rounds(ROUNDS), context.work.root, tight=True))
    floor, itself, bundle, foreign = (way.name for way in ways)
    result.compare("bundle, above exec by path", itself, floor, unit="s", must=OWN_LIMIT)
    result.compare("tmprun BUNDLE, above exec by path", bundle, floor, unit="s", must=DOOR_LIMIT)
    result.compare("tmprun APPIMAGE, above exec by path", foreign, floor, unit="s", must=DOOR_LIMIT)
    return result


def ways_of_exit0(context: Context) -> list[Subject]:
    """By path, a bundle by itself and through the front door, and an AppImage; each proven to be what it is.

    Exit status 0 could come from anywhere. So each way first makes the same AppRun say a word, from the same store.
    """
    ways, speaking = _ways(context, proof=False), _ways(context, proof=True)
    assert [way.name for way in speaking] == [way.name for way in ways]
    measure(speaking, 1, context.work.root)
    return ways


def _ways(context: Context, *, proof: bool) -> list[Subject]:
    app = exit0.speaking() if proof else exit0.app()
    return [
        replace(subjects.plain(context, app), name="AppRun by path"),
        subjects.bundle(context, app, state="warm"),
        subjects.bundle(context, app, state="warm", through_door=True),
        subjects.foreign(context, app, state="warm"),
    ]
