"""The ways to run an app, each only a process or two. What is not on this machine is named with the reason, not left
out.

Timed is what stands between the command and its end: mounting or extracting, and the app itself. Unmounting and
deleting are not timed, to the benefit of those who have to. Every image lies on disk, in the page cache; everything
written goes to tmpfs, but for the subjects that say `disk`.
"""

from __future__ import annotations

from collections.abc import Callable

from tmprun_bench.corpora.app import App
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import Subject
from tmprun_bench.measure.workspace import file_system
from tmprun_bench.subjects.disk import on_disk
from tmprun_bench.subjects.extractions import plain, runtime_extract, tar_gzip, tar_zstd, unsquashfs
from tmprun_bench.subjects.mounts import (
    SEVERAL,
    erofs_codec,
    erofsfuse,
    kernel_erofs,
    kernel_mount,
    runtime_fuse,
    squashfuse,
)
from tmprun_bench.subjects.ours import FILLS, archive, bundle, foreign
from tmprun_bench.subjects.parts import missing, no_fuse
from tmprun_bench.subjects.sliced import sliced

__all__ = [
    "FILLS", "SEVERAL", "archive", "bundle", "erofsfuse", "every_extraction", "every_mount", "every_start", "every_way",
    "facts", "foreign", "kernel_erofs", "kernel_mount", "missing", "no_fuse", "plain", "reading_ways",
    "runtime_extract", "runtime_fuse", "sliced", "squashfuse", "tar_gzip", "tar_zstd", "unsquashfs",
]  # fmt: skip


def every_way(context: Context, app: App) -> list[Subject]:
    """All there are to run `app` from one file, and the floor. Packs the app in every format that it has not yet."""
    return [
        plain(context, app),
        *every_mount(context, app),
        *every_extraction(context, app),
        *every_start(bundle, context, app),
        *every_start(foreign, context, app),
    ]


def every_mount(context: Context, app: App) -> list[Subject]:
    """The app mounted by each who can, then run."""
    return [
        squashfuse(context, app, low_level=False),
        squashfuse(context, app, low_level=True),
        squashfuse(context, app, low_level=True, several_threads=True),
        kernel_mount(context, app),
        kernel_erofs(context, app),
        erofsfuse(context, app),
        runtime_fuse(context, app),
    ]


def every_extraction(context: Context, app: App) -> list[Subject]:
    """The app unpacked by others than us, then run."""
    return [
        runtime_extract(context, app),
        unsquashfs(context, app),
        unsquashfs(context, app, disk=True),
        tar_zstd(context, app),
    ]


def reading_ways(context: Context, app: App) -> list[Subject]:
    """For an app that reads its own files: every kind of file system that these can lie on, a gated one and one that
    has been filled among them."""
    return [
        plain(context, app),
        *every_mount(context, app),
        bundle(context, app, state="warm"),
        bundle(context, app, fill="background"),
        bundle(context, app, fill="demand"),
        foreign(context, app, state="warm"),
        foreign(context, app, fill="background"),
    ]


def facts() -> dict[str, object]:
    """What names alone do not say: what is behind the mounts, and where the disk is."""
    return {"EROFS images": erofs_codec() or "none", "disk": file_system(on_disk())}


def every_start(way: Callable[..., Subject], context: Context, app: App) -> list[Subject]:
    """tmprun's own, of `way`: `bundle` or `foreign`. A warm start finds the tree complete, whichever way it was filled;
    after `demand` there is none to be found."""
    return [
        way(context, app, state="first ever"),
        way(context, app),
        *(way(context, app, fill=fill) for fill in FILLS),
        way(context, app, fill="eager", disk=True),
        way(context, app, state="warm"),
    ]
