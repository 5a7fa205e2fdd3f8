"""How long Python takes to compile the index of an image that nobody knows yet, by the number of its files.

A process: Python starts, loads the importer, reads and hashes the image and makes the index, all of which counts. The
answer is the index's key, which must be the same as that of an index made in this process, and its number of nodes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import tmprun
from tmprun.index.nodes import key_of
from tmprun.start.importer import compile_image
from tmprun_bench.corpora import catalogue
from tmprun_bench.corpora.cache import describe
from tmprun_bench.corpora.images import type2
from tmprun_bench.errors import WrongAnswer
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import Subject, measure
from tmprun_bench.measure.results import Result

ROUNDS = 11
LIMITS = {10_000: 0.5, 100_000: 4.0}  # seconds

LIBRARY = Path(tmprun.__file__).parents[1]  # where the package lies
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from tmprun.start.importer import compile_image
from tmprun.index.nodes import (key_of)
print(key_of(compile_image(sys.argv[2]).table))
"""


def index_compile(context: Context) -> Result:
    """Python's index compile of 10,000 and of 100,000 files."""
    result = Result("index-compile", "Python compiles the index of a foreign image (its start and hashing included)")
    ways = []
    for files in LIMITS:
        app = catalogue.tiny(files)
        image = type2(app, context.packing)
        facts = describe(app.appdir)
        result.facts[f"{files:,} files"] = {"inodes": sum(facts[kind] for kind in ("files", "symlinks", "directories"))}
        run = context.work.step(sys.executable, "-I", "-c", PROGRAM, LIBRARY, image, timed=True, answer=True)
        ways.append(Subject(f"{files:,} files", (run,), _same_key(key_of(compile_image(str(image)).table))))
    result.add(measure(ways, context.rounds(ROUNDS), context.work.root))
    for way, limit in zip(ways, LIMITS.values(), strict=True):
        result.compare(f"index of {way.name}", way.name, "", unit="s", must=limit)
    return result


def _same_key(expected: str) -> Callable[[bytes], None]:
    def check(output: bytes) -> None:
        if output.decode().strip() != expected:
            raise WrongAnswer(f"the index's key is {output!r}, not {expected}")

    return check
