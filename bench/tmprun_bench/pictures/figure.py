"""Puts panels on a page, one below the other, and writes it.

A web page shows the picture about 830 pixels wide: WIDTH is so small that the smallest text has eleven pixels there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from tmprun_bench.errors import BenchError
from tmprun_bench.pictures import axes, palette, words
from tmprun_bench.pictures.panels import Bar, Bars, Curve, Curves, Held, Holds, Panel

WIDTH = 7.0  # inches
ROW, FRAME = 0.21, 0.85  # inches: a bar, and what is around a panel
CURVES = 2.6  # inches
LINE = 0.16  # inches, of a title
FOOT = 0.45  # inches: the legend, and what keeps it apart
HEAD = "tmprun bench: medians, whiskers from quartile to quartile"
HEAD_WIDTH = 105  # characters of a line
DPI = 130
# The same results, the same bytes: ids in an SVG are otherwise random. Text is drawn as shapes, so that it has the
# same width on a machine with other fonts.
# matplotlib 3.11 has a type for the names that older ones do not have, hence Any.
SETTINGS: Any = {
    "svg.hashsalt": "tmprun",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "text.color": palette.TEXT,
}


def save(panels: Sequence[Panel], machine: dict[str, object], path: Path) -> None:
    """Draw and write; the format is the suffix'."""
    kind = path.suffix.lower().removeprefix(".")
    metadata = {"Date": None, "Creator": "tmprun bench"} if kind == "svg" else {"Software": "tmprun bench"}
    with matplotlib.rc_context(SETTINGS):
        figure = drawn(panels, machine)
        _settle(figure)
        try:
            figure.savefig(path, format=kind, dpi=DPI, metadata=metadata, facecolor="white")
        except OSError as error:
            raise BenchError(f"{path}: {error.strerror}") from None


def drawn(panels: Sequence[Panel], machine: dict[str, object]) -> Figure:
    """The whole picture."""
    head = [HEAD, _where(machine), *words.explained(_names(panels), HEAD_WIDTH)]
    heights = [_height(panel) for panel in panels]
    height = sum(heights) + sum(map(_around, panels)) + LINE * len(head) + FOOT
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    spots = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for spot, panel in zip(spots, panels, strict=True):
        _draw(spot, panel)
    figure.suptitle("\n".join(head), fontsize=axes.SMALL + 0.5)
    there = {one.side for panel in panels for one in _rows(panel)}
    patches = [
        Patch(color=palette.SIDES[side], label=word) for side, word in palette.SIDE_WORDS.items() if side in there
    ]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), frameon=False, fontsize=9)
    return figure


def _settle(figure: Figure) -> None:
    """Lay it out now and for good, in round numbers: the solver's last digits are other ones each time, and ids in an
    SVG are made of them."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for spot in figure.get_axes():
        left, bottom, width, height = (round(float(edge), 4) for edge in spot.get_position().bounds)
        spot.set_position((left, bottom, width, height))


def _draw(spot: Axes, panel: Panel) -> None:
    match panel:
        case Bars():
            axes.bars(spot, panel)
        case Curves():
            axes.curves(spot, panel)
        case Holds():
            axes.holds(spot, panel)


def _height(panel: Panel) -> float:
    match panel:
        case Bars():
            return ROW * len(panel.bars)
        case Curves():
            return CURVES
        case Holds():
            return ROW * 2 * len(panel.rows)


def _around(panel: Panel) -> float:
    """What stands above and below it."""
    legend = LINE * math.ceil(len(panel.curves) / axes.LEGEND_COLUMNS) if isinstance(panel, Curves) else 0
    return FRAME + LINE * (len(axes.lines(panel.title)) - 1) + legend


def _rows(panel: Panel) -> Sequence[Bar | Curve | Held]:
    return panel.bars if isinstance(panel, Bars) else panel.curves if isinstance(panel, Curves) else panel.rows


def _names(panels: Sequence[Panel]) -> list[str]:
    return [row.name for panel in panels for row in _rows(panel)]


def _where(machine: dict[str, object]) -> str:
    cores = f"{machine['processors']} processors" if "processors" in machine else ""
    return ", ".join(filter(None, (str(machine.get("processor", "")), cores, str(machine.get("kernel", "")))))
