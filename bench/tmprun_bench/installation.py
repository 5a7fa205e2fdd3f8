"""tmprun as a user has it: the front door and, beside it, the script that starts its Python part."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tmprun import engine
from tmprun_bench.errors import BenchError

REPOSITORY = Path(engine.__file__).parents[1]
# What pip writes for a console script, but that it looks for the package here, where it may not be installed.
SCRIPT = """#!{python}
import sys
sys.path.insert(0, {repository!r})
from tmprun.main import main
main()
"""


def installed(directory: Path | None, work: Path) -> Path:
    """The front door in `directory`, a `bin` with tmprun and tmprun-py; by default that of this installation, or one
    made here of this source tree. BenchError when there is none, TmprunError when the engine is not built."""
    if directory is not None:
        if not _is_whole(directory):
            raise BenchError(f"{directory} holds no tmprun with tmprun-py beside it")
        return directory / "tmprun"
    door = Path(engine.door())
    if _is_whole(door.parent):
        return door
    folder = work / "bin"
    folder.mkdir()
    script = folder / "tmprun-py"
    script.write_text(SCRIPT.format(python=sys.executable, repository=str(REPOSITORY)))
    script.chmod(0o755)
    return Path(shutil.copy(door, folder / "tmprun"))


def _is_whole(directory: Path) -> bool:
    return os.access(directory / "tmprun", os.X_OK) and (directory / "tmprun-py").exists()
