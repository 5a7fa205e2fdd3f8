"""The engine's own zstd decoder, compiled as stub/build.py compiles it, for a program that measures its limit."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from tmprun_bench.errors import BenchError
from tmprun_bench.places import CHECKOUT


def zstd() -> tuple[Path, list[Path]]:
    """The folder of zstd.h, and the object files that are linked into the front door."""
    build = _engine_build()
    folder, objects = build.zstd_decoder(build.host_machine())
    return folder, objects


def _engine_build() -> ModuleType:
    """stub/build.py, which is a program and belongs to no package."""
    if CHECKOUT is None:
        raise BenchError("the engine's objects are built in its source tree only; run this case there")
    path = CHECKOUT / "stub" / "build.py"
    spec = importlib.util.spec_from_file_location("tmprun_engine_build", path)
    if spec is None or spec.loader is None:
        raise BenchError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
