"""Anyone's own app, every way there is to run it: `tmprun bench app.AppImage ARGS`.

Its answer is what it says when it runs from the plain tree (own_answer.py); every run of every way must give the same.
The trees that tmprun unpacks are compared with the extracted one by a digest, once.

Fair to the image: it is measured as it was made, codec and block size included, by its own runtime and by those who
mount it; only the bundle is packed here. All of them lie beside each other on the same disk. A peer that cannot run
this image is skipped with the reason; but one that gives another answer ends everything, and so does our own failure.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from tmprun.human import one_line
from tmprun.report import info
from tmprun_bench.corpora.app import App
from tmprun_bench.corpora.cache import remove
from tmprun_bench.errors import BenchError
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import measure
from tmprun_bench.measure.results import Result
from tmprun_bench.measure.summary import summarise
from tmprun_bench.measure.workspace import room
from tmprun_bench.own import answer as own_answer
from tmprun_bench.own import ways as own_ways
from tmprun_bench.report.sides import side
from tmprun_bench.subjects.disk import on_disk

ROUNDS = 11
TIMEOUT = 60.0  # seconds for one run
USUAL = ("--version",)
TREES = 6  # that lie in the work directory at the same time: plain, unpacked by peers, in cold and warm stores
PLAIN = "plain AppDir on tmpfs"
SIZED = {".AppImage": "AppImage", ".bundle": "bundle", ".erofs": "EROFS image", ".zst": "tar --zstd"}
# For --fail-if: the same names, and peers, as in the case for CI.
METRICS = (
    ("warm_start", "warm start of the bundle", "bundle, warm", PLAIN),
    ("cold_start", "cold start of the bundle", "bundle, cold", "unsquashfs, then run"),
    ("foreign_start", "cold start of the AppImage", "tmprun foreign, cold", "unsquashfs, then run"),
    ("mount_start", "cold start of the bundle, against a mount", "bundle, cold", "squashfuse_ll"),
)


@dataclass(frozen=True)
class OwnApp(App):
    """An app whose tree and images are kept in `place`, for this run only."""

    place: Path = Path()

    @property
    def folder(self) -> Path:
        """`place`."""
        return self.place


@dataclass(frozen=True)
class Given:
    """What was asked for: the image at `path`, what tmprun says of it, and the app's arguments (`usual`: none were
    given)."""

    path: Path
    facts: info.Info
    contents: info.Contents
    arguments: tuple[str, ...]
    usual: bool

    @property
    def is_bundle(self) -> bool:
        """Whether it is one of ours."""
        return self.facts.type == info.BUNDLE

    @property
    def level(self) -> int | None:
        """What a bundle says that it was packed at."""
        return self.contents.level if self.is_bundle else None


def look(path: Path, arguments: tuple[str, ...]) -> Given:
    """Look at the image before anything is done. TmprunError or BenchError when it cannot be measured."""
    facts = info.look(str(path))
    if facts.contents is None:
        raise BenchError(f"{path}: {facts.obstacle or 'tmprun cannot read what is in it'}")
    return Given(path, facts, facts.contents, arguments or USUAL, not arguments)


def measured(context: Context, given: Given, timeout: float) -> Result:
    """Run it in every way; `timeout` is that of the conditions.

    BenchError when that is not possible, WrongAnswer when a way gives another answer.
    """
    needed, free = TREES * given.contents.content_size, room(context.work.root)
    if needed > free:
        where = context.work.root.parent
        raise BenchError(f"{where}: {needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free; give --work DIR")
    place = on_disk() / "own"
    try:
        place.mkdir()
        app = _prepared(context, given, place)
        result = Result(f"app-{app.name}", f"Every way to run {app.title}")
        app = _with_answer(context, app, result, timeout)
        ways = own_ways.ways(context, app)
        own_ways.prove_trees(context, app, result, changed=given.facts.runs_here != "yes")
        _describe(context, app, given, result)
        peers = [way.name for way in ways if side(way.name) in ("mount", "other")]
        result.add(measure(ways, context.rounds(ROUNDS), context.work.root, memory=context.memory, may_fail=peers))
        _compare(result)
        return result
    finally:
        remove(place)


def _prepared(context: Context, given: Given, place: Path) -> OwnApp:
    """A copy of the AppImage beside what will be made of it, and its tree, extracted by tmprun."""
    name = re.sub(r"[^\w.+-]", "_", given.path.name, flags=re.ASCII)[:60]
    if not given.is_bundle:
        image = place / f"{name}.AppImage"
        shutil.copyfile(given.path, image)
        image.chmod(0o755)
    step = context.work.step(context.door, "extract", given.path.absolute(), "-C", place / f"{name}.AppDir")
    done = own_answer.once(context.work, (step,))
    if done.status != 0:
        raise BenchError(f"{given.path} cannot be extracted: {done.said or done.status}")
    title = " ".join((one_line(given.path.name), *map(one_line, given.arguments)))
    arguments = given.arguments
    made = None if given.is_bundle else _is_there
    return OwnApp(name, title, _is_there, lambda _scratch: arguments, own_answer.anything, image=made, place=place)


def _is_there(path: Path) -> None:
    """Makes what has been made already."""
    raise BenchError(f"{path} is gone")


def _with_answer(context: Context, app: OwnApp, result: Result, timeout: float) -> OwnApp:
    answer = own_answer.find(context, app, timeout)
    result.notes += answer.notes
    result.facts |= {"exit status": answer.status, "stdout is proven": answer.output is not None}
    return replace(app, status=answer.status, check=answer.check)


def _describe(context: Context, app: OwnApp, given: Given, result: Result) -> None:
    contents, packing = given.contents, context.packing
    result.facts |= {
        "image": one_line(given.path.name), "arguments": list(map(one_line, given.arguments)), "type": given.facts.type,
        "codec": contents.codec, "block size": contents.block_size or "none", "files": contents.files,
        "bytes": contents.content_size,
    }  # fmt: skip
    ours = f"packed here at zstd level {packing.level}"
    if given.is_bundle:
        result.notes.append(f"the bundle was {ours}, as was the squashfs; the given one is not measured itself")
    else:
        block = f", blocks of {contents.block_size >> 10} KiB" if contents.block_size else ""
        result.notes.append(f"the AppImage is measured as it is ({contents.codec}{block}), the bundle was {ours}")
    if given.usual:
        result.notes.append(f"no ARGS were given: the app was started with {' '.join(USUAL)}")
    for path in sorted(app.folder.iterdir()):
        if path.suffix in SIZED:
            result.sizes[SIZED[path.suffix]] = path.stat().st_size
    result.sizes["files of the app"] = contents.content_size


def _compare(result: Result) -> None:
    """Each way with the fastest mount, and with the plain tree."""
    medians = {name: summarise(series.seconds).median for name, series in result.series.items()}
    mounts = [name for name in medians if side(name) == "mount"]
    best = min(mounts, key=medians.__getitem__, default="")
    for name in medians:
        if best and name not in (best, PLAIN):
            result.compare("against the fastest mount", name, best)
    for name in medians:
        if name != PLAIN:
            result.compare("against the plain tree", name, PLAIN)
    for metric, what, ours, theirs in METRICS:
        result.compare(what, ours, theirs, metric=metric)
    if not best:
        result.notes.append("nobody could mount it here: there is no ratio to a mount")
