"""tmprun as a user has it: the front door and, beside it, what starts its Python part."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tmprun.engine import programs
from tmprun_bench.errors import BenchError


def installed(directory: Path | None, work: Path) -> Path:
    """The front door in `directory`, a `bin` with tmprun and tmprun-py; by default that of this installation, or one
    made here of this source tree. BenchError when there is none, TmprunError when the engine is not built."""
    if directory is not None:
        if not _is_whole(directory):
            raise BenchError(f"{directory} holds no tmprun with tmprun-py beside it")
        return directory / "tmprun"
    door = Path(programs.door())
    return door if _is_whole(door.parent) else lay_out(door, work)


def _is_whole(directory: Path) -> bool:
    return os.access(directory / "tmprun", os.X_OK) and (directory / "tmprun-py").exists()


def lay_out(door: Path, folder: Path) -> Path:
    """Install this package and a copy of `door` as `pip install --target FOLDER` would; returns the copy."""
    scripts = folder / "bin"
    scripts.mkdir()
    (folder / "tmprun").symlink_to(programs.PACKAGE)
    script = scripts / "tmprun-py"
    script.write_text(f"#!{sys.executable}\nfrom tmprun.main import main\nraise SystemExit(main())\n")
    script.chmod(0o755)
    return Path(shutil.copy(door, scripts / "tmprun"))
