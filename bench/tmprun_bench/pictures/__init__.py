"""Results as one picture, SVG or PNG: start times, throughput, scaling curves, memory; each only if it was measured.

The plan of it (panels.py) is plain data; drawing it (axes.py, figure.py) needs matplotlib, an optional extra.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tmprun_bench.errors import BenchError
from tmprun_bench.extras import PICTURES, require
from tmprun_bench.measure.results import Result
from tmprun_bench.pictures.panels import planned

SUFFIXES = (".svg", ".png")


def must_be_drawable(path: Path) -> None:
    """BenchError unless a picture can be made at `path`: to be asked before an hour of measuring."""
    if path.suffix.lower() not in SUFFIXES:
        raise BenchError(f"{path}: a picture is {' or '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise BenchError(f"{path}: there is no directory {path.parent}")
    require(*PICTURES)


def draw(results: Sequence[Result], machine: dict[str, object], path: Path) -> None:
    """Write the picture; the same results give the same bytes with the same matplotlib. BenchError when there is
    nothing to draw."""
    must_be_drawable(path)
    panels = planned(results)
    if not panels:
        raise BenchError(f"{path}: these results have nothing to draw")
    # matplotlib takes a second to load, and is not on every machine.
    from tmprun_bench.pictures.figure import save

    save(panels, machine, path)
