"""Results in files and on paper: read back as they were written, refused when bad, readable where they are shown."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from kit.bench_results import FLOOR, MACHINE, OURS, PEER, everything, series, starts
from rich.console import Console
from tmprun_bench.cases import CASES
from tmprun_bench.corpora.images import Packing
from tmprun_bench.errors import BenchError
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.installation import installed
from tmprun_bench.measure.results import Result
from tmprun_bench.measure.summary import Estimate
from tmprun_bench.measure.workspace import workspace
from tmprun_bench.report import baseline, claims, pages, report, sides, stored
from tmprun_bench.report.quantities import duration, limits, rate, size, span

LIMITED = ("extract", "index-compile", "bundle-limit", "first-start", "warm-start")
RUNS = Path(__file__).parents[3] / "bench" / "runs"


def kept(tmp_path: Path, *results: Result, name: str = "results.json") -> Path:
    path = tmp_path / name
    path.write_text(stored.as_json(results, MACHINE))
    return path


def shown(results: list[Result], width: int) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    for result in results:
        report.show(result, console)
    report.show_end(results, console)
    return console.export_text()


def changed(path: Path, change: Callable[[Any], object]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    results = [everything(), starts()]
    assert stored.load(kept(tmp_path, *results)) == (results, MACHINE)


def test_other_versions_may_know_more_or_less(tmp_path: Path) -> None:
    path = kept(tmp_path, starts())

    def other(data: Any) -> None:
        del data["results"][0]["unmeasured"], data["results"][0]["sizes"]
        data["results"][0]["colour"] = "blue"
        data["results"][0]["series"][OURS]["temperature"] = 40

    changed(path, other)
    (result,), _ = stored.load(path)
    assert result.series == starts().series
    assert result.unmeasured == {}


def only_series(data: Any) -> Any:
    return data["results"][0]["series"][OURS]


def bad_changes() -> Iterator[Any]:
    yield pytest.param(lambda data: data.update(format=2), "has format 2; this tmprun reads format 1", id="format")
    yield pytest.param(lambda data: data.pop("kind"), "was not made by tmprun bench", id="foreign")
    yield pytest.param(lambda data: data.update(kind=["x"]), "was not made by tmprun bench", id="kind")
    yield pytest.param(lambda data: data.update(kind=stored.BASELINE), "is what --save-baseline writes", id="baseline")
    yield pytest.param(lambda data: data.update(results={}), "results is {}, not a JSON array", id="results")
    yield pytest.param(lambda data: data.pop("machine"), "machine is None", id="no machine")
    yield pytest.param(lambda data: data["results"][0].pop("case"), "results[0] has no case", id="no case")
    yield pytest.param(lambda data: only_series(data).update(seconds=["1"]), "seconds[0] is '1', not float", id="text")
    yield pytest.param(lambda data: only_series(data).update(seconds=[True]), "seconds[0] is True", id="bool")
    yield pytest.param(lambda data: only_series(data).update(seconds=[float("nan")]), "is not finite", id="nan")
    yield pytest.param(lambda data: only_series(data).update(seconds=[]), "is empty or incomplete", id="no runs")
    yield pytest.param(
        lambda data: data["results"][0]["comparisons"][0]["estimate"].update(interval=[1.0]),
        "interval has 1 values, not 2", id="interval",
    )  # fmt: skip
    yield pytest.param(
        lambda data: data["results"][0]["amounts"].update(nobody={"quantity": 1, "unit": "reads"}),
        "has no series 'nobody'", id="amount",
    )  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), list(bad_changes()))
def test_bad_reports_are_refused_in_one_line(tmp_path: Path, change: Callable[[Any], object], reason: str) -> None:
    path = kept(tmp_path, starts())
    changed(path, change)
    with pytest.raises(BenchError) as raised:
        stored.load(path)
    assert reason in str(raised.value)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{", b"[" * 200_000, b"[]", b"3"])
def test_what_is_no_report_at_all(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(BenchError, match=r"is not JSON|was not made by"):
        stored.load(path)


def test_a_report_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="No such file"):
        stored.load(tmp_path / "nothing.json")
    with pytest.raises(BenchError, match="Is a directory"):
        stored.load(tmp_path)


def test_of_two_reports_the_later_one_has_the_last_word() -> None:
    old, new, other = starts(0.05), starts(0.07), starts(case="other")
    results, machine = stored.merged([([old, other], MACHINE), ([new], MACHINE)])
    assert results == [new, other]
    assert machine == MACHINE
    assert not any("elsewhere" in note for result in results for note in result.notes)


def test_results_of_another_machine_say_so() -> None:
    elsewhere = MACHINE | {"processors": 64, "tmprun": "tmprun 0.2", "versions": {"squashfuse": "1", "tar": "1.34"}}
    results, machine = stored.merged([([starts(case="first")], elsewhere), ([starts(case="second")], MACHINE)])
    assert machine == MACHINE
    assert results[0].notes[-1] == "measured elsewhere: processors 64, not 4; squashfuse 1, not 0.1.105"
    assert not any("elsewhere" in note for note in results[1].notes)


def test_the_machine_is_the_one_that_most_cases_are_from() -> None:
    elsewhere = MACHINE | {"processors": 64}
    most = [starts(case="first"), starts(case="second"), starts(case="third")]
    results, machine = stored.merged([(most, MACHINE), ([starts(case="third")], elsewhere)])
    assert machine == MACHINE
    assert [any("elsewhere" in note for note in result.notes) for result in results] == [False, False, True]


@pytest.mark.parametrize("width", [80, 150])
def test_tables_fit_and_numbers_stay_whole(width: int) -> None:
    text = shown([everything(), starts(case="gated-libreoffice")], width)
    assert max(map(len, text.splitlines())) <= width
    for whole in ("50.0 ms", "0.50 x", "100,000 reads/s", "64.0 MB", "51.0 MB", "a [note] with | and *"):
        assert whole in text, whole
    assert "SKIPPED squashfuse: squashfuse not installed" in text
    assert ("0.75 / 0.62 x" in text) == (width == 80)


def test_quantities_have_three_digits_and_one_unit() -> None:
    assert [duration(x) for x in (0.0000123, 0.00178, 0.0123, 0.123, 1.23, 0)] == [
        "0.0123 ms", "1.78 ms", "12.3 ms", "123 ms", "1.23 s", "0 ms",
    ]  # fmt: skip
    assert [size(x) for x in (0, 999, 1500, 123_456_789, 2e9)] == ["0 B", "999 B", "1.50 kB", "123 MB", "2.00 GB"]
    assert span((0.01, 0.02), "s") == "10.0 .. 20.0 ms"
    assert span((0.9, 1.1), "s") == "900 ms .. 1.10 s"
    assert limits(0.6, None, "x") == "0.60 x"
    assert rate(1000, "reads", 0.5) == "2,000 reads/s"


def test_a_claim_is_held_against_its_comparison() -> None:
    result = starts(0.07, case="gated-libreoffice")
    row = next(row for row in claims.held([result]) if row.claim.what == "against a mount")
    assert (row.verdict, row.mount) == ("kept", PEER)
    assert claims.cells(row)[1:4] == ("0.75 x", "0.62 x", "0.70 x")
    assert {row.verdict for row in claims.held([starts(0.05, case="gated-libreoffice")])} >= {"reached", "not measured"}
    assert "missed" in {row.verdict for row in claims.held([starts(0.08, case="gated-libreoffice")])}
    # What the tree on tmpfs is compared with has the mount beside it.
    floor = next(row for row in claims.held([result]) if row.claim.what == "against the tree on tmpfs" and row.found)
    assert floor.beside is not None
    assert floor.beside.value == pytest.approx(0.7)


def test_a_claim_about_several_peers_has_a_row_for_each() -> None:
    result = starts(case="gated-sparse")
    result.series["squashfuse"] = series("squashfuse", 0.2)
    for peer in (PEER, "squashfuse"):
        result.compare(f"against {peer} and the same reads", OURS, peer)
    rows = [row for row in claims.held([result]) if row.found]
    assert [row.claim.text.rpartition(": ")[2] for row in rows] == [PEER, "squashfuse"]
    assert [claims.cells(row)[-1] for row in rows] == [f"0.50 x {PEER}", "0.25 x squashfuse"]


def test_what_was_not_run_is_shown_as_such() -> None:
    rows = claims.held([])
    assert len(rows) == len(claims.CLAIMS)
    assert {row.verdict for row in rows} == {"not measured"}
    assert claims.cells(rows[0])[3:] == ("-", "-", "not measured", "-")


def test_every_claim_points_to_a_case_and_has_its_limits() -> None:
    assert {claim.case for claim in claims.CLAIMS} <= set(CASES)
    must = {case: {claim.must for claim in claims.CLAIMS if claim.case == case} for case in CASES}
    # By the modules' names: those of the functions are the same, and hide them.
    modules = {name: import_module(f"tmprun_bench.cases.{name.replace('-', '_')}") for name in must if name in LIMITED}
    assert must["extract"] == set(modules["extract"].LIMITS.values())
    assert must["index-compile"] == {limit for limit, _ in modules["index-compile"].LIMITS.values()}
    assert must["bundle-limit"] == {modules["bundle-limit"].MUST}
    assert must["first-start"] == {modules["first-start"].LIMIT, modules["first-start"].LARGE_LIMIT}
    assert must["warm-start"] == {modules["warm-start"].OWN_LIMIT, modules["warm-start"].DOOR_LIMIT}


def test_a_real_case_from_its_measurement_to_its_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # This process must stay in its mount namespace: later tests mount, and look who else sees it.
    monkeypatch.setattr("tmprun_bench.measure.workspace._own_namespace", lambda: False)
    with workspace(Path("/dev/shm"), touch=1 << 20) as work:
        result = CASES["warm-start"](Context(work, Packing(), installed(None, work.root), runs=6))
    (again,), _ = stored.load(kept(tmp_path, result))
    assert again == result
    measured = [row for row in claims.held([again]) if row.found]
    assert [row.claim.case for row in measured] == ["warm-start"] * 3
    assert {sides.side(name) for name in again.series} <= {"ours", "floor", "mount", "other"}
    assert claims.losses([again]) == [loss for loss in claims.losses([again]) if loss.theirs not in sides.FLOORS]


def test_where_we_lose_names_peers_only_the_worst_first() -> None:
    bad, worse = starts(0.12, case="bad"), starts(0.2, case="worse")
    worse.compare("a floor with a peer, and a peer with a floor", FLOOR, PEER)
    worse.compare("peers", PEER, FLOOR)
    bad.series["unsquashfs, then run"] = series("unsquashfs, then run", 9)
    bad.compare("a slow peer", "unsquashfs, then run", PEER)
    lost = claims.losses([bad, starts(0.05), worse])
    assert [(loss.case, loss.theirs) for loss in lost] == [("worse", PEER), ("bad", PEER)]
    noisy = Result("noisy", "Noisy", series=bad.series)
    noisy.compare("about the same", OURS, PEER)
    noisy.comparisons[0] = noisy.comparisons[0].__class__("about the same", OURS, PEER, Estimate(1.05, (0.9, 1.2)), "x")
    (loss,) = claims.losses([noisy])
    assert claims.loss_cells(loss)[-1] == "0.90 .. 1.20 x (within noise)"


def test_sides_by_name() -> None:
    assert sides.side(OURS) == "ours"
    assert sides.side("tmprun foreign, first ever") == "ours"
    assert sides.side(FLOOR) == "floor"
    assert sides.side(PEER) == sides.side("own runtime, FUSE") == "mount"
    for mount in (
        "kernel squashfs, loop mount",
        "kernel erofs, loop mount",
        "erofsfuse",
        "squashfuse_ll, several threads",
    ):
        assert sides.side(mount) == "mount"
    assert sides.side("tar --zstd, then run") == sides.side("unsquashfs to disk, then run") == "other"
    assert sides.side("unsquashfs, then run") == sides.side("own runtime, extract and run") == "other"


def test_the_page_begins_with_promises_and_keeps_its_cells() -> None:
    result = everything()
    promised = starts(case="gated-libreoffice")
    result.skipped["odd | one"] = "two\nlines"
    page = pages.markdown([result, promised], MACHINE)
    assert page.index("## What was promised") < page.index("## Where we lose") < page.index("Case `everything`")
    assert "**Skipped**: odd \\| one: two lines" in page
    tables = [line for line in page.splitlines() if line.startswith("|")]
    for head, line in itertools.pairwise(tables):
        if set(line) == {"|", " ", "-"} and "---" in line:
            assert head.count(" | ") == line.count("| ---") - 1


def test_a_brief_page_is_short() -> None:
    results = [starts(case=f"case {number}") for number in range(20)]
    page = pages.markdown(results, MACHINE, brief=True)
    assert "promised" not in page
    assert page.count("| --- |") <= 20 * 9
    assert len(page) < 20_000


def test_committed_runs_can_be_read_and_hold_every_claim() -> None:
    for path in RUNS.glob("*.json"):
        results, machine = stored.load(path)
        assert machine["processor"], path
        unmeasured = [row.claim.text for row in claims.held(results) if row.found is None]
        assert not unmeasured, path
    assert baseline.ratios([starts()])
