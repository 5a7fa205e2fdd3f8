"""Bundles in the disk cache that files of other kinds were converted into (docs/store.md: `v1/image/KEY.bundle`).

The engine finds them by the file's identity, as it finds the indices of foreign images (stub/foreign/known.c).
"""

from __future__ import annotations

import os
from contextlib import suppress

from tmprun.store import layout
from tmprun.store.cache import shelves
from tmprun.store.shelves import shelf

BUNDLE = ".bundle"


def lookup(identity: str) -> str | None:
    """The path of the bundle that the file with this identity was converted into, when it is there."""
    with suppress(OSError), shelf(layout.cache() or "", layout.KNOWN) as known:
        path = _path(os.readlink(identity, dir_fd=-1 if known is None else known))
        return path if path.endswith(BUNDLE) and os.path.isfile(path) else None
    return None


def keep(bundle: str, key: str) -> str:
    """The bundle at `bundle`, in the same file system, becomes the cache's with this key; returns its path there."""
    with shelves(layout.IMAGES) as (images,):
        os.rename(bundle, key + BUNDLE, dst_dir_fd=images)
    return _path(key + BUNDLE)


def remember(identity: str, key: str) -> None:
    """From now on the file with this identity is started as that bundle."""
    with suppress(OSError), shelves(layout.KNOWN) as (known,):
        draft = f"{identity}.{os.getpid()}"
        os.symlink(key + BUNDLE, draft, dir_fd=known)
        os.rename(draft, identity, src_dir_fd=known, dst_dir_fd=known)


def _path(name: str) -> str:
    return f"{layout.shelf(layout.cache() or '', layout.IMAGES)}/{name}"
