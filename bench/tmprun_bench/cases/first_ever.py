"""What it costs that an image has never been seen: its first start ever, beside its start with the index known.

An image that is started for the first time has its tables read before the app runs, and is hashed behind it; a later
start finds the index in the disk cache. The same image, the same fill mode, an empty store on both sides, so the ratio
is what being unknown costs. The image's own runtime stands beside both, with its FUSE mount: the one that type-2 images
carry today, out of an image that somebody else made (corpora/images.py).

Two more have a limit in seconds: a static exit 0, above its exec by path, and 2 GB in 2,000 files of which the app
reads ten. Page cache warm. What the engine still does after the app's end is not timed.
"""

from __future__ import annotations

from dataclasses import replace

from tmprun_bench import subjects
from tmprun_bench.corpora import exit0, libreoffice, linuxdeploy, neovim, node, scaled
from tmprun_bench.corpora.app import App
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import measure
from tmprun_bench.measure.results import Result

ROUNDS = 11
FIRST, KNOWN, MOUNT = "tmprun foreign, first ever", "tmprun foreign, cold", "own runtime, FUSE"
FLOOR = "AppRun by path"


def first_ever(context: Context) -> Result:
    """The first start ever of type-2 images against the same with the index known, and against their own mounts."""
    result = Result("first-ever", "First start ever of a type-2 image")
    limits = {"neovim": (0.8, 0.5), "libreoffice": (0.9, 0.75)}
    for app in (linuxdeploy.app(), neovim.app(with_libc=False), node.app(), libreoffice.app()):
        prefix = _measured(context, result, app)
        result.compare(f"{prefix}against its index known", prefix + FIRST, prefix + KNOWN, must=1.15, reach=1.03)
        must, reach = limits.get(app.name, (None, None))
        _against_mount(result, prefix, must, reach)
    prefix = _measured(context, result, exit0.app())
    result.compare(f"{prefix}above exec by path", prefix + FIRST, prefix + FLOOR, unit="s", must=0.005, reach=0.002)
    prefix = _measured(context, result, scaled.scaled(2_000 * scaled.MB))
    result.compare(f"{prefix}until it has ended", prefix + FIRST, "", unit="s", must=0.025, reach=0.012)
    _against_mount(result, prefix)
    return result


def _against_mount(result: Result, prefix: str, must: float | None = None, reach: float | None = None) -> None:
    result.compare(f"{prefix}against its own mount", prefix + FIRST, prefix + MOUNT, must=must, reach=reach)


def _measured(context: Context, result: Result, app: App) -> str:
    """Add the app's series; returns what their names begin with."""
    ways = [
        replace(subjects.plain(context, app), name=FLOOR),
        subjects.foreign(context, app, state="first ever"),
        subjects.foreign(context, app),
        subjects.runtime_fuse(context, app),
    ]
    prefix = f"{app.name}: "
    result.add(measure(ways, context.rounds(ROUNDS), context.work.root), prefix)
    return prefix
