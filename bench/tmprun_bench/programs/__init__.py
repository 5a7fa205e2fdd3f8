"""The benchmark's own small C programs, compiled when first needed with musl-gcc and kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tmprun_bench.errors import BenchError
from tmprun_bench.places import PROGRAMS

SOURCES = Path(__file__).parent
FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-s", "-pthread")


def compiled(name: str, *, include: Sequence[Path] = (), libraries: Sequence[Path] = ()) -> Path:
    """The static program made of `NAME.c`; compiled again when its source, the flags or a library have changed."""
    source = SOURCES / f"{name}.c"
    digest = hashlib.sha256(repr(FLAGS).encode() + source.read_bytes())
    for library in libraries:
        digest.update(library.read_bytes())
    program = PROGRAMS / f"{name}-{digest.hexdigest()[:16]}"
    if not program.exists():
        _compile(source, program, [f"-I{path}" for path in include], [os.fspath(path) for path in libraries])
    return program


def _compile(source: Path, program: Path, include: list[str], libraries: list[str]) -> None:
    compiler = shutil.which("musl-gcc")
    if compiler is None:
        raise BenchError("musl-gcc is missing; install musl-tools")
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    beside = program.with_suffix(f".{os.getpid()}")
    command = [compiler, *FLAGS, *include, os.fspath(source), *libraries, "-o", os.fspath(beside)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{source.name} does not compile:\n{done.stderr}")
    beside.rename(program)
