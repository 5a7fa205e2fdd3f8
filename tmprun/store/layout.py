"""Where things lie in a store (docs/store.md): its version, its shelves, and what an entry consists of.

Nobody else knows these names; the engine's side of them is stub/store/layout.c. The importer loads this at a first
start, so nothing here is slow to load.
"""

from __future__ import annotations

from tmprun.host.folders import of_user

VERSION = "v1"

# Shelves, the folders of a version. In a root:
TREES, LOCKS, IDENTITIES, STAGES, TRASH = "tree", "lock", "id", "stage", "trash"
# In the disk cache:
IMAGES, KNOWN, TRACES, SCRATCH = "image", "known", "trace", "scratch"
ENDED = ".ended"  # behind the key, beside its trace

# What is in an entry; the first four when it is complete, or nearly.
LEASE, INDEX, WATCH, APPDIR, SOURCE = "lease", "index", "watch", "tree", "source"

# Where the fillers of a store leave their locks, as a pattern below its root.
FILLERS = f"{VERSION}/{TREES}/*/filler"


def cache() -> str | None:
    """The disk cache's directory; None when the environment names none."""
    base = of_user("XDG_CACHE_HOME", ".cache")
    return base and f"{base}/tmprun"


def shelf(root: str, name: str) -> str:
    """The path of a shelf of the store at `root`."""
    return f"{root}/{VERSION}/{name}"


def entry(root: str, key: str) -> str:
    """The path of the published entry `key` of the store at `root`."""
    return f"{shelf(root, TREES)}/{key}"


def appdir(root: str, key: str) -> str:
    """The path of the AppDir in a published entry."""
    return f"{entry(root, key)}/{APPDIR}"
