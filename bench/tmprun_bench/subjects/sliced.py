"""An AppImage on a machine that has a libc slice: one that does without it, and one whose own glibc is too old.

The second is this machine, whose libc.so.6 says for the time of a start that it is older: the same file but for its
version, so the app itself meets an equal C library, and what differs is how it comes to it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from tmprun.host.libraries import SystemLibraries
from tmprun_bench.corpora.app import App
from tmprun_bench.corpora.images import type2
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import Subject
from tmprun_bench.measure.timer import Step
from tmprun_bench.subjects.ours import State
from tmprun_bench.subjects.parts import before, check, missing, run, skipped

_VERSION = re.compile(rb"(?<=release version )2\.\d+(?=\.)")
# What a run begins with may have been done before, and then the run was not.
_UNMOUNT = 'while umount --lazy "$0" 2>/dev/null; do :; done'


def sliced(context: Context, app: App, slice_: Path, *, needed: bool, state: State = "cold") -> Subject:
    """`tmprun APPIMAGE` where the slice is added. It is unpacked already, as after the first app of a day; `needed` or
    not."""
    name = f"{'with a slice' if needed else 'a slice that is not needed'}, {state}"
    absent = missing("mount", "umount") or ("" if os.geteuid() == 0 else "only root can make a C library look older")
    if needed and absent:
        return skipped(name, absent)
    work, image = context.work, type2(app, context.packing)
    store = work.root / f"sliced-{needed}-{state}-{app.name}"
    more = {"TMPRUN_STORE": str(store), "XDG_DATA_HOME": str(slice_.parents[2])}
    libc = SystemLibraries(os.uname().machine).find("libc.so.6") if needed else None
    older: tuple[Step, ...] = ()
    younger: tuple[Step, ...] = ()
    if libc is not None:
        place = os.path.realpath(libc)
        older = (work.step("sh", "-c", f'{_UNMOUNT}; mount --bind "$1" "$0"', place, _older(Path(libc), work.root)),)
        younger = (work.step("sh", "-c", _UNMOUNT, place, always=True),)
    unpacked = (work.step(context.door, "@build", "--fill", "eager", slice_, more=more),) if needed else ()
    filled = (*older, work.step(context.door, "@build", "--fill", "eager", image, more=more), *younger)
    once = filled if state == "warm" else ()
    emptied = () if state == "warm" else (*before(context, app, store), *unpacked)
    steps = (*emptied, *older, run(context, app, context.door, image, **more), *younger)
    return Subject(name, steps, check(context, app), once=once, alone=state == "warm")


def _older(libc: Path, folder: Path) -> Path:
    """A copy that calls itself glibc 2.1, in as many letters."""
    path = folder / "older-libc.so.6"
    if not path.exists():
        content = libc.read_bytes()
        path.write_bytes(_VERSION.sub(lambda found: b"2." + b"1".rjust(len(found[0]) - 2, b"0"), content))
        path.chmod(0o755)
    return path
