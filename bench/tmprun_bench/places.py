"""Where what the benchmark makes is kept: in build/ of its source tree; when it is installed, or the tree is somebody
else's, in the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def _checkout() -> Path | None:
    root = PACKAGE.parent.parent
    return root if (root / "stub" / "build.py").is_file() else None


def _kept() -> Path:
    if CHECKOUT is not None and os.access(CHECKOUT / "build" if (CHECKOUT / "build").exists() else CHECKOUT, os.W_OK):
        return CHECKOUT / "build"
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if cache.startswith("/") else Path.home() / ".cache") / "tmprun-bench"


CHECKOUT = _checkout()
"""The source tree that this package is part of; None when it is installed without one."""
PROGRAMS = _kept() / "bench"
"""The compiled C programs."""
CORPORA = _kept() / "corpora"
"""AppDirs and images, several GB."""
