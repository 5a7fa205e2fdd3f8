"""The console script `tmprun-py`: the front door calls it for all that it does not do itself."""

from __future__ import annotations

import sys


def main() -> int:
    """Dispatch. A first start of an image (`@import`) must not wait for the command line's libraries to load."""
    if sys.argv[1:2] == ["@import"]:
        from tmprun import importer

        importer.main(sys.argv[2:])
    try:
        from tmprun import cli
    except ImportError as error:
        return _without_command_line(error)
    return cli.main(sys.argv[1:])


def _without_command_line(error: ImportError) -> int:
    """What the command line itself is made of is not there to report this; returns the exit status."""
    from tmprun.missing import missing
    from tmprun.output import complain

    trouble = missing(error)
    complain(str(trouble))
    return trouble.status
