"""tmprun as a user has it: the front door and, beside it, the script that starts its Python part."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tmprun.stubs import ENGINE
from tmprun_bench.errors import BenchError

# What pip writes for a console script, but that it looks for the package here, where it may not be installed.
SCRIPT = """#!{python}
import sys
sys.path.insert(0, {repository!r})
from tmprun.main import main
main()
"""


def installed(directory: Path | None, work: Path) -> Path:
    """The front door in `directory`, a `bin` with tmprun and tmprun-py; by default one made here of this source
    tree."""
    if directory is not None:
        door = directory / "tmprun"
        if not os.access(door, os.X_OK) or not (directory / "tmprun-py").exists():
            raise BenchError(f"{directory} holds no tmprun with tmprun-py beside it")
        return door
    engine = ENGINE / os.uname().machine / "tmprun"
    if not engine.exists():
        raise BenchError(f"the engine is not built: {engine} is missing; make engine")
    folder = work / "bin"
    folder.mkdir()
    script = folder / "tmprun-py"
    script.write_text(SCRIPT.format(python=sys.executable, repository=str(ENGINE.parent.parent)))
    script.chmod(0o755)
    return Path(shutil.copy(engine, folder / "tmprun"))
