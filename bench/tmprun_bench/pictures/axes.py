"""Draws one panel each on matplotlib axes."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from tmprun_bench.pictures import palette
from tmprun_bench.pictures.panels import Bar, Bars, Curve, Curves, Holds
from tmprun_bench.report.quantities import digits, duration, quantity, size
from tmprun_bench.report.sides import Side
from tmprun_bench.report.tables import MEMORY_WORDS

ROOM = 1.32  # of the longest bar, for the number at its end
SMALL = 7.5  # points
TITLE = 56  # characters of a line
LEGEND_COLUMNS = 2
FAR_APART = 100  # times
FEW_DECADES = 50  # times the least value; below that, decades alone are too few ticks


def bars(axes: Axes, panel: Bars) -> None:
    """Medians, the best at the top, with whiskers from quartile to quartile and the number beside it.

    Dots on a logarithmic axis where the best and the worst are too far apart for bars: a bar's length would mean
    nothing there.
    """
    rows, (scale, unit) = range(len(panel.bars)), _scale(panel)
    wide = max(bar.middle for bar in panel.bars) > FAR_APART * min(bar.middle for bar in panel.bars)
    for row, bar in enumerate(panel.bars):
        (_dot if wide else _bar)(axes, row, bar, scale)
        axes.annotate(
            duration(bar.middle) if panel.unit == "s" else f"{quantity(bar.middle, panel.unit)}/s",
            (bar.high / scale, row), (8 if wide else 4, 0), textcoords="offset points", va="center", fontsize=SMALL,
        )  # fmt: skip
    _names(axes, [(bar.name, bar.side) for bar in panel.bars])
    label = f"{unit}, {'less' if panel.unit == 's' else 'more'} is better"
    if wide:
        axes.hlines(rows, 0, [bar.middle / scale for bar in panel.bars], color=palette.LINES, linewidth=0.8, zorder=0)
        axes.set_xscale("log")
        _amounts(axes, f"{label} (logarithmic)")
        if panel.unit == "s":
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(duration(value * scale))))
            axes.set_xlabel("time, less is better (logarithmic)")
        low, high = (end(bar.middle / scale for bar in panel.bars) for end in (min, max))
        axes.set_xlim(low / 2, high * (high / low) ** (ROOM - 1))
    else:
        _amounts(axes, label)
        axes.set_xlim(0, max(bar.high for bar in panel.bars) / scale * ROOM)
    _titled(axes, panel.title)


def _bar(axes: Axes, row: int, bar: Bar, scale: float) -> None:
    axes.barh(
        row, bar.middle / scale, 0.72, color=palette.SIDES[bar.side], xerr=_whiskers(bar, scale), ecolor=palette.TEXT,
        error_kw={"elinewidth": 1, "capsize": 2.2, "capthick": 1},
    )  # fmt: skip


def _dot(axes: Axes, row: int, bar: Bar, scale: float) -> None:
    axes.errorbar(
        bar.middle / scale, row, xerr=_whiskers(bar, scale), color=palette.SIDES[bar.side], marker="o", markersize=8,
        ecolor=palette.TEXT, elinewidth=1, capsize=2.2,
    )  # fmt: skip


def _whiskers(bar: Bar, scale: float) -> list[list[float]]:
    return [[(bar.middle - bar.low) / scale], [(bar.high - bar.middle) / scale]]


def curves(axes: Axes, panel: Curves) -> None:
    """Times by how much there is, both axes logarithmic; the legend in the order of the curves' right ends."""
    for curve in panel.curves:
        # By name, so that the same subjects look the same in the next panel, too.
        alike = sorted(other.name for other in panel.curves if other.side == curve.side)
        _curve(axes, curve, alike.index(curve.name))
    axes.set_xscale("log")
    axes.set_yscale("log")
    _decades(axes, size if panel.axis == "bytes" else _count)
    axes.set_xlabel("size of the contents" if panel.axis == "bytes" else panel.axis, fontsize=SMALL)
    axes.set_ylabel("time, less is better", fontsize=SMALL)
    axes.grid(True, which="major", color=palette.LINES, linewidth=0.6)
    axes.legend(
        fontsize=SMALL, frameon=False, ncols=LEGEND_COLUMNS, handlelength=3, loc="upper center",
        bbox_to_anchor=(0.5, -0.14),
    )  # fmt: skip
    _titled(axes, panel.title)


