"""A store with room for what the app opens, and not for all of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.gating import Gated, files_with_content, truth
from kit.harness import Harness
from kit.surroundings import needs_root

pytestmark = needs_root


@pytest.fixture
def small(harness: Harness, gated_app: Gated) -> Iterator[Path]:
    """A file system that holds two thirds of the app, and its largest file."""
    sizes = {facts.st_ino: facts.st_size for facts in files_with_content(gated_app.appdir).values()}
    size = sum(sizes.values()) * 2 // 3
    assert size > max(sizes.values()) + (1 << 20)
    where = harness.base / "small"
    where.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", where], check=True)
    harness.settings["TMPRUN_STORE"] = str(where / "store")
    yield where
    subprocess.run(["umount", "--lazy", where], check=True)


def test_on_demand_the_app_starts(harness: Harness, gated_app: Gated, small: Path) -> None:
    """A read-only container with a small tmpfs. It must be asked for: an app that opens more than there is room for is
    ended at its work."""
    one = min(gated_app.gated, key=lambda path: ((gated_app.appdir / path).stat().st_size, path))
    words = [harness.door, gated_app.image, f"open={one}"]
    for mode in (None, "eager", "background"):
        said = harness.run(*words, env=truth(gated_app) | {"TMPRUN_FILL": mode}, status=127).stderr
        assert b"nowhere to unpack it" in said and b"TMPRUN_FILL=demand" in said
    harness.run(*words, env=truth(gated_app, "demand"))
