"""The ways to run an app, each only a process or two. What is not on this machine is named with the reason, not left
out.

Timed is what stands between the command and its end: mounting or extracting, and the app itself. Unmounting and
deleting are not timed, to the benefit of those who have to. Every image lies on disk, in the page cache; everything
written goes to tmpfs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from tmprun_bench.context import Context
from tmprun_bench.corpora.app import App
from tmprun_bench.corpora.images import bundled, offset, type2
from tmprun_bench.harness import Subject
from tmprun_bench.timer import Step

# Of tmprun. Warm: the tree is in the store. Cold: the store is empty, but what a former start of the image left in the
# disk cache is there (the index of a foreign image, which files the start opened). First ever: neither.
State = Literal["warm", "cold", "first ever"]


def plain(context: Context, app: App) -> Subject:
    """The AppDir, already on tmpfs: the floor."""
    work = context.work
    tree = work.plain(app.name)
    steps = (*_before(context, app), _run(context, app, tree / "AppRun"))
    return Subject("plain AppDir on tmpfs", steps, _check(context, app), once=_copied(context, app))


def squashfuse(context: Context, app: App, *, low_level: bool, codec: str = "zstd") -> Subject:
    """Mounted by squashfuse or squashfuse_ll (which has several threads), then run."""
    program = "squashfuse_ll" if low_level else "squashfuse"
    absent = missing(program, "fusermount3") or no_fuse()
    if absent:
        return _skipped(program, absent)
    work, image = context.work, type2(app, context.packing, codec=codec)
    steps = (
        *_before(context, app),
        work.step(program, "-o", f"offset={offset(image)}", image, work.mount, timed=True),
        _run(context, app, work.mount / "AppRun"),
        work.step("fusermount3", "-u", work.mount, always=True),
    )
    return Subject(_named(program, codec), steps, _check(context, app), helpers=1)


def kernel_mount(context: Context, app: App, *, codec: str = "zstd") -> Subject:
    """Mounted by the kernel, on a loop device: needs root, and a kernel with squashfs."""
    name = "kernel squashfs, loop mount"
    absent = missing("mount", "umount") or _no_kernel_mount()
    if absent:
        return _skipped(name, absent)
    work, image = context.work, type2(app, context.packing, codec=codec)
    steps = (
        *_before(context, app),
        work.step("mount", "-t", "squashfs", "-o", f"ro,loop,offset={offset(image)}", image, work.mount, timed=True),
        _run(context, app, work.mount / "AppRun"),
        work.step("umount", work.mount, always=True),
    )
    return Subject(_named(name, codec), steps, _check(context, app))


def runtime_fuse(context: Context, app: App, *, codec: str = "zstd") -> Subject:
    """The AppImage started as its makers meant it: its runtime mounts it by FUSE."""
    name = "own runtime, FUSE"
    absent = missing("fusermount3") or no_fuse()
    if absent:
        return _skipped(name, absent)
    steps = (*_before(context, app), _run(context, app, type2(app, context.packing, codec=codec)))
    check = _check(context, app)
    return Subject(_named(name, codec), steps, lambda output: check(_without_version(output)), helpers=1)


def runtime_extract(context: Context, app: App, *, codec: str = "zstd") -> Subject:
    """The same where there is no FUSE: the runtime extracts everything to TMPDIR, runs it and deletes it, all of it
    timed."""
    image = type2(app, context.packing, codec=codec)
    work, forced = context.work, {"APPIMAGE_EXTRACT_AND_RUN": "1"}
    run = work.step(image, *app.arguments(work.scratch), timed=True, answer=True, more=forced)
    steps = (*_before(context, app, work.temporary), run)
    return Subject(_named("own runtime, extract and run", codec), steps, _check(context, app))


def unsquashfs(context: Context, app: App, *, codec: str = "zstd") -> Subject:
    """Extracted by unsquashfs, on all cores, then run."""
    name = "unsquashfs, then run"
    absent = missing("unsquashfs")
    if absent:
        return _skipped(name, absent)
    work, image = context.work, type2(app, context.packing, codec=codec)
    tree = work.tree / "AppDir"
    steps = (
        *_before(context, app, work.tree),
        work.step("unsquashfs", "-quiet", "-no-progress", "-o", str(offset(image)), "-d", tree, image, timed=True),
        _run(context, app, tree / "AppRun"),
    )
    return Subject(_named(name, codec), steps, _check(context, app))


def bundle(context: Context, app: App, *, state: State = "cold", fill: str = "", through_door: bool = False) -> Subject:
    """Our bundle, started by itself, or with `through_door` as `tmprun BUNDLE`."""
    command = (context.door,) if through_door else ()
    return _tmprun(context, app, "bundle", (*command, bundled(app, context.packing)), state, fill)


def foreign(context: Context, app: App, *, state: State = "cold", fill: str = "", codec: str = "zstd") -> Subject:
    """`tmprun APPIMAGE`."""
    image = type2(app, context.packing, codec=codec)
    return _tmprun(context, app, _named("foreign", codec), (context.door, image), state, fill)


def _tmprun(context: Context, app: App, kind: str, command: tuple[Path, ...], state: State, fill: str) -> Subject:
    work = context.work
    more = {"TMPRUN_FILL": fill} if fill else {}
    emptied: tuple[Path, ...] = (work.store,)
    if state == "warm":
        more["TMPRUN_STORE"] = str(_own_store(context, kind, app))
        emptied = ()
    elif state == "first ever":
        more["XDG_CACHE_HOME"] = str(work.forgotten)
        emptied = (work.store, work.forgotten)
    run = work.step(*command, *app.arguments(work.scratch), timed=True, answer=True, more=more)
    name = ", ".join(filter(None, (f"{'tmprun ' if len(command) > 1 else ''}{kind}", state, fill)))
    return Subject(name, (*_before(context, app, *emptied), run), _check(context, app), alone=fill == "eager")


def _own_store(context: Context, kind: str, app: App) -> Path:
    """Warm starts have a store that no cold start empties."""
    return context.work.root / f"warm-{kind}-{app.name}".replace(" ", "-")


def _before(context: Context, app: App, *emptied: Path) -> tuple[Step, ...]:
    """What must be empty before a run; the scratch directory only for an app that uses it."""
    scratch = context.work.scratch
    uses = any(str(scratch) in argument for argument in app.arguments(scratch))
    return context.work.emptied(*emptied, *((scratch,) if uses else ()))


def _run(context: Context, app: App, program: Path) -> Step:
    """The app itself. Its program may not exist yet: a mount or an extraction comes first."""
    work = context.work
    return Step(
        (str(program), *app.arguments(work.scratch)),
        work.environment(),
        timed=True,
        answer=True,
        directory=str(work.root),
    )


def _check(context: Context, app: App) -> Callable[[bytes], None]:
    return lambda output: app.check(output, context.work.scratch)


def _without_version(output: bytes) -> bytes:
    """The static runtime asks fusermount3 for its version, which goes to the app's stdout."""
    first, _, rest = output.partition(b"\n")
    return rest if first.startswith(b"fusermount3 version: ") else output


def _copied(context: Context, app: App) -> tuple[Step, ...]:
    """Copy the AppDir to tmpfs; two subjects may ask for the same."""
    tree = context.work.plain(app.name)
    return (*context.work.emptied(tree), context.work.step("cp", "-a", f"{app.appdir}/.", tree))


def _named(name: str, codec: str) -> str:
    return name if codec == "zstd" else f"{name} (zlib)"


def _skipped(name: str, reason: str) -> Subject:
    return Subject(name, (), lambda _output: None, absent=reason)


def missing(*programs: str) -> str:
    """Which of these is not on PATH, as a reason to skip; empty when all are."""
    absent = [program for program in programs if shutil.which(program) is None]
    return f"{' and '.join(absent)} not installed" if absent else ""


def no_fuse() -> str:
    """Why FUSE mounts cannot be made here; empty when they can."""
    return "" if os.access("/dev/fuse", os.R_OK | os.W_OK) else "/dev/fuse cannot be opened"


def _no_kernel_mount() -> str:
    if os.geteuid() != 0:
        return "only root can mount"
    known = Path("/proc/filesystems").read_text().split()
    return "" if "squashfs" in known else "this kernel has no squashfs"
