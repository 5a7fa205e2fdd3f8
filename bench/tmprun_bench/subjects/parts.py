"""What all subjects are made of: the steps that are the same for each, and the reasons to skip one."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tmprun_bench.corpora.app import App
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import Subject
from tmprun_bench.measure.timer import Step


def before(context: Context, app: App, *emptied: Path) -> tuple[Step, ...]:
    """What must be empty before a run; the scratch directory only for an app that uses it."""
    scratch = context.work.scratch
    uses = any(str(scratch) in argument for argument in app.arguments(scratch))
    return context.work.emptied(*emptied, *((scratch,) if uses else ()))


def run(context: Context, app: App, *command: Path, **more: str) -> Step:
    """The app itself, timed. Its program may not exist yet: a mount or an extraction comes first."""
    work = context.work
    return Step(
        (*map(str, command), *app.arguments(work.scratch)),
        work.environment(**more),
        timed=True,
        answer=True,
        status=app.status,
        directory=str(work.root),
    )


def check(context: Context, app: App) -> Callable[[bytes], None]:
    """The app's own, of its stdout and of what it wrote."""
    return lambda output: app.check(output, context.work.scratch)


def named(name: str, codec: str) -> str:
    """The name for an image of that codec; only what is not the usual one is said."""
    return name if codec == "zstd" else f"{name} ({'zlib' if codec == 'gzip' else codec})"


def skipped(name: str, reason: str) -> Subject:
    """A subject that cannot be here."""
    return Subject(name, (), lambda _output: None, absent=reason)


def missing(*programs: str) -> str:
    """Which of these is not on PATH, as a reason to skip; empty when all are."""
    absent = [program for program in programs if shutil.which(program) is None]
    return f"{' and '.join(absent)} not installed" if absent else ""


def no_fuse() -> str:
    """Why FUSE mounts cannot be made here; empty when they can."""
    absent = missing("fusermount3")
    return absent or ("" if os.access("/dev/fuse", os.R_OK | os.W_OK) else "/dev/fuse cannot be opened")


def no_libfuse2() -> str:
    """Why the runtime of xz images cannot mount here, which loads that library as soon as it runs; empty when it
    can."""
    try:
        ctypes.CDLL("libfuse.so.2")
    except OSError:
        return "libfuse.so.2 not installed (Debian: libfuse2)"
    return missing("fusermount")


def no_kernel(file_system: str) -> str:
    """Why the kernel cannot mount such a file system for us; empty when it can."""
    absent = missing("mount", "umount")
    if absent or os.geteuid() != 0:
        return absent or "only root can mount"
    known = Path("/proc/filesystems").read_text().split()
    return "" if file_system in known else f"this kernel has no {file_system}"
