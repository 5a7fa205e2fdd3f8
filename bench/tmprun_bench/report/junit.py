"""Results as JUnit XML, which GitLab, Jenkins and others show beside a job.

One suite. A test case for each limit of --fail-if, and for each comparison that has a limit of its own; the latter
fails only where the command does, with --strict. Subjects that were not on the machine are skipped tests.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from tmprun_bench.measure.results import Comparison, Result
from tmprun_bench.report.limits import Check
from tmprun_bench.report.quantities import interval, quantity

SUITE = "tmprun bench"
# What XML 1.0 cannot hold, even escaped.
FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_xml(results: Sequence[Result], checks: Sequence[Check] = (), *, strict: bool = False) -> str:
    """The text of a JUnit file."""
    cases = [_check(check) for check in checks]
    for result in results:
        cases += [_limit(result, found, strict) for found in result.comparisons if found.verdict]
        cases += [_skipped(result, name, reason) for name, reason in result.skipped.items()]
    suite = ElementTree.Element("testsuite", name=SUITE, tests=str(len(cases)), errors="0")
    for kind, attribute in (("failure", "failures"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(kind) is not None for case in cases)))
    suite.extend(cases)
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _check(check: Check) -> ElementTree.Element:
    case = _case("fail-if", check.limit.text)
    if check.verdict == "not measured":
        _child(case, "skipped", check.text)
    elif check.verdict == "exceeded":
        _child(case, "failure", check.text)
    else:
        ElementTree.SubElement(case, "system-out").text = _clean(check.text)
    return case


def _limit(result: Result, found: Comparison, strict: bool) -> ElementTree.Element:
    against = f" against {found.theirs}" if found.theirs else ""
    case = _case(result.case, f"{found.what}: {found.ours}{against}")
    if found.ours in result.series:
        case.set("time", f"{sum(result.series[found.ours].seconds):.6f}")
    text = _measured(found)
    if found.verdict == "missed" and strict:
        _child(case, "failure", text)
    else:
        ElementTree.SubElement(case, "system-out").text = _clean(f"{found.verdict}: {text}")
    return case


def _measured(found: Comparison) -> str:
    value, sure = quantity(found.estimate.value, found.unit), interval(found.estimate.interval, found.unit)
    limits = {"must": found.must, "reach": found.reach}
    wanted = ", ".join(f"{name} {quantity(limit, found.unit)}" for name, limit in limits.items() if limit is not None)
    return f"{value} ({sure}); {wanted}"


def _skipped(result: Result, name: str, reason: str) -> ElementTree.Element:
    case = _case(result.case, name)
    _child(case, "skipped", reason)
    return case


def _case(classname: str, name: str) -> ElementTree.Element:
    return ElementTree.Element("testcase", classname=_clean(classname), name=_clean(name))


def _child(case: ElementTree.Element, kind: str, message: str) -> None:
    ElementTree.SubElement(case, kind, message=_clean(message))


def _clean(text: str) -> str:
    return FORBIDDEN.sub("?", text)
