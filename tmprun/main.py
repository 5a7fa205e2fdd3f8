"""Where Python begins: called by the front door (stub/foreign/boot.py) for what it leaves to Python, and by tmprun-py."""

from __future__ import annotations

import sys

from tmprun import engine


def main(door: str = "") -> int:
    """Do what this process's arguments ask for; returns the exit status. `door`: the front door that started us.

    A first start of an image (`@import`) must not wait for the command line's libraries to load.
    """
    engine.started_by = door
    if sys.argv[1:2] == ["@import"]:
        from tmprun import importer

        importer.main(sys.argv[2:])
    from tmprun.cli import app

    return app.main(sys.argv[1:])
