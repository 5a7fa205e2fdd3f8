"""Everything out of a foreign image and onto tmpfs: `tmprun @build` against unsquashfs, which is what there is.

The image: about 100 MB compressed, 2,000 files. Both on all cores, both from the page cache, both into an empty
directory of the same tmpfs. Ours also checks a SHA-256 of every block, looks at the whole index, and publishes the
tree by a rename; unsquashfs does neither. Its index is known, since making that is a case of its own (index-compile,
first-start). Each tree, theirs and ours, is compared with the AppDir after each run.
"""

from __future__ import annotations

import os
from pathlib import Path

from tmprun_bench import subjects
from tmprun_bench.corpora import catalogue
from tmprun_bench.corpora.images import offset, type2
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import Subject, measure
from tmprun_bench.measure.results import Result
from tmprun_bench.measure.trees import digest, same_tree

ROUNDS = 11
LIMITS = {"zstd": 0.6, "gzip": 0.5}


def extract(context: Context) -> Result:
    """Full extraction of a foreign image of 100 MB, zstd and zlib, against unsquashfs."""
    app = catalogue.many()
    result = Result("extract", "Full extraction of a foreign image, 2,000 files, about 100 MB compressed, to tmpfs")
    expected = digest(app.appdir)
    for codec, limit in LIMITS.items():
        image = type2(app, context.packing, codec=codec)
        result.facts[f"{codec} image bytes"] = image.stat().st_size
        ours = build(context, image, expected)
        theirs = by_unsquashfs(context, image, expected)
        prefix = "zlib: " if codec == "gzip" else "zstd: "
        result.add(measure([ours, theirs], context.rounds(ROUNDS), context.work.root), prefix)
        result.compare(f"{prefix}extraction", prefix + ours.name, prefix + theirs.name, must=limit)
    return result


def build(context: Context, image: Path, expected: str) -> Subject:
    """`tmprun @build IMAGE`: the whole tree in the store, which it prints the path of."""
    work = context.work
    run = work.step(context.door, "@build", "--fill", "eager", image, timed=True, answer=True)
    check = same_tree(expected, lambda output: Path(os.fsdecode(output.rstrip(b"\n"))))
    return Subject("tmprun @build", (*work.emptied(work.store), run), check, alone=True)


def by_unsquashfs(context: Context, image: Path, expected: str) -> Subject:
    """The same by unsquashfs."""
    work = context.work
    absent = subjects.missing("unsquashfs")
    if absent:
        return Subject("unsquashfs", (), lambda _output: None, absent=absent)
    tree = work.tree / "AppDir"
    run = work.step("unsquashfs", "-quiet", "-no-progress", "-o", str(offset(image)), "-d", tree, image, timed=True)
    return Subject("unsquashfs", (*work.emptied(work.tree), run), same_tree(expected, lambda _output: tree), alone=True)
