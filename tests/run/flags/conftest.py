"""What tests of flags share."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit.apps import App
from kit.harness import Harness


@pytest.fixture(params=["bundle", "door"])
def words(request: pytest.FixtureRequest, harness: Harness, app: App) -> list[Path]:
    """The words that start the app: its file alone, or the front door first."""
    return [harness.door, app.bundle] if request.param == "door" else [app.bundle]
