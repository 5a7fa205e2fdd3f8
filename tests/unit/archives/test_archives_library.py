"""How libarchive is found."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import ctypes.util, os
def asked(name):
    raise SystemExit("the linker's tools are asked")
ctypes.util.find_library = asked
from tmprun.archives import library
library.load()
"""


def test_nobody_is_asked_for_the_usual_name() -> None:
    """That runs ldconfig, or a compiler where there is none, at each start of an archive."""
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)
