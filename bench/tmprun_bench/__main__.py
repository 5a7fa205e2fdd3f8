"""`python -m tmprun_bench` is `tmprun bench`."""

from __future__ import annotations

import sys

from tmprun.cli.app import main

if __name__ == "__main__":
    sys.exit(main(["bench", *sys.argv[1:]]))
