"""A quick look for CI: five ratios to a peer in the same run, each with a name for --fail-if.

Everything is generated: nothing is downloaded, and neither root nor FUSE is needed (without FUSE `mount_start` is not
measured, and says so). The AppImage has no runtime in front of it, just a program of ours that is never started: nobody
who is compared here starts it.

| metric | what | against |
| --- | --- | --- |
| warm_start | second start of a bundle, `exit 0` | its AppRun by path |
| cold_start | first start of a bundle of 20 MB in 400 files, 3 read | unsquashfs, then run |
| foreign_start | the same as an AppImage whose index is known | unsquashfs, then run |
| extract | all of that AppImage | unsquashfs |
| mount_start | first start of the bundle | squashfuse_ll mount, then run |
"""

from __future__ import annotations

from dataclasses import replace

from tmprun_bench import subjects
from tmprun_bench.cases.extract import build, by_unsquashfs
from tmprun_bench.cases.warm_start import ways_of_exit0
from tmprun_bench.corpora.app import App
from tmprun_bench.corpora.images import append_squashfs, squashfs_options, type2
from tmprun_bench.corpora.synthetic import synthetic
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import measure
from tmprun_bench.measure.results import Result
from tmprun_bench.measure.trees import digest
from tmprun_bench.programs import compiled

ROUNDS, WARM_ROUNDS = 21, 200
FILES, SIZE, READS = 400, 20_000_000, (7, 111, 333)
MARK = b"AI\2"  # at offset 8: an AppImage of type 2


def ci(context: Context) -> Result:
    """Quick ratios to peers for CI: nothing is downloaded, neither root nor FUSE is needed."""
    result = Result("ci", "Ratios for CI")
    _warm(context, result)
    app = _app(context)
    _cold(context, result, app)
    _extract(context, result, app)
    return result


def _warm(context: Context, result: Result) -> None:
    floor, bundle = ways_of_exit0(context)[:2]
    result.add(measure([floor, bundle], context.rounds(WARM_ROUNDS), context.work.root, tight=True), "exit 0: ")
    result.compare("warm start", f"exit 0: {bundle.name}", f"exit 0: {floor.name}", metric="warm_start")


def _cold(context: Context, result: Result, app: App) -> None:
    extracted, mounted = subjects.unsquashfs(context, app), subjects.squashfuse(context, app, low_level=True)
    bundle, foreign = subjects.bundle(context, app), subjects.foreign(context, app)
    ways = [subjects.plain(context, app), extracted, mounted, bundle, foreign]
    result.add(measure(ways, context.rounds(ROUNDS), context.work.root))
    result.compare("cold start of a bundle", bundle.name, extracted.name, metric="cold_start")
    result.compare("cold start of an AppImage", foreign.name, extracted.name, metric="foreign_start")
    result.compare("cold start of a bundle, against a mount", bundle.name, mounted.name, metric="mount_start")


def _extract(context: Context, result: Result, app: App) -> None:
    image, expected = type2(app, context.packing), digest(app.appdir)
    ours, theirs = build(context, image, expected), by_unsquashfs(context, image, expected)
    result.add(measure([ours, theirs], context.rounds(ROUNDS), context.work.root))
    result.compare("extraction of an AppImage", ours.name, theirs.name, metric="extract")


def _app(context: Context) -> App:
    """Packed here without a runtime, which would have to be downloaded."""
    packing = context.packing
    name = f"ci-{packing.level}-{packing.block}"
    app = synthetic(name, "20 MB in 400 files, 3 read", files=FILES, size=SIZE, noise=0.1, reads=READS)
    program = compiled("apprun").read_bytes()
    head = program[:8] + MARK + program[11:]
    return replace(app, image=lambda path: append_squashfs(path, head, app.appdir, squashfs_options(packing, "zstd")))
