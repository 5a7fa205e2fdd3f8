"""The console script `tmprun-py`: the front door calls it for all that it does not do itself."""

from __future__ import annotations

import sys


def main() -> int:
    """Dispatch. A first start of an image (`@import`) must not wait for the command line's libraries to load."""
    if sys.argv[1:2] == ["@import"]:
        from tmprun import importer

        importer.main(sys.argv[2:])
    from tmprun import cli

    return cli.main(sys.argv[1:])
