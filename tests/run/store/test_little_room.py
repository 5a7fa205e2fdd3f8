"""A store with room for what the app opens, and not for all of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.gating import Gated, truth
from kit.harness import Harness
from kit.surroundings import needs_root

pytestmark = needs_root


@pytest.fixture
def small(harness: Harness) -> Iterator[Path]:
    """A file system of 2 MB."""
    where = harness.base / "small"
    where.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "none", where], check=True)
    harness.settings["TMPRUN_STORE"] = str(where / "store")
    yield where
    subprocess.run(["umount", "--lazy", where], check=True)


def test_the_app_starts_without_being_told_how(harness: Harness, gated_app: Gated, small: Path) -> None:
    """A read-only container with nothing but a small tmpfs: a trivial start needs no option."""
    one = min(gated_app.gated, key=lambda path: ((gated_app.appdir / path).stat().st_size, path))
    words = [harness.door, gated_app.image, f"open={one}"]
    harness.run(*words, env=truth(gated_app) | {"TMPRUN_FILL": None})
    eager = truth(gated_app, "eager") | {"TMPRUN_STORE": str(small / "eager")}
    assert b"nowhere to unpack it" in harness.run(*words, env=eager, status=127).stderr
