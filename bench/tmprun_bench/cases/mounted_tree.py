"""tar and `cp -r` of the tree, the proof by which it was proposed to throw away FUSE (AppImageKit, issue 877).

The mounted tree of an AppImage is read as a whole, and so is one that is simply there. The commands are ours: GNU tar
notices /dev/null and then reads nothing, so it writes into a pipe here, and `wc -c` counts what comes out; `cp -r`
copies to tmpfs. Both are started by the app's own AppRun, in its own directory, so that a gated tree can be asked,
too, which lives only as long as its app: it is being filled while they go through it. Mounting and starting are not
timed, in favour of the mounts.

GNU tar opens files with O_NONBLOCK, which a gated file refuses while it is empty (docs/how-it-works.md, limits): of
trees that are still being filled it makes no tar at all, and they are skipped there, with what it said. `cp` waits.

Before anything counts, the tar of each tree has the SHA-256 that the AppDir's has; each run's has its size, and each
copy is compared file by file.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tmprun_bench import subjects
from tmprun_bench.cases.reading import measure_reading
from tmprun_bench.corpora import catalogue, peers, worker
from tmprun_bench.corpora.app import App, prints
from tmprun_bench.corpora.cache import describe, walk_files
from tmprun_bench.errors import WrongAnswer
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import measure
from tmprun_bench.measure.results import Amount, Result

# What differs between a mount, an entry of the store and an AppDir is owner, write bits and times of directories.
SAME = "tar --sort=name --owner=0 --group=0 --numeric-owner --mode=a-w --mtime=@0 -cf - . | sha256sum"
TAR = "tar cf - . | wc -c"
COPY = "{scratch}/copy"
STRICTLY = ("bash", "-o", "pipefail", "-c")
GATED = tuple(f"{kind}, cold, {fill}" for kind in ("bundle", "tmprun foreign") for fill in ("background", "demand"))


def mounted_tree(context: Context) -> Result:
    """tar and cp -r of a tree of 2,000 files, 280 MB, in every kind of mount and tree."""
    result = Result("mounted-tree", "tar and cp -r of the mounted tree, as in AppImageKit #877")
    peers.fetch()
    app = worker.over("tree", "2,000 files, 280 MB, read as a whole", catalogue.many())
    size = Amount(describe(app.appdir)["bytes"], "bytes")
    proof = worker.runs(app, *STRICTLY, SAME, check=prints(_said(app, SAME)))
    measure(subjects.reading_ways(context, proof), 1, context.work.root, may_fail=GATED)
    tar = worker.runs(app, *STRICTLY, TAR, check=prints(_said(app, TAR)))
    measure_reading(context, result, tar, size, "tar: ", may_fail=GATED)
    copy = worker.runs(app, "cp", "-r", ".", COPY, check=_same_files(app.appdir))
    measure_reading(context, result, copy, size, "cp -r: ")
    return result


def _said(app: App, script: str) -> bytes:
    """What the script says of the AppDir itself."""
    return subprocess.run([*STRICTLY, script], cwd=app.appdir, capture_output=True, check=True).stdout


def _same_files(root: Path) -> Callable[[bytes, Path], None]:
    expected = cache(lambda: _contents(root))

    def check(_output: bytes, scratch: Path) -> None:
        if _contents(scratch / "copy") != expected():
            raise WrongAnswer("the copy is not the AppDir")

    return check


def _contents(root: Path) -> dict[str, bytes]:
    """The SHA-256 of every file, by its path."""
    found = {}
    for path, _ in walk_files(root):
        with path.open("rb") as file:
            found[os.path.relpath(path, root)] = hashlib.file_digest(file, "sha256").digest()
    return found
