"""How long the engine takes to make the index of an image that nobody knows yet, by the number of its files.

A process, `tmprun @index`: the tables, hashing the whole image, and printing the index. The answer is the index, whose
key must be the same as that of the index that a report is made of.
"""

from __future__ import annotations

from collections.abc import Callable

from tmprun.engine import programs
from tmprun.images.image import Image
from tmprun.images.opened import Opened
from tmprun.index.nodes import key_of
from tmprun_bench.corpora import catalogue
from tmprun_bench.corpora.cache import describe
from tmprun_bench.corpora.images import type2
from tmprun_bench.errors import WrongAnswer
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import Subject, measure
from tmprun_bench.measure.results import Result

ROUNDS = 11
LIMITS = {10_000: (0.03, None), 100_000: (0.06, 0.03)}  # seconds: must, and reach for


def index_compile(context: Context) -> Result:
    """The index of 10,000 and of 100,000 files, from the tables."""
    result = Result("index-compile", "the index of a foreign image is made (hashing it included)")
    ways = []
    for files in LIMITS:
        app = catalogue.tiny(files)
        image = type2(app, context.packing)
        facts = describe(app.appdir)
        result.facts[f"{files:,} files"] = {"inodes": sum(facts[kind] for kind in ("files", "symlinks", "directories"))}
        run = context.work.step(programs.door(), "@index", image, timed=True, answer=True)
        with Image(str(image)) as file, Opened(file) as opened:
            ways.append(Subject(f"{files:,} files", (run,), _same_key(opened.key)))
    result.add(measure(ways, context.rounds(ROUNDS), context.work.root))
    for way, (must, reach) in zip(ways, LIMITS.values(), strict=True):
        result.compare(f"index of {way.name}", way.name, "", unit="s", must=must, reach=reach)
    return result


def _same_key(expected: str) -> Callable[[bytes], None]:
    def check(output: bytes) -> None:
        if key_of(output) != expected:
            raise WrongAnswer(f"the index's key is {key_of(output)}, not {expected}")

    return check
