"""Pictures: a panel for what there is, the same bytes each time, and labels that do not lie on each other."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from kit.bench_results import FLOOR, MACHINE, OURS, PEER, everything, series, starts
from tmprun_bench import extras, pictures
from tmprun_bench.errors import BenchError
from tmprun_bench.measure.results import Result
from tmprun_bench.pictures.panels import Bars, Curves, Holds, planned
from tmprun_bench.pictures.words import explained
from tmprun_bench.report import stored

PNG = b"\x89PNG\r\n\x1a\n"


def test_a_panel_for_what_there_is_and_none_for_what_is_not() -> None:
    assert [type(panel) for panel in planned([starts()])] == [Bars]
    assert [type(panel) for panel in planned([everything()])] == [Bars, Bars, Curves, Holds]
    assert planned([Result("none", "Nothing")]) == []


def test_the_best_first_with_quartiles() -> None:
    times, rates = (panel for panel in planned([everything()]) if isinstance(panel, Bars))
    assert [bar.name for bar in times.bars] == [FLOOR, OURS, PEER]
    assert [bar.side for bar in times.bars] == ["floor", "ours", "mount"]
    assert (times.unit, rates.unit) == ("s", "reads")
    assert [bar.name for bar in rates.bars] == [FLOOR, "bundle, warm", PEER]
    for bar in (*times.bars, *rates.bars):
        assert bar.low < bar.middle < bar.high
    assert rates.bars[0].middle == pytest.approx(20_000 / 0.2)


def test_curves_go_from_small_to_large() -> None:
    (panel,) = (panel for panel in planned([everything()]) if isinstance(panel, Curves))
    assert panel.axis == "files"
    assert [curve.name for curve in panel.curves][:3] == ["unsquashfs, then run", PEER, OURS]
    assert panel.curves[0].x == [10, 1000, 100_000]
    assert panel.curves[0].middles == pytest.approx([0.00409, 0.013, 0.904])


def test_memory_by_kind() -> None:
    (panel,) = (panel for panel in planned([everything()]) if isinstance(panel, Holds))
    assert [row.name for row in panel.rows] == [FLOOR, PEER, "bundle, warm"]
    assert panel.rows[1].parts == {"processes": 9_000_000, "tmpfs": 0, "page_cache": 31_000_000}


def test_svg_is_the_same_each_time_and_has_units(tmp_path: Path) -> None:
    first, second = tmp_path / "first.svg", tmp_path / "second.svg"
    for path in (first, second):
        pictures.draw([everything()], MACHINE, path)
    text = first.read_text()
    assert text == second.read_text()
    assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert "<dc:date>" not in text
    # Text is drawn as shapes; comments hold what it says.
    for words in (
        "ms, less is better",
        "reads/s, more is better",
        "100,000",
        "MB more than before the run",
        "Example 3000",
        OURS,
    ):
        assert words in text, words


def test_png(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    pictures.draw([starts()], MACHINE, path)
    assert path.read_bytes().startswith(PNG)
    assert path.stat().st_size > 10_000


def test_nothing_lies_on_anything_else_or_outside() -> None:
    from tmprun_bench.pictures.figure import drawn

    long = starts(case="long")
    long.title = "A title that is much longer than the panel is wide, so that it has to go on in a second line " * 2
    wide = starts(ours=40, peer=0.0001, case="far apart")
    results = [everything(), starts(), long, wide]
    for result in results:  # names this long make a panel narrow
        name = "tmprun foreign, cold, eager, store on disk"
        result.series[name] = series(name, 0.1)
    figure = drawn(planned(results), MACHINE)
    assert [axes.get_xscale() for axes in figure.get_axes() if axes.axison].count("log") == 2  # a curve, and dots
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    whole = figure.bbox
    for axes in (one for one in figure.get_axes() if one.axison):
        ticks = [tick.label1 for tick in axes.yaxis._update_ticks()]  # those that are drawn
        texts = [*ticks, *axes.texts, axes.title, axes._left_title, axes.xaxis.label]
        legend = axes.get_legend()
        texts += legend.get_texts() if legend else []
        boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts if text.get_text()]
        for words, box in boxes:
            assert whole.x0 <= box.x0 and box.x1 <= whole.x1, f"{words} is cut off"
            assert whole.y0 <= box.y0 and box.y1 <= whole.y1, f"{words} is cut off"
        for (words, box), (others, other) in itertools.combinations(boxes, 2):
            apart = box.x1 <= other.x0 or other.x1 <= box.x0 or box.y1 <= other.y0 + 1 or other.y1 <= box.y0 + 1
            assert apart, f"{words!r} lies on {others!r}"


def test_all_text_can_be_read_on_a_page() -> None:
    """A web page shows a picture about 830 pixels wide."""
    from matplotlib.text import Text
    from tmprun_bench.pictures.figure import WIDTH, drawn

    figure = drawn(planned([everything(), starts(ours=40, peer=0.0001)]), MACHINE)
    figure.draw_without_rendering()
    texts = [one for one in figure.findobj(Text) if isinstance(one, Text) and one.get_text() and one.get_visible()]
    assert len(texts) > 50
    for text in texts:
        assert text.get_fontsize() * 830 / (72 * WIDTH) >= 11, text


def test_no_two_panels_have_the_same_title() -> None:
    committed = Path(__file__).resolve().parents[3] / "bench" / "runs" / "2026-11-25-2-cores.json"
    titles = [panel.title for panel in planned(stored.load(committed)[0])]
    assert sorted(set(titles)) == sorted(titles)
    assert [title for title in titles if title.endswith(("by the number of files", "by size"))]


def test_our_own_words_are_explained_where_they_occur() -> None:
    assert explained(["bundle, cold", "squashfuse_ll"], 60) == [
        "bundle: made by tmprun pack; cold: nothing is unpacked yet"
    ]
    assert len(explained(["bundle, cold"], 30)) == 2
    assert explained(["squashfuse_ll", "forewarmed"], 60) == []


@pytest.mark.parametrize(
    ("name", "reason"), [("x.gif", r"a picture is \.svg or \.png"), ("no/x.svg", "there is no directory")]
)
def test_what_cannot_be_drawn_is_said_at_once(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(BenchError, match=reason):
        pictures.must_be_drawable(tmp_path / name)


def test_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="nothing to draw"):
        pictures.draw([Result("none", "Nothing")], MACHINE, tmp_path / "x.svg")


def test_without_matplotlib_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BenchError, match=r"matplotlib not installed: pip install 'tmprun\[bench\]'"):
        pictures.draw([starts()], MACHINE, tmp_path / "x.svg")
    monkeypatch.undo()
    extras.require("matplotlib", "numpy")
