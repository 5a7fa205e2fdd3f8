"""tmprun's own ways: our bundle, and a foreign AppImage."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tmprun_bench.corpora.app import App
from tmprun_bench.corpora.images import bundled, type2
from tmprun_bench.corpora.tarball import tarball
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import Subject
from tmprun_bench.measure.timer import Step
from tmprun_bench.subjects.disk import no_disk, on_disk
from tmprun_bench.subjects.parts import before, check, named, run, skipped

# Warm: the tree is in the store, complete. Cold: the store is empty, but what a former start of the image left in the
# disk cache is there (the index of a foreign image, which files the start opened). First ever: neither.
State = Literal["warm", "cold", "first ever"]
FILLS = ("eager", "background", "demand")


def bundle(
    context: Context,
    app: App,
    *,
    state: State = "cold",
    fill: str = "",
    disk: bool = False,
    through_door: bool = False,
) -> Subject:
    """Our bundle, started by itself, or with `through_door` as `tmprun BUNDLE`. `fill`: a fill mode, by default the one
    that tmprun chooses; `disk`: the store is on a disk."""
    command = (context.door,) if through_door else ()
    return _tmprun(context, app, "bundle", (*command, bundled(app, context.packing)), state, fill, disk)


def foreign(
    context: Context, app: App, *, state: State = "cold", fill: str = "", disk: bool = False, codec: str = "zstd"
) -> Subject:
    """`tmprun APPIMAGE`."""
    image = type2(app, context.packing, codec=codec)
    return _tmprun(context, app, named("foreign", codec), (context.door, image), state, fill, disk)


def archive(context: Context, app: App, *, state: State = "first ever", codec: str = "zstd") -> Subject:
    """`tmprun TARBALL`: the first start ever converts it, the others start the bundle that was made of it."""
    path = tarball(app, context.packing, codec)
    return _tmprun(context, app, named("archive", codec), (context.door, path), state, "", False)


def _tmprun(
    context: Context, app: App, kind: str, command: tuple[Path, ...], state: State, fill: str, disk: bool
) -> Subject:
    name = ", ".join(
        filter(None, (f"{'tmprun ' if len(command) > 1 else ''}{kind}", state, fill, "store on disk" if disk else ""))
    )
    absent = no_disk() if disk else ""
    if absent:
        return skipped(name, absent)
    work = context.work
    store = on_disk() / "store" if disk else work.store
    more = {"TMPRUN_FILL": fill} if fill else {}
    more["TMPRUN_STORE"] = str(store)
    emptied: tuple[Path, ...] = (store,)
    filled: tuple[Step, ...] = ()
    if state == "warm":
        more["TMPRUN_STORE"] = str(_own_store(context, kind, app))
        emptied = ()
        filled = (work.step(context.door, "@build", "--fill", "eager", command[-1], more=more),)
    elif state == "first ever":
        more["XDG_CACHE_HOME"] = str(work.forgotten)
        emptied = (store, work.forgotten)
    again = filled if app.alters_itself else ()
    steps = (*before(context, app, *emptied), *again, run(context, app, *command, **more))
    # Whoever had to unpack something leaves the filler behind.
    return Subject(name, steps, check(context, app), once=filled, alone=fill == "eager" or state == "warm")


def _own_store(context: Context, kind: str, app: App) -> Path:
    """Warm starts have a store that no cold start empties. It is filled beforehand: a first start could leave it
    incomplete, as with `demand`, which tmprun chooses where memory is short."""
    return context.work.root / f"warm-{kind}-{app.name}".replace(" ", "-")
