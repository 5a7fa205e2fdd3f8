"""Mounted, then run: by FUSE, or as root by the kernel."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tmprun_bench.corpora import peers
from tmprun_bench.corpora.app import App
from tmprun_bench.corpora.erofs import erofs, maker
from tmprun_bench.corpora.images import no_runtime, offset, type2
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import Subject
from tmprun_bench.measure.timer import Step
from tmprun_bench.subjects.parts import before, check, missing, named, no_fuse, no_kernel, no_libfuse2, run, skipped

SEVERAL = "squashfuse_ll, several threads"


def squashfuse(
    context: Context, app: App, *, low_level: bool, several_threads: bool = False, codec: str = "zstd"
) -> Subject:
    """Mounted by squashfuse or squashfuse_ll, then run.

    Both with one thread, which is all that squashfuse can and all that squashfuse_ll was built for in many
    distributions. `several_threads`: squashfuse_ll as it is where it was built for them, else that of corpora/peers.py.
    """
    program = "squashfuse_ll" if low_level else "squashfuse"
    name = SEVERAL if several_threads else program
    command = peers.threaded_squashfuse() if several_threads else (program, "-s")
    absent = no_fuse() or (missing(program) if not several_threads else "")
    if absent or command is None:
        return skipped(name, absent or f"no {program} with several threads is installed or was fetched")
    image = type2(app, context.packing, codec=codec)
    mount = context.work.step(*command, "-o", f"offset={offset(image)}", image, context.work.mount, timed=True)
    return _mounted(context, app, named(name, codec), mount, fuse=True)


def kernel_mount(context: Context, app: App, *, codec: str = "zstd") -> Subject:
    """squashfs mounted by the kernel, on a loop device: needs root."""
    name = "kernel squashfs, loop mount"
    absent = no_kernel("squashfs")
    if absent:
        return skipped(name, absent)
    image = type2(app, context.packing, codec=codec)
    return _mounted(context, app, named(name, codec), _kernel_step(context, "squashfs", image, offset(image)))


def kernel_erofs(context: Context, app: App) -> Subject:
    """EROFS mounted by the kernel, on a loop device: needs root. Compressed by zstd where mkfs.erofs can, else by
    lz4hc, and then the name says so."""
    name, codec = "kernel erofs, loop mount", erofs_codec()
    absent = no_kernel("erofs") or ("" if codec else "mkfs.erofs not installed")
    if absent:
        return skipped(name, absent)
    return _mounted(context, app, named(name, codec), _kernel_step(context, "erofs", erofs(app, context.packing), 0))


def erofsfuse(context: Context, app: App) -> Subject:
    """The same image by FUSE, in one process with several threads."""
    name, codec = "erofsfuse", erofs_codec()
    command = peers.command("erofsfuse")
    absent = no_fuse() or ("" if codec else "mkfs.erofs not installed")
    if absent or command is None:
        return skipped(name, absent or "erofsfuse not installed")
    mount = context.work.step(*command, erofs(app, context.packing), context.work.mount, timed=True)
    return _mounted(context, app, named(name, codec), mount, fuse=True)


def runtime_fuse(context: Context, app: App, *, codec: str = "zstd") -> Subject:
    """The AppImage started as its makers meant it: its runtime mounts it by FUSE."""
    name = "own runtime, FUSE"
    absent = no_fuse() or no_runtime(app, codec) or (no_libfuse2() if codec == "xz" else "")
    if absent:
        return skipped(named(name, codec), absent)
    steps = (*before(context, app), run(context, app, type2(app, context.packing, codec=codec)))
    right = check(context, app)
    # Of a runtime that we do not know nobody can say whether its daemon outlives the app.
    helpers = 0 if app.image else 1
    return Subject(named(name, codec), steps, lambda output: right(without_version(output)), helpers=helpers)


def without_version(output: bytes) -> bytes:
    """The static runtime asks fusermount3 for its version, which goes to the app's stdout."""
    lines = output.splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(b"fusermount3 version: "))


@cache
def erofs_codec() -> str:
    """What EROFS images are compressed with; empty when there is nobody to make one."""
    found = maker()
    return found.codec if found else ""


def _kernel_step(context: Context, kind: str, image: Path, start: int) -> Step:
    options = f"ro,loop,offset={start}" if start else "ro,loop"
    return context.work.step("mount", "-t", kind, "-o", options, image, context.work.mount, timed=True)


def _mounted(context: Context, app: App, name: str, mount: Step, *, fuse: bool = False) -> Subject:
    """Mount, run, unmount; a FUSE mount that leaves no daemon was none.

    Unmounted lazily: who looks at a process's memory at the wrong moment (memory.py) keeps its files open for a while.
    """
    work = context.work
    unmount = ("fusermount3", "-u", "-z") if fuse else ("umount", "--lazy")
    steps = (
        *before(context, app),
        mount,
        run(context, app, work.mount / "AppRun"),
        work.step(*unmount, work.mount, always=True),
    )
    return Subject(name, steps, check(context, app), helpers=1 if fuse else 0)
