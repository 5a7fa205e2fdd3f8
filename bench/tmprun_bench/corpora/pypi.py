"""Single, pinned packages from PyPI, as files: downloaded by pip, unpacked, never installed."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from tmprun_bench.errors import BenchError
from tmprun_bench.places import CORPORA


def unpack(requirement: str, into: Path) -> None:
    """Unpack the wheel of `requirement` (`NAME==VERSION`) into the new directory `into`, with the modes that it
    gives."""
    with zipfile.ZipFile(_download(requirement)) as wheel:
        wheel.extractall(into)
        for member in wheel.infolist():
            mode = member.external_attr >> 16 & 0o777
            if mode and not member.is_dir():
                (into / member.filename).chmod(mode)


def _download(requirement: str) -> Path:
    folder = CORPORA / "packages" / requirement.replace("==", "-")
    found = list(folder.glob("*.whl"))
    if not found:
        command = (
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--only-binary",
            ":all:",
            "-d",
            folder,
            requirement,
        )
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"pip could not download {requirement}:\n{done.stderr[-2000:]}")
        found = list(folder.glob("*.whl"))
    return found[0]
