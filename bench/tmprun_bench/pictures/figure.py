"""Puts panels on a page in two columns, and writes it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch

from tmprun_bench.errors import BenchError
from tmprun_bench.pictures import axes, palette
from tmprun_bench.pictures.panels import Bars, Curves, Holds, Panel

WIDTH = 7.0  # inches, of a column
ROW, FRAME = 0.235, 0.85  # inches: a bar, and what is around the bars of a panel
CURVES = 3.2  # inches
LINE = 0.16  # inches, of a title
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
    columns = _columns(panels)
    height = max(sum(map(_height, column)) for column in columns)
    figure = Figure(figsize=(WIDTH * len(columns), height + 0.75), layout="constrained")
    FigureCanvasAgg(figure)
    parts = figure.subfigures(1, len(columns), squeeze=False)[0]
    for part, column in zip(parts, columns, strict=True):
        _fill(part, column, height)
    figure.suptitle(f"tmprun bench: medians, whiskers from quartile to quartile\n{_where(machine)}", fontsize=9)
    there = _sides(panels)
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


def _columns(panels: Sequence[Panel]) -> list[list[Panel]]:
    """Two columns of about the same height, in each the panels in their order."""
    order = list(range(len(panels)))
    tries = [_dealt(panels, order), _dealt(panels, sorted(order, key=lambda at: -_height(panels[at])))]
    return min(tries, key=lambda columns: max(sum(map(_height, column)) for column in columns))


def _dealt(panels: Sequence[Panel], order: Sequence[int]) -> list[list[Panel]]:
    """Each panel goes to the column that is shorter so far."""
    columns: list[list[int]] = [[] for _ in panels[:2]]
    for at in order:
        min(columns, key=lambda column: sum(_height(panels[one]) for one in column)).append(at)
    return [[panels[at] for at in sorted(column)] for column in sorted(columns)]


def _fill(part: SubFigure, column: Sequence[Panel], height: float) -> None:
    """One panel below the other; what remains stays empty, so that bars are equally thick everywhere."""
    heights = [_height(panel) for panel in column]
    rest = height - sum(heights)
    spots = part.subplots(len(heights) + 1, 1, squeeze=False, height_ratios=[*heights, max(rest, 0.001)])[:, 0]
    spots[-1].set_axis_off()
    for spot, panel in zip(spots[:-1], column, strict=True):
        match panel:
            case Bars():
                axes.bars(spot, panel)
            case Curves():
                axes.curves(spot, panel)
            case Holds():
                axes.holds(spot, panel)


def _height(panel: Panel) -> float:
    frame = FRAME + LINE * (len(axes.lines(panel.title)) - 1)
    match panel:
        case Bars():
            return frame + ROW * len(panel.bars)
        case Curves():
            return frame + CURVES + LINE * math.ceil(len(panel.curves) / axes.LEGEND_COLUMNS)
        case Holds():
            return frame + ROW * 2 * len(panel.rows)


def _sides(panels: Sequence[Panel]) -> set[str]:
    return {
        one.side
        for panel in panels
        for one in (
            panel.bars if isinstance(panel, Bars) else panel.curves if isinstance(panel, Curves) else panel.rows
        )
    }


def _where(machine: dict[str, object]) -> str:
    cores = f"{machine['processors']} processors" if "processors" in machine else ""
    return ", ".join(filter(None, (str(machine.get("processor", "")), cores, str(machine.get("kernel", "")))))
