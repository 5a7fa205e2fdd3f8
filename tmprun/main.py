"""Where Python begins, called by the front door (stub/foreign/boot.py) for what it leaves to Python, or tmprun-py."""

from __future__ import annotations

import sys

from tmprun.engine import programs


def main(door: str = "") -> int:
    """Do what this process's arguments ask for; returns the exit status. `door`: the front door that started us."""
    programs.started_by = door
    try:
        if sys.argv[1:2] == ["@convert"]:
            from tmprun.cli import once

            once.main(sys.argv[2:])
        from tmprun.cli import app
    except ImportError as error:
        return _without_command_line(error)
    return app.main(sys.argv[1:])


def _without_command_line(error: ImportError) -> int:
    """What the command line itself is made of is not there to report this; returns the exit status."""
    from tmprun.cli.output import complain
    from tmprun.missing import missing

    trouble = missing(error)
    complain(str(trouble))
    return trouble.status
