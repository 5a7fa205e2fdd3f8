"""Who is who among the subjects, by name: ours, a floor that nobody can be faster than, a mount, or another peer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from tmprun_bench.measure.results import Result
from tmprun_bench.measure.summary import summarise

Side = Literal["ours", "floor", "mount", "other"]

# What a name begins with, behind the part that tells several apps of one case apart.
OURS = ("bundle", "tmprun", "foreign")
FLOORS = ("plain AppDir", "AppRun by path", "limit:", "decode only", "copy only", "files opened")
MOUNTS = ("squashfuse", "own runtime, FUSE", "kernel", "erofs")


def side(own_name: str) -> Side:
    """Of a subject, by its own name."""
    if own_name.startswith(OURS):
        return "ours"
    if own_name.startswith(FLOORS):
        return "floor"
    return "mount" if own_name.startswith(MOUNTS) else "other"


def own_name(result: Result, name: str) -> str:
    """A subject's name without the app's in front of it: `bundle, cold` of the series `libreoffice: bundle, cold`."""
    return name.removeprefix(group_of(result, name))


def group_of(result: Result, name: str) -> str:
    """What stands before the subject's own name, `libreoffice: `; nothing in a case of one app."""
    series = result.series.get(name)
    return name.removesuffix(series.name) if series and name.endswith(series.name) else ""


def groups(result: Result) -> dict[str, list[str]]:
    """The names of a case's series by the app that they are of."""
    found: dict[str, list[str]] = {}
    for name in result.series:
        found.setdefault(group_of(result, name), []).append(name)
    return found


def nearest_mount(result: Result, ours: str) -> str:
    """The FUSE mount to compare the series `ours` with: of the same app, squashfuse if it is there (the faster of its
    kinds), else the AppImage's own; empty when none was measured."""
    group = group_of(result, ours)
    names = [name for name in groups(result).get(group, ()) if name != ours]
    for kind in MOUNTS[:2]:
        mounts = [name for name in names if name.removeprefix(group).startswith(kind)]
        if mounts:
            return _fastest(result, mounts)
    return ""


def _fastest(result: Result, names: Iterable[str]) -> str:
    return min(names, key=lambda name: summarise(result.series[name].seconds).median)
