"""Limits for CI: ratios against a baseline, what cannot be compared, and how a job is told."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer
import yaml
from kit.bench_results import MACHINE, OURS, PEER, series, starts
from tmprun_bench.cases import CASES
from tmprun_bench.errors import BenchError
from tmprun_bench.measure.harness import Measurement
from tmprun_bench.measure.results import Result
from tmprun_bench.report import baseline, junit, limits, pages, stored
from tmprun_bench.report.baseline import Baseline
from tmprun_bench.report.limits import Check

from tmprun.cli.app import application

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLES = ("github-actions.yml", "gitlab-ci.yml")


def before(*results: Result) -> Baseline:
    return Baseline(MACHINE, baseline.ratios(results or [starts()]))


def judged(text: str, result: Result, found: Baseline | None = None) -> Check:
    (check,) = limits.judge([limits.parse(text)], [result], found)
    return check


@pytest.mark.parametrize(
    ("text", "metric", "itself", "sign", "bound", "optional"),
    [
        ("warm_start>1.10", "warm_start", False, ">", 1.1, False),
        (" extract <= 2 ", "extract", False, "<=", 2.0, False),
        ("x.ratio>=.5?", "x", True, ">=", 0.5, True),
        ("mount_start<1 ?", "mount_start", False, "<", 1.0, True),
    ],
)
def test_expressions(text: str, metric: str, itself: bool, sign: str, bound: float, optional: bool) -> None:
    limit = limits.parse(text)
    assert (limit.metric, limit.itself, limit.operator, limit.bound) == (metric, itself, sign, bound)
    assert limit.optional == optional


@pytest.mark.parametrize(
    "text",
    ["", "warm_start", "warm_start=1", "warm_start>", ">1", "a.time>1", "a>1!", "a>-1", "a>nan", "a>1 b>1", "a>>1"],
)
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(BenchError, match="write METRIC>NUMBER"):
        limits.parse(text)


def test_a_comparison_needs_something_to_compare_with_before_anything_is_measured() -> None:
    with pytest.raises(BenchError, match=r"give --baseline FILE, or write warm_start\.ratio"):
        limits.parse_all(["x.ratio>1", "warm_start>1.10"], with_baseline=False)
    assert len(limits.parse_all(["x.ratio>1", "warm_start>1.10"], with_baseline=True)) == 2
    assert limits.parse_all(["x.ratio>1"], with_baseline=False)


def test_only_the_ratio_to_the_peer_counts() -> None:
    """Ten times slower, but as everything is: no regression. Faster, but the peer got faster still: one."""
    assert judged("cold_start>1.10", starts(0.5, 1.0), before()).verdict == "kept"
    check = judged("cold_start>1.10", starts(0.04, 0.05), before())
    assert check.verdict == "exceeded"
    assert check.value is not None
    assert check.value.value == pytest.approx(1.6)
    assert "EXCEEDED, 1.60 times as much" in check.text
    assert limits.any_exceeded([check])


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("cold_start.ratio>0.5", "kept"),
        ("cold_start.ratio>=0.5", "exceeded"),
        ("cold_start.ratio<0.5", "kept"),
        ("cold_start.ratio<=0.5", "exceeded"),
        ("cold_start>1.0", "kept"),
        ("cold_start>=1.0", "exceeded"),
    ],
)
def test_operators_at_the_limit_itself(text: str, verdict: str) -> None:
    assert judged(text, starts(0.05, 0.1), before()).verdict == verdict


def test_the_median_decides_and_doubt_is_said() -> None:
    def noisy(ours: float) -> Result:
        result = Result("ci", "Noisy")
        wide = tuple(0.4 + 0.17 * step for step in range(8))
        runs = {OURS: series(OURS, ours, spread=wide), PEER: series(PEER, 0.1, spread=wide[::-1])}
        result.add(Measurement(runs, {}))
        result.compare("against a mount", OURS, PEER, metric="cold_start")
        return result

    above, below = (judged("cold_start.ratio>1", noisy(ours)) for ours in (0.105, 0.095))
    assert (above.verdict, below.verdict) == ("exceeded", "kept")
    assert above.noise
    assert below.noise
    assert "within noise" in above.text
    clear = judged("cold_start.ratio>1", starts(0.3, 0.1))
    assert clear.verdict == "exceeded"
    assert not clear.noise


def test_the_interval_reaches_as_far_as_both_runs_allow() -> None:
    check = judged("cold_start>1.10", starts(), before())
    assert check.now is not None
    assert check.now.interval is not None
    assert check.value is not None
    assert check.value.interval is not None
    low, high = check.now.interval
    assert check.value.interval == pytest.approx((low / high, high / low))


def test_without_enough_runs_there_is_no_interval() -> None:
    few = Result("ci", "Few", series={OURS: series(OURS, 1, spread=(1.0,)), PEER: series(PEER, 2, spread=(1.0,))})
    few.compare("against a mount", OURS, PEER, metric="cold_start")
    assert "too few runs" in judged("cold_start>1.10", few, before()).text


def unusable() -> Result:
    result = starts()
    result.compare("above", OURS, PEER, unit="s", metric="above")
    result.compare("alone", OURS, "", unit="s", metric="alone")
    return result


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("typo.ratio>1", "no metric typo was measured; there are cold_start"),
        ("mount_start.ratio>1", "squashfuse was skipped (squashfuse not installed)"),
        ("above.ratio>1", "above is no ratio to a peer"),
        ("alone>1", "alone is no ratio to a peer"),
    ],
)
def test_a_limit_that_cannot_be_checked_is_an_error_or_a_loud_note(text: str, reason: str) -> None:
    with pytest.raises(BenchError) as raised:
        judged(text, unusable(), before())
    assert reason in str(raised.value)
    check = judged(f"{text}?", unusable(), before())
    assert check.verdict == "not measured"
    assert reason in check.text
    assert "NOT CHECKED" in check.text
    assert not limits.any_exceeded([check])


def test_what_the_baseline_does_not_have() -> None:
    new = starts(metric="new_metric")
    with pytest.raises(BenchError, match="the baseline has no new_metric; make a new one"):
        judged("new_metric>1.10", new, before())
    assert judged("new_metric>1.10?", new, before()).verdict == "not measured"


def test_a_baseline_of_other_subjects_is_no_baseline() -> None:
    other = starts()
    other.series["squashfuse"] = series("squashfuse", 0.2)
    other.comparisons.clear()
    other.compare("against a mount", OURS, "squashfuse", metric="cold_start")
    with pytest.raises(BenchError, match=r"with 'squashfuse_ll'.*; make a new one"):
        judged("cold_start>1.10?", starts(), Baseline(MACHINE, baseline.ratios([other])))


def test_a_metric_that_was_measured_twice_is_ambiguous() -> None:
    with pytest.raises(BenchError, match="more than once, in ci and other"):
        limits.judge([limits.parse("cold_start.ratio>1")], [starts(), starts(case="other")])


def test_a_baseline_comes_back_from_its_file_and_has_no_times(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(baseline.as_json([unusable()], MACHINE))
    found = baseline.load(path)
    assert found == Baseline(MACHINE, baseline.ratios([starts()]))
    assert [ratio.metric for ratio in found.ratios] == ["cold_start"]
    assert "seconds" not in path.read_text()
    assert found.apart(MACHINE) == []
    assert found.apart(MACHINE | {"processors": 2}) == ["processors 4, not 2"]


def test_bad_baselines_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(stored.as_json([starts()], MACHINE))
    with pytest.raises(BenchError, match=r"is what --json writes; needed is what --save-baseline writes"):
        baseline.load(path)
    text = baseline.as_json([starts()], MACHINE)
    for old, new, reason in (
        ('"value": 0.5', '"value": 0', "is not above 0"),
        ('"value": 0.5', '"value": "0.5"', "is '0.5', not float"),
        ('"metric"', '"matrix"', "has no metric"),
        ('"format": 1', '"format": 9', "has format 9"),
    ):
        assert old in text
        path.write_text(text.replace(old, new))
        with pytest.raises(BenchError) as raised:
            baseline.load(path)
        assert reason in str(raised.value)
        assert "\n" not in str(raised.value)


def test_no_baseline_is_made_of_nothing() -> None:
    with pytest.raises(BenchError, match="no metric was measured"):
        baseline.as_json([starts(metric="")], MACHINE)


def suite(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def all_checks() -> list[Check]:
    texts = ("cold_start.ratio>0.1", "cold_start.ratio>9", "typo.ratio>1?")
    return limits.judge([limits.parse(text) for text in texts], [starts(0.09)])


def test_junit() -> None:
    found = suite(junit.as_xml([starts(0.09)], all_checks()))
    assert (found.get("tests"), found.get("failures"), found.get("skipped")) == ("5", "1", "2")
    cases = {(case.get("classname"), case.get("name")): case for case in found}
    failure = cases["fail-if", "cold_start.ratio>0.1"].find("failure")
    assert failure is not None
    assert "EXCEEDED" in failure.get("message", "")
    assert cases["fail-if", "typo.ratio>1?"].find("skipped") is not None
    assert cases["fail-if", "cold_start.ratio>9"].find("failure") is None
    skipped = cases["ci", "squashfuse"].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "squashfuse not installed"


def test_junit_fails_for_a_missed_limit_only_where_the_command_does() -> None:
    missed = starts(0.09)
    assert missed.comparisons[0].verdict == "missed"
    assert suite(junit.as_xml([missed])).get("failures") == "0"
    assert suite(junit.as_xml([missed], strict=True)).get("failures") == "1"


def test_junit_holds_any_text() -> None:
    result = starts()
    result.skipped["<&\"\0\x1b\ud800'"] = "said \x07 ]]> & left"
    name = suite(junit.as_xml([result]).encode().decode())[-1].get("name")
    assert name == "<&\"???'"


def test_a_brief_page_has_the_checks_first() -> None:
    page = pages.markdown([starts(0.09)], MACHINE, all_checks(), brief=True)
    assert page.index("## Checks") < page.index("EXCEEDED") < page.index("## Starts of an app")
    assert page.count("| --- |") and len(page) < 5000
    rows = [line for line in page.splitlines() if line.startswith("| cold_start.ratio>0.1 |")]
    assert rows[0].split(" | ")[1] == "exceeded"


def test_a_baseline_is_small_and_made_for_diffs() -> None:
    text = baseline.as_json([starts()], MACHINE)
    assert len(text.splitlines()) > 10
    assert json.loads(text)["kind"] == stored.BASELINE


def parsed(line: str) -> Any:
    """A `tmprun bench` command line as the command would understand it, its defaults left out."""
    program, verb, *words = shlex.split(line)
    assert (program, verb) == ("tmprun", "bench")
    bench = typer.main.get_command(application()).commands["bench"]  # type: ignore[attr-defined]
    given = bench.make_context("bench", words).params
    limits.parse_all(given["fail_if"] or (), with_baseline=given["baseline"] is not None)
    return given


def metrics_for_ci() -> set[str]:
    case = Path(baseline.__file__).parents[1] / "cases" / "ci.py"
    return set(re.findall(r'metric="(\w+)"', case.read_text()))


def lines(value: object) -> Iterator[str]:
    """Every line of every text in a YAML document."""
    if isinstance(value, str):
        yield from value.splitlines()
    elif isinstance(value, dict):
        yield from lines(list(value.values()))
    elif isinstance(value, list):
        for one in value:
            yield from lines(one)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_yaml_whose_commands_exist(name: str) -> None:
    document = yaml.safe_load((DOCS / "ci" / name).read_text())
    commands = [line for line in lines(document) if line.startswith("tmprun ")]
    assert len(commands) == 2
    for given in map(parsed, commands):
        assert given["ci"]
        assert given["markdown"]
        assert {limits.parse(text).metric for text in given["fail_if"]} <= metrics_for_ci()
    with_fuse, without = ([limits.parse(text) for text in parsed(line)["fail_if"]] for line in commands)
    assert not any(limit.optional for limit in with_fuse)
    assert {limit.metric for limit in without if limit.optional} == {"mount_start"}


def test_commands_on_the_page_exist_and_its_metrics_are_all_there_are() -> None:
    page = (DOCS / "bench-ci.md").read_text()
    commands = [line.strip().partition("  ")[0] for line in page.splitlines() if line.startswith("    tmprun ")]
    assert len(commands) == 4
    assert all(parsed(command) for command in commands)
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == metrics_for_ci()
    for name in EXAMPLES:
        assert f"ci/{name}" in page


def test_the_runs_page_is_right_about_commands_and_code(tmp_path: Path) -> None:
    page = (DOCS.parent / "bench" / "runs" / "README.md").read_text()
    merge, draw = (line.strip() for line in page.splitlines() if line.startswith("    tmprun "))
    assert [*map(Path, parsed(merge)["earlier"])] == [Path("part1.json"), Path("part2.json")]
    assert set(parsed(draw)["draw"]) <= CASES.keys()
    (arguments,) = re.findall(r'make bench ARGS="([^"]*)"', page)
    assert parsed(f"tmprun bench {arguments}")["case"] in (["all"], ("all",))
    result = starts(case="gated-neovim")
    result.series["own runtime, FUSE"] = result.series[PEER]
    path = tmp_path / "NAME.json"
    path.write_text(stored.as_json([result], MACHINE))
    code = page.partition("To compute something yourself:")[2].replace("NAME.json", str(path))
    found: dict[str, Any] = {}
    exec("\n".join(line.strip() for line in code.splitlines()).replace("summary.ratio", "found = summary.ratio"), found)
    assert found["found"].value == pytest.approx(0.5)
