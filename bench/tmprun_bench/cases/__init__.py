"""The cases: one function each, from a context to a result."""

from __future__ import annotations

from collections.abc import Callable

from tmprun_bench.cases.bundle_limit import bundle_limit
from tmprun_bench.cases.demand import after_gating, demand_memory
from tmprun_bench.cases.extract import extract
from tmprun_bench.cases.first_start import first_start
from tmprun_bench.cases.gated import (
    gated_exec,
    gated_foreign,
    gated_libreoffice,
    gated_neovim,
    gated_numpy,
    gated_sparse,
)
from tmprun_bench.cases.index_compile import index_compile
from tmprun_bench.cases.warm_start import warm_start
from tmprun_bench.cases.ways import ways
from tmprun_bench.context import Context
from tmprun_bench.results import Result

Case = Callable[[Context], Result]

FUNCTIONS: tuple[Case, ...] = (
    warm_start, extract, index_compile, first_start, bundle_limit, gated_libreoffice, gated_neovim, gated_exec,
    gated_sparse, gated_numpy, demand_memory, gated_foreign, after_gating, ways,
)  # fmt: skip
CASES: dict[str, Case] = {function.__name__.replace("_", "-"): function for function in FUNCTIONS}


def summary_of(case: Case) -> str:
    """The first line of a case's docstring."""
    return (case.__doc__ or "").partition("\n")[0]
