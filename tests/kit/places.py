"""Where things lie in a store and in the disk cache: what docs/store.md says. Tests have no other words for it."""

from __future__ import annotations

from pathlib import Path

VERSION = "v1"
APPDIR = "tree"
PUBLISHED = f"/{VERSION}/tree/"  # what stands in each path between a store and the name of an entry


def shelf(root: Path | str, name: str) -> Path:
    """A folder of the version at `root`, a store or a disk cache: id, tree, lock, stage, trash; image, known, trace."""
    return Path(root) / VERSION / name


def appdirs(root: Path | str) -> list[Path]:
    """The AppDirs that are published in the store at `root`."""
    return sorted(shelf(root, "tree").glob(f"*/{APPDIR}"))
