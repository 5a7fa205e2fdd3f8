"""Results in a file: JSON with every raw number, written, read back, and several such files made one.

    {"format": 1, "kind": "tmprun bench", "machine": {...}, "results": [...]}

Seconds and bytes. Each result is `tmprun_bench.measure.results.Result`, field by field; `verdict` and `summary` in it
are for other programs, and are worked out again when the file is read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tmprun_bench.errors import BenchError
from tmprun_bench.measure import summary
from tmprun_bench.measure.results import Result
from tmprun_bench.report.hydrate import hydrated

FORMAT = 1
REPORT = "tmprun bench"
BASELINE = "tmprun bench baseline"
# What makes times differ, and ratios a little: the machine, and what was measured with beside tmprun itself.
TELLING = ("kernel", "processor", "processors", "page_cache", "level", "block", "versions")

Machine = dict[str, object]
Report = tuple[list[Result], Machine]


def as_json(results: Sequence[Result], machine: Machine) -> str:
    """Everything, raw numbers included."""
    return envelope(REPORT, machine, {"results": [_result_data(result) for result in results]})


def load(path: Path) -> Report:
    """A report that `as_json` made, with the machine it was measured on; BenchError when the file is none."""
    data = opened(path, REPORT)
    try:
        results: list[Result] = hydrated(list[Result], data.get("results"), "results")
        machine: Machine = hydrated(dict[str, object], data.get("machine"), "machine")
        _complete(results)
    except ValueError as error:
        raise BenchError(f"{path} cannot be read: {error}") from None
    return results, machine


def merged(reports: Sequence[Report]) -> Report:
    """One report of several: a case of a later one replaces that of the same name; the machine is the one that most of
    the cases are from, of several such the last one.

    A case that was measured on another machine, or with other versions, says so in its notes.
    """
    cases = {result.case: (result, where) for results, where in reports for result in results}
    measured = [where for _, where in cases.values()]
    machine = max(
        (where for _, where in reversed(reports)),
        key=lambda where: sum(not differences(other, where) for other in measured),
    )
    for result, where in cases.values():
        apart = differences(where, machine)
        if apart:
            result.notes.append(f"measured elsewhere: {'; '.join(apart)}")
    return [result for result, _ in cases.values()], machine


def differences(one: Machine, other: Machine) -> list[str]:
    """What of `one` is not as it is in `other`, of that which tells and both know, each as a few words."""
    mine, theirs = _telling(one), _telling(other)
    unequal = [name for name in mine if name in theirs and mine[name] != theirs[name]]
    return [f"{name.replace('_', ' ')} {mine[name]}, not {theirs[name]}" for name in unequal]


def envelope(kind: str, machine: Machine, content: dict[str, object]) -> str:
    """The text of a file of ours."""
    return json.dumps({"format": FORMAT, "kind": kind, "machine": machine, **content}, indent=1) + "\n"


def opened(path: Path, kind: str) -> dict[str, object]:
    """The data of a file of ours, if it is of this kind and version; else BenchError."""
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise BenchError(f"{path} is not JSON") from None
    found = data.get("kind") if isinstance(data, dict) else None
    if found not in (REPORT, BASELINE):
        raise BenchError(f"{path} was not made by tmprun bench")
    if data.get("format") != FORMAT:
        raise BenchError(f"{path} has format {data.get('format')!r:.20}; this tmprun reads format {FORMAT}")
    if found != kind:
        raise BenchError(f"{path} is {_made_by(found)}; needed is {_made_by(kind)}")
    return dict(data)


def _made_by(kind: str) -> str:
    return "what --json writes" if kind == REPORT else "what --save-baseline writes"


def _complete(results: Sequence[Result]) -> None:
    for result in results:
        for name, series in result.series.items():
            counts = {len(series.seconds), len(series.processor), len(series.helpers_processor)}
            if 0 in counts or len(counts) > 1:
                raise ValueError(f"series {name!r:.60} of {result.case} is empty or incomplete")
        unknown = {*result.amounts, *(point.series for point in result.points)} - result.series.keys()
        if unknown:
            raise ValueError(f"{result.case} has no series {sorted(unknown)[0]!r:.60}")


def _result_data(result: Result) -> dict[str, object]:
    data = asdict(result)
    for comparison, row in zip(result.comparisons, data["comparisons"], strict=True):
        row["verdict"] = comparison.verdict
    for name, series in result.series.items():
        data["series"][name]["summary"] = asdict(summary.summarise(series.seconds))
    return data


def _telling(machine: Machine) -> Machine:
    """Versions as facts of their own."""
    versions = machine.get("versions")
    each = {name: machine[name] for name in TELLING if name in machine and name != "versions"}
    return each | (versions if isinstance(versions, dict) else {})
