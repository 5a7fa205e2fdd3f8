"""What the engine's own reader says of an image, beside what Python's does: the same table, or the same refusal."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from kit.harness import engine
from tmprun.errors import TmprunError
from tmprun.start.importer import compile_image

# What squashfs' codecs are called by mksquashfs: those that the engine reads by itself.
CODECS = ("gzip", "zstd", "xz", "lz4", "lzo")


def engine_says(image: Path, door: Path | None = None) -> bytes | str:
    """The index of an image as `tmprun @index` prints it, or the one line that it refuses it with, without its name."""
    command = [door or engine("tmprun"), "@index", image]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    if done.returncode == 0:
        assert done.stderr == b""
        return done.stdout
    said = done.stderr.decode("utf-8", "surrogateescape")
    assert done.returncode == 126 and done.stdout == b"" and said.count("\n") == 1, (done.returncode, said)
    begins = f"tmprun: {image}: "
    assert said.startswith(begins), said
    return said.removeprefix(begins).rstrip("\n")


def python_says(image: Path) -> bytes | str:
    """The same of Python's reader."""
    try:
        return compile_image(os.fspath(image)).table
    except TmprunError as error:
        return str(error).removeprefix(f"{image}: ")
