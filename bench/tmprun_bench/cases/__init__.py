"""The cases: one function each, from a context to a result."""

from __future__ import annotations

from collections.abc import Callable

from tmprun_bench.cases.apps import apps
from tmprun_bench.cases.archives import archives
from tmprun_bench.cases.bundle_limit import bundle_limit
from tmprun_bench.cases.ci import ci
from tmprun_bench.cases.convert import convert
from tmprun_bench.cases.demand import after_gating, demand_memory
from tmprun_bench.cases.extract import extract
from tmprun_bench.cases.first_byte import first_byte
from tmprun_bench.cases.first_ever import first_ever
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
from tmprun_bench.cases.memory import memory
from tmprun_bench.cases.mmap_library import mmap_library
from tmprun_bench.cases.mounted_tree import mounted_tree
from tmprun_bench.cases.packing import packing
from tmprun_bench.cases.parallel_starts import parallel_starts
from tmprun_bench.cases.random_reads import random_reads
from tmprun_bench.cases.scaling import scaling
from tmprun_bench.cases.slices import slices
from tmprun_bench.cases.start import start
from tmprun_bench.cases.stat_storm import stat_storm
from tmprun_bench.cases.warm_start import warm_start
from tmprun_bench.cases.xz_start import xz_start
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.results import Result

Case = Callable[[Context], Result]

FUNCTIONS: tuple[Case, ...] = (
    start, apps, mounted_tree, random_reads, mmap_library, stat_storm, first_byte, parallel_starts, memory, packing,
    scaling, warm_start, extract, index_compile, first_start, first_ever, bundle_limit, gated_libreoffice, gated_neovim,
    gated_exec, gated_sparse, gated_numpy, demand_memory, gated_foreign, after_gating, xz_start, archives, convert,
    slices, ci,
)  # fmt: skip
CASES: dict[str, Case] = {function.__name__.replace("_", "-"): function for function in FUNCTIONS}


def summary_of(case: Case) -> str:
    """The first line of a case's docstring."""
    return (case.__doc__ or "").partition("\n")[0]
