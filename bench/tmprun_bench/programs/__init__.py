"""The benchmark's own small C programs, compiled when first needed, static, by the first compiler that can."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from tmprun_bench.errors import BenchError
from tmprun_bench.places import PROGRAMS

SOURCES = Path(__file__).parent
FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-s", "-pthread")
REMEDY = "install musl-tools, or gcc with the static C library (libc6-dev, glibc-static), or pip install ziglang"


def compiled(
    name: str, *, include: Sequence[Path] = (), libraries: Sequence[Path] = (), must_be_static: bool = True
) -> Path:
    """The program made of `NAME.c`; compiled again when its source, the flags or a library have changed.

    BenchError when no compiler on this machine can. One that must not be static is so where that can be.
    """
    source = SOURCES / f"{name}.c"
    digest = hashlib.sha256(repr(FLAGS).encode() + source.read_bytes())
    for library in libraries:
        digest.update(library.read_bytes())
    program = PROGRAMS / f"{name}-{digest.hexdigest()[:16]}"
    if not program.exists():
        inputs = [*(f"-I{path}" for path in include), os.fspath(source), *map(os.fspath, libraries)]
        _compile(inputs, program, must_be_static)
    return program


def _compile(inputs: Sequence[str], program: Path, must_be_static: bool) -> None:
    try:
        PROGRAMS.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchError(f"{PROGRAMS}: {error.strerror}; set XDG_CACHE_HOME to a directory of yours") from None
    beside = program.with_name(f"{program.name}.{os.getpid()}")
    failures = []
    for command in _commands(must_be_static):
        line = [*command, *inputs, "-o", os.fspath(beside)]
        done = subprocess.run(line, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode == 0:
            beside.rename(program)
            return
        said = [text for text in done.stderr.splitlines() if "error" in text] or done.stderr.splitlines()[-1:]
        failures.append(f"{Path(command[0]).name}: {' '.join(said[:1])}")
    why = "; ".join(failures) or "there is no C compiler"
    raise BenchError(f"{program.name.partition('-')[0]}.c cannot be compiled ({why}); {REMEDY}")


def _commands(must_be_static: bool) -> Iterator[list[str]]:
    """Compilers with their flags. Of their warnings, only those of the one that we use ourselves count."""
    musl, native, zig = (shutil.which(name) for name in ("musl-gcc", "cc", "zig"))
    if musl:
        yield [musl, *FLAGS]
    if native:
        yield [native, *FLAGS, "-Wno-error"]
    target = ("cc", "-target", f"{os.uname().machine}-linux-musl", *FLAGS, "-Wno-error")
    if zig:
        yield [zig, *target]
    if find_spec("ziglang"):
        yield [sys.executable, "-m", "ziglang", *target]
    if native and not must_be_static:
        yield [native, *(flag for flag in FLAGS if flag != "-static"), "-Wno-error"]
