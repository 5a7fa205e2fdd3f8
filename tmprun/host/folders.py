"""Where a user's own files lie, by the XDG Base Directory Specification."""

from __future__ import annotations

import os


def of_user(variable: str, below_home: str) -> str | None:
    """The directory that the environment names, or the one below the home; None where there is neither.

    What is not absolute counts as not set; and `/`, the home of those who have none, is nobody's.
    """
    named, home = os.environ.get(variable, ""), os.environ.get("HOME", "")
    if named.startswith("/"):
        return named
    return f"{home}/{below_home}" if home.startswith("/") and home != "/" else None


def data_home() -> str | None:
    """Where the user's data are: menus, libc slices."""
    return of_user("XDG_DATA_HOME", ".local/share")