def holds(axes: Axes, panel: Holds) -> None:
    """Bars beside each other, not on top of each other: pages of tmpfs that are mapped count in two of them."""
    kinds = [kind for kind in panel.rows[0].parts if any(row.parts[kind] for row in panel.rows)]
    height = 0.8 / max(1, len(kinds))
    most = max((max(row.parts.values()) for row in panel.rows), default=0) / 1e6 or 1
    for at, kind in enumerate(kinds):
        rows = [row + (at - (len(kinds) - 1) / 2) * height for row in range(len(panel.rows))]
        values = [row.parts[kind] / 1e6 for row in panel.rows]
        colour = palette.MEMORY.get(kind, palette.GREY)
        axes.barh(rows, values, height, color=colour, label=MEMORY_WORDS.get(kind, kind), edgecolor="white", lw=0.4)
        for row, value in zip(rows, values, strict=True):
            text = size(value * 1e6)
            axes.annotate(text, (value, row), (3, 0), textcoords="offset points", va="center", fontsize=SMALL - 0.5)
    _names(axes, [(row.name, row.side) for row in panel.rows])
    _amounts(axes, "MB more than before the run, at most; less is better")
    axes.set_xlim(0, most * ROOM)
    axes.legend(fontsize=SMALL, frameon=False, loc="upper right")
    _titled(axes, panel.title)


def _curve(axes: Axes, curve: Curve, number: int) -> None:
    shades, markers = palette.SHADES[curve.side], palette.MARKERS[curve.side]
    below = [middle - low for middle, low in zip(curve.middles, curve.lows, strict=True)]
    above = [high - middle for middle, high in zip(curve.middles, curve.highs, strict=True)]
    axes.errorbar(
        curve.x, curve.middles, (below, above), label=curve.name, color=shades[number % len(shades)],
        marker=markers[number % len(markers)], markersize=4.5, linewidth=1.6, elinewidth=0.8, capsize=2,
        linestyle="-" if curve.side == "ours" else "--",
    )  # fmt: skip


def _scale(panel: Bars) -> tuple[float, str]:
    """What values are divided by, and the unit that they then have."""
    if panel.unit == "s":
        return (1, "s") if max(bar.middle for bar in panel.bars) >= 1 else (0.001, "ms")
    return (1e6, "MB/s") if panel.unit == "bytes" else (1, f"{panel.unit}/s")


def _names(axes: Axes, names: Sequence[tuple[str, Side]]) -> None:
    axes.set_yticks(range(len(names)), [name for name, _ in names], fontsize=SMALL + 0.5)
    for label, (_, side) in zip(axes.get_yticklabels(), names, strict=True):
        if side == "ours":
            label.set_fontweight("bold")
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def _amounts(axes: Axes, label: str) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(5) if axes.get_xscale() == "linear" else LogLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.set_xlabel(label, fontsize=SMALL)
    axes.tick_params(axis="x", labelsize=SMALL)
    axes.grid(True, axis="x", color=palette.LINES, linewidth=0.6)


def _decades(axes: Axes, shown: Callable[[float], str]) -> None:
    for axis, words in ((axes.xaxis, shown), (axes.yaxis, duration)):
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(subs=(1,) if high > FEW_DECADES * low else (1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _, words=words: _tick(words(value))))
        axis.set_minor_formatter(NullFormatter())
        axis.set_tick_params(labelsize=SMALL)


def _tick(text: str) -> str:
    """`10 ms` for `10.0 ms`: a tick is a round number."""
    number, space, unit = text.partition(" ")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number}{space}{unit}"


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else digits(value)


def lines(title: str) -> list[str]:
    """A title in lines that fit over a panel."""
    return textwrap.wrap(title, TITLE)


def _titled(axes: Axes, title: str) -> None:
    axes.set_title("\n".join(lines(title)), fontsize=9, loc="left", fontweight="bold", color=palette.TEXT)
    axes.set_axisbelow(True)
    for edge in ("top", "right", "left"):
        axes.spines[edge].set_visible(False)
