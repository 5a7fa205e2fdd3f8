"""How long `tmprun convert` takes for a type-2 AppImage, against unsquashfs and mksquashfs, and how large both are.

That is what people do who want an AppImage of another kind: unpack it, pack it anew. Both sides end with the level
that `tmprun convert` has when nobody says one, on all cores, from the page cache to tmpfs; mksquashfs has its usual
blocks of 128 KiB. Ours also looks for everything that could be wrong with the AppDir and hashes every frame. What comes
out is unpacked after each run by the tool that belongs to it, and the tree compared with the AppDir.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tmprun.pack.levels import DEFAULT_LEVEL
from tmprun_bench.cases.packing import check_of
from tmprun_bench.corpora import libreoffice, node
from tmprun_bench.corpora.app import App
from tmprun_bench.corpora.cache import describe, remove
from tmprun_bench.corpora.images import offset, squashfs_options, type2
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import Subject, measure
from tmprun_bench.measure.results import Amount, Result
from tmprun_bench.measure.trees import digest
from tmprun_bench.subjects.parts import missing, skipped

ROUNDS = 3
OURS, THEIRS = "tmprun convert", "unsquashfs, then mksquashfs"
MUST, REACH = 0.9, 0.6


def convert(context: Context) -> Result:
    """LibreOffice's and node's AppImages converted at the default level, against unsquashfs and mksquashfs."""
    result = Result("convert", f"Converting an AppImage at level {DEFAULT_LEVEL}, and the size of what comes out")
    for app in (libreoffice.app(), node.app()):
        prefix = f"{app.name}: "
        result.add(
            measure([_ours(context, app), _theirs(context, app)], context.rounds(ROUNDS), context.work.root), prefix
        )
        for name, image in ((OURS, _bundle(context)), (THEIRS, _squashfs(context))):
            if image.exists():
                result.amounts[prefix + name] = Amount(describe(app.appdir)["bytes"], "bytes")
                result.sizes[prefix + name] = image.stat().st_size
                remove(image)
        result.compare(f"{prefix}time", prefix + OURS, prefix + THEIRS, must=MUST, reach=REACH)
    return result


def _ours(context: Context, app: App) -> Subject:
    work, out = context.work, _bundle(context)
    command = (context.door, "convert", type2(app, context.packing), "-o", out, "--quiet")
    steps = (work.step("rm", "-f", out), work.step(*command, timed=True))
    unpack = (context.door, "extract", out, "-C", work.tree)
    return Subject(OURS, steps, check_of(context, unpack, digest(app.appdir)), alone=True)


def _theirs(context: Context, app: App) -> Subject:
    absent = missing("unsquashfs", "mksquashfs")
    if absent:
        return skipped(THEIRS, absent)
    work, out = context.work, _squashfs(context)
    image, unpacked = type2(app, context.packing), work.temporary / "AppDir"
    unsquash: tuple[str | Path, ...] = ("unsquashfs", "-quiet", "-no-progress", "-d")
    options = squashfs_options(replace(context.packing, level=DEFAULT_LEVEL), "zstd")
    steps = (
        *work.emptied(work.temporary),
        work.step(*unsquash, unpacked, "-o", str(offset(image)), image, timed=True),
        work.step("mksquashfs", unpacked, out, *options, timed=True),
    )
    return Subject(
        THEIRS, steps, check_of(context, (*unsquash, work.tree, "-force", out), digest(app.appdir)), alone=True
    )


def _bundle(context: Context) -> Path:
    return context.work.root / "converted"


def _squashfs(context: Context) -> Path:
    return context.work.root / "repacked"
