"""The README says what is true: its links lead somewhere, and its numbers are those of the committed run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tmprun_bench import pictures
from tmprun_bench.measure.results import Comparison, Result
from tmprun_bench.measure.summary import summarise
from tmprun_bench.report import stored
from tmprun_bench.report.quantities import quantity

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
RUNS = ROOT / "bench" / "runs"
RUN = RUNS / "2026-11-25-2-cores"
UNITS = {"s": 1.0, "ms": 0.001}

LOW, SEVERAL = "squashfuse_ll", "squashfuse_ll, several threads"
EXTRACT = "own runtime, extract and run"
# The headline's times, in its order.
XZ = ["own runtime, FUSE (xz)", *(f"tmprun foreign (xz), {state}" for state in ("first ever", "cold", "warm"))]
# The table's rows, in its order: the case, and the names of our series and theirs.
ROWS = [
    ("random-reads", "bundle, warm", LOW),
    ("stat-storm", "bundle, warm", LOW),
    ("mounted-tree", "tar: bundle, warm", f"tar: {LOW}"),
    ("gated-neovim", "bundle, cold", "own runtime, FUSE"),
    ("gated-libreoffice", "bundle, cold", LOW),
    ("gated-libreoffice", "bundle, cold", "plain AppDir on tmpfs"),
    ("gated-numpy", "bundle, cold", LOW),
    ("xz-start", XZ[1], XZ[0]),
    ("xz-start", XZ[1], f"{SEVERAL} (xz)"),
    ("first-ever", "neovim: tmprun foreign, first ever", "neovim: own runtime, FUSE"),
    ("first-ever", "libreoffice: tmprun foreign, first ever", "libreoffice: own runtime, FUSE"),
    ("first-start", "many, 105 MB: tmprun foreign, first ever", f"many, 105 MB: {EXTRACT}"),
    ("first-start", "many, 105 MB: tmprun foreign, first ever, eager", f"many, 105 MB: {EXTRACT}"),
    ("extract", "zstd: tmprun @build", "zstd: unsquashfs"),
    ("extract", "zlib: tmprun @build", "zlib: unsquashfs"),
    ("gated-numpy", "bundle, cold", SEVERAL),
    ("parallel-starts", "bundle, cold", SEVERAL),
    ("gated-sparse", "bundle, cold", LOW),
    ("scaling", "100,000 files: bundle, cold", f"100,000 files: {LOW}"),
    ("archives", "libreoffice: tmprun archive, first ever", "libreoffice: tar --zstd, then run"),
    ("first-ever", "scaled-2000: tmprun foreign, first ever", "scaled-2000: own runtime, FUSE"),
    ("memory", "libreoffice: bundle, cold, background", f"libreoffice: {LOW}"),
    ("memory", "neovim: bundle, cold, background", f"neovim: {LOW}"),
    ("memory", "python-numpy: bundle, cold, background", f"python-numpy: {LOW}"),
]


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    return {result.case: result for result in stored.load(RUN.with_suffix(".json"))[0]}


def comparison(result: Result, ours: str, theirs: str) -> Comparison:
    (found,) = (one for one in result.comparisons if (one.ours, one.theirs) == (ours, theirs))
    return found


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target.partition("#")[0]).exists(), target


def test_the_tables_numbers_are_those_of_the_committed_run(results: dict[str, Result]) -> None:
    _, _, table = README.partition("| time, ours / theirs |")
    cells = [line.rsplit("|", 2)[1].strip() for line in table.partition("\n\n")[0].splitlines()[2:]]
    values = [comparison(results[case], ours, theirs).estimate.value for case, ours, theirs in ROWS]
    assert [cell for cell in cells if cell] == [f"{value:.{2 if value < 10 else 0}f}" for value in values]


def test_we_win_above_the_line_and_lose_below_it(results: dict[str, Result]) -> None:
    """But for the tree that lies on tmpfs already, which nobody can be faster than."""
    above, _, below = README.partition("| **where we lose** |")
    lost = below.partition("\n\n")[0].count("\n| ")
    values = [comparison(results[case], ours, theirs).estimate.value for case, ours, theirs in ROWS]
    floors = [theirs == "plain AppDir on tmpfs" for _, _, theirs in ROWS]
    assert "| what |" in above
    assert all(value < 1 or floor for value, floor in zip(values[:-lost], floors[:-lost], strict=True))
    assert all(value > 1 for value in values[-lost:])


def test_the_headlines_times_are_those_of_the_committed_run(results: dict[str, Result]) -> None:
    (headline,) = re.findall(r"^LibreOffice, packed as .*?\n\n", README, re.MULTILINE | re.DOTALL)
    said = [(float(number), UNITS[unit]) for number, unit in re.findall(r"([\d.]+) (s|ms)\b", headline)]
    medians = [summarise(results["xz-start"].series[name].seconds).median for name in XZ]
    expected = ", ".join(quantity(median, "s") for median in medians)
    assert len(said) == len(medians), expected
    for (number, unit), median in zip(said, medians, strict=True):
        assert number * unit == pytest.approx(median, rel=0.02), f"the run says {expected}"


def test_the_picture_is_what_the_documented_command_draws(results: dict[str, Result], tmp_path: Path) -> None:
    """Its words, which an SVG has in comments: curves differ in their last digits from one matplotlib to the next."""
    page = (RUNS / "README.md").read_text()
    chosen = re.findall(r"--draw ([a-z-]+)", page)
    drawn = tmp_path / "picture.svg"
    pictures.draw([results[name] for name in chosen], stored.load(RUN.with_suffix(".json"))[1], drawn)
    words = re.compile(r"<!-- (.*?) -->")
    assert f"]({RUN.with_suffix('.svg').relative_to(ROOT)})" in README
    assert words.findall(RUN.with_suffix(".svg").read_text()) == words.findall(drawn.read_text())
