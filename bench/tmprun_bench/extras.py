"""What only the benchmark needs of Python's packages, and `pip install tmprun` alone does not bring."""

from __future__ import annotations

from importlib.util import find_spec

from tmprun_bench.errors import BenchError

PICTURES = ("matplotlib",)


def require(*modules: str) -> None:
    """BenchError, with the command that helps, unless all of these can be imported."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise BenchError(f"{' and '.join(missing)} not installed: pip install 'tmprun[bench]'")
