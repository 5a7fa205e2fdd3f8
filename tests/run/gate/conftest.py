"""What tests of gated trees share."""

from __future__ import annotations

import pytest
from kit.gating import Gated
from kit.harness import Harness


@pytest.fixture(params=["bundle", "foreign"])
def image(request: pytest.FixtureRequest, harness: Harness) -> Gated:
    """The app, and in the harness the front door that can start it."""
    if request.param == "bundle":
        return request.getfixturevalue("gated_app")
    harness.door = request.getfixturevalue("door_with_python")
    return request.getfixturevalue("gated_foreign")
