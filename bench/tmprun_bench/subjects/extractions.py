"""The tree itself: where it lies already, and unpacked before each run by the usual tools."""

from __future__ import annotations

from pathlib import Path

from tmprun_bench.corpora.app import App
from tmprun_bench.corpora.images import no_runtime, offset, type2
from tmprun_bench.corpora.tarball import tarball
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import Subject
from tmprun_bench.measure.timer import Step
from tmprun_bench.subjects.disk import no_disk, on_disk
from tmprun_bench.subjects.parts import before, check, missing, named, run, skipped


def plain(context: Context, app: App) -> Subject:
    """The AppDir, already on tmpfs: the floor."""
    tree = context.work.plain(app.name)
    steps = (*before(context, app), run(context, app, tree / "AppRun"))
    return Subject("plain AppDir on tmpfs", steps, check(context, app), once=_copied(context, app))


def runtime_extract(context: Context, app: App, *, codec: str = "zstd") -> Subject:
    """An AppImage where there is no FUSE: its runtime extracts everything to TMPDIR, runs it and deletes it, all of it
    timed."""
    name = named("own runtime, extract and run", codec)
    absent = no_runtime(app, codec)
    if absent:
        return skipped(name, absent)
    image = type2(app, context.packing, codec=codec)
    started = run(context, app, image, APPIMAGE_EXTRACT_AND_RUN="1")
    steps = (*before(context, app, context.work.temporary), started)
    return Subject(name, steps, check(context, app))


def unsquashfs(context: Context, app: App, *, codec: str = "zstd", disk: bool = False) -> Subject:
    """Extracted by unsquashfs, on all cores, then run."""
    name = f"unsquashfs{' to disk' if disk else ''}, then run"
    absent = missing("unsquashfs") or (no_disk() if disk else "")
    if absent:
        return skipped(name, absent)
    image = type2(app, context.packing, codec=codec)
    parent = on_disk() / "tree" if disk else context.work.tree
    tree = parent / "AppDir"
    extract = context.work.step(
        "unsquashfs", "-quiet", "-no-progress", "-o", str(offset(image)), "-d", tree, image, timed=True
    )
    return _then_run(context, app, named(name, codec), parent, extract, tree)


def tar_zstd(context: Context, app: App) -> Subject:
    """A tar, compressed by zstd as a whole, unpacked by tar, then run: the format of the proposal without anything
    of ours. zstd decompresses on one core."""
    name = "tar --zstd, then run"
    absent = missing("tar", "zstd")
    if absent:
        return skipped(name, absent)
    tree = context.work.tree
    extract = context.work.step("tar", "--zstd", "-xf", tarball(app, context.packing), "-C", tree, timed=True)
    return _then_run(context, app, name, tree, extract, tree)


def tar_gzip(context: Context, app: App) -> Subject:
    """The same with gzip."""
    name = "tar --gzip, then run"
    absent = missing("tar", "gzip")
    if absent:
        return skipped(name, absent)
    tree = context.work.tree
    archive = tarball(app, context.packing, "gzip")
    extract = context.work.step("tar", "--gzip", "-xf", archive, "-C", tree, timed=True)
    return _then_run(context, app, name, tree, extract, tree)


def _then_run(context: Context, app: App, name: str, emptied: Path, extract: Step, tree: Path) -> Subject:
    steps = (*before(context, app, emptied), extract, run(context, app, tree / "AppRun"))
    return Subject(name, steps, check(context, app))


def _copied(context: Context, app: App) -> tuple[Step, ...]:
    """Copy the AppDir to tmpfs; two subjects may ask for the same."""
    tree = context.work.plain(app.name)
    return (*context.work.emptied(tree), context.work.step("cp", "-a", f"{app.appdir}/.", tree))
