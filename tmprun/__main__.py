"""`python -m tmprun` is `tmprun`: this process becomes the front door, which calls Python for what it does not do."""

from __future__ import annotations

import os
import signal
import sys

from tmprun.cli.output import complain
from tmprun.engine import programs
from tmprun.errors import TmprunError
from tmprun.start.handover import become, initial_environment


def main() -> int:
    """Does not return unless the front door cannot be started; then the exit status."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores from its start on, and the app must not
        signal.signal(number, signal.SIG_DFL)
    try:
        programs.started_by = programs.script()
        become([os.fsencode(argument) for argument in sys.argv[1:]], initial_environment())
    except TmprunError as error:
        complain(str(error))
        return error.status


if __name__ == "__main__":
    sys.exit(main())
