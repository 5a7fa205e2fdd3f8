"""The ways to run anyone's app, those left out, with the reason, that nothing can be made for here; and the proof of
what tmprun unpacks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tmprun.errors import TmprunError
from tmprun_bench import subjects
from tmprun_bench.cases.extract import build
from tmprun_bench.corpora.app import App
from tmprun_bench.corpora.images import bundled, type2
from tmprun_bench.errors import BenchError
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import Subject, measure
from tmprun_bench.measure.results import Result
from tmprun_bench.measure.trees import digest
from tmprun_bench.subjects.parts import skipped


def ways(context: Context, app: App) -> list[Subject]:
    """All that there are for this app on this machine."""
    no_squashfs = _obstacle(lambda: type2(app, context.packing))
    no_bundle = _obstacle(lambda: bundled(app, context.packing))
    if not no_squashfs and not no_bundle:
        return subjects.every_way(context, app)
    found = [subjects.plain(context, app)]
    if no_squashfs:
        found.append(skipped("whatever starts from a squashfs image", no_squashfs))
    else:
        found += [*subjects.every_mount(context, app), *subjects.every_extraction(context, app)]
        found += subjects.every_start(subjects.foreign, context, app)
    if no_bundle:
        found.append(skipped("whatever starts from a bundle", no_bundle))
    else:
        found += subjects.every_start(subjects.bundle, context, app)
    return found


def prove_trees(context: Context, app: App, result: Result, *, changed: bool) -> None:
    """Compare what tmprun unpacks of each image with the extracted tree; WrongAnswer when they differ.

    `changed`: this machine lacks the loader of the app's programs, so tmprun writes another into them.
    """
    if changed:
        result.notes.append(
            "WARNING: the unpacked trees are not compared: programs in them are changed for this machine"
        )
        return
    expected = digest(app.appdir)
    images: dict[str, Callable[[], Path]] = {
        "AppImage": lambda: type2(app, context.packing),
        "bundle": lambda: bundled(app, context.packing),
    }
    trees = [
        replace(build(context, image(), expected), name=f"the tree of the {kind}")
        for kind, image in images.items()
        if not _obstacle(image)
    ]
    measure(trees, 0, context.work.root)
    result.facts["digest of the tree"] = expected


def _obstacle(make: Callable[[], Path]) -> str:
    """Why it cannot be made; empty when it is there now."""
    try:
        make()
    except (TmprunError, BenchError) as error:
        return str(error).partition("\n")[0]
    return ""
