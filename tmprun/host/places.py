"""Where a user keeps what is his."""

from __future__ import annotations

import os
from pathlib import Path


def data_home() -> Path:
    """Where the user's own data are, by the XDG Base Directory Specification."""
    named = os.environ.get("XDG_DATA_HOME", "")
    return Path(named) if named.startswith("/") else Path.home() / ".local" / "share"
