"""`tmprun bench`: what was asked for, measured, shown, written, and held against its limits.

Whatever ends it, Ctrl-C or a reader that has seen enough included, ends what it has started and takes away what it has
mounted and written: an exception goes through all contexts.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console

from tmprun.cli.output import say
from tmprun_bench import pictures, subjects
from tmprun_bench.cases import CASES, Case, summary_of
from tmprun_bench.corpora import catalogue, images
from tmprun_bench.corpora.cache import describe
from tmprun_bench.errors import BenchError
from tmprun_bench.measure import machine
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import Conditions, under
from tmprun_bench.measure.installation import installed
from tmprun_bench.measure.results import Result
from tmprun_bench.measure.timer import Step
from tmprun_bench.measure.workspace import TOUCHED, Workspace, file_system, workspace
from tmprun_bench.own import app as own_app
from tmprun_bench.report import baseline, junit, limits, report, stored
from tmprun_bench.report.stored import Report
from tmprun_bench.subjects.disk import on_disk

EXCEEDED = 1
FOR_CI = "ci"
WIDTH = 150  # of tables that go to no terminal
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LEAST_TOUCHED = 256 << 20
TREES = 8  # of an app of which memory is touched beforehand


@dataclass(frozen=True)
class Request:
    """The command line; tmprun/cli/bench.py says what each option is."""

    image: Path | None
    arguments: tuple[str, ...]
    cases: tuple[str, ...]
    listing: bool
    make: tuple[str, ...]
    ci: bool
    earlier: tuple[Path, ...]
    runs: int | None
    memory: bool
    drop_caches: bool
    level: int | None
    block: str
    timeout: float | None
    work: Path | None
    door: Path | None
    json: Path | None
    markdown: Path | None
    junit: Path | None
    picture: Path | None
    draw: tuple[str, ...]
    save_baseline: Path | None
    baseline: Path | None
    fail_if: tuple[str, ...]
    strict: bool

    @property
    def outputs(self) -> list[Path]:
        """The files that will be written."""
        named = (self.json, self.markdown, self.junit, self.picture, self.save_baseline)
        return [path for path in named if path is not None]


class Output(Console):
    """Tables on stdout."""

    def on_broken_pipe(self) -> None:
        """Let it be known, instead of ending here."""
        raise


def run(request: Request) -> int:
    """Do it; returns the exit status, 1 when a limit is exceeded. BenchError when it cannot be done, WrongAnswer."""
    with _ended_in_order():
        if request.listing:
            say(_list())
        elif request.make:
            _make(request)
        else:
            return _report(request)
    return 0


def _report(request: Request) -> int:
    _check(request)
    allowed = limits.parse_all(request.fail_if, with_baseline=request.baseline is not None)
    before = baseline.load(request.baseline) if request.baseline else None
    out = Output(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH)
    reports = [stored.load(path) for path in request.earlier]
    for results, _ in reports:
        for result in results:
            report.show(result, out)
    if request.image or request.ci or request.cases:
        reports.append(_measured(request, out))
    results, where = stored.merged(reports)
    report.show_end(results, out)
    if request.json:
        request.json.write_text(stored.as_json(results, where))
    if request.save_baseline:
        request.save_baseline.write_text(baseline.as_json(results, where))
    if request.picture:
        pictures.draw(_drawn(results, request.draw), where, request.picture)
    if before:
        for line in before.apart(where):
            _warn(f"the baseline was made elsewhere: {line}")
    checks = limits.judge(allowed, results, before)
    report.show_checks(checks, out)
    if request.markdown:
        request.markdown.write_text(report.markdown(results, where, checks, brief=request.ci))
    if request.junit:
        request.junit.write_text(junit.as_xml(results, checks, strict=request.strict))
    missed = any(comparison.verdict == "missed" for result in results for comparison in result.comparisons)
    return EXCEEDED if limits.any_exceeded(checks) or (request.strict and missed) else 0


def _drawn(results: Sequence[Result], names: Sequence[str]) -> list[Result]:
    """Those that were asked for, in that order, or all."""
    there = {result.case: result for result in results}
    absent = [name for name in names if name not in there]
    if absent:
        raise BenchError(f"--draw {absent[0]}: there are no results of such a case")
    return [there[name] for name in names or there]


def _check(request: Request) -> None:
    """Whatever would be found out only after everything was measured."""
    for path in request.outputs:
        if path.is_dir() or not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
            raise BenchError(f"{path} cannot be written")
    if request.draw and not request.picture:
        raise BenchError("--draw says what the picture shows; name one with --picture")
    if request.picture:
        pictures.must_be_drawable(request.picture)
    if request.drop_caches and machine.cannot_drop_caches():
        raise BenchError(f"--drop-caches: {machine.cannot_drop_caches()}")


def _cases(request: Request) -> dict[str, Case]:
    names = [FOR_CI] if request.ci else []
    names += CASES if "all" in request.cases else request.cases
    unknown = [name for name in names if name not in CASES]
    if unknown:
        raise BenchError(f"there is no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    return {name: CASES[name] for name in names}


def _measured(request: Request, out: Console) -> Report:
    cases = _cases(request)
    given = own_app.look(request.image, request.arguments) if request.image else None
    touch = TOUCHED if set(cases) - {FOR_CI} else LEAST_TOUCHED
    if given:
        touch += TREES * given.contents.content_size
    results: list[Result] = []
    _warn(machine.busy())  # asked before there is any load of ours
    with workspace(request.work, touch=touch) as space:
        door = installed(request.door, space.root)
        facts = machine.describe(door, space, on_disk(), cold=request.drop_caches)
        if file_system(space.root) != "tmpfs":
            _warn(f"{space.root.parent} is on {file_system(space.root)}, not on a tmpfs: everything is written there")
        packing = _packing(request, given)
        facts |= {"level": packing.level, "block": packing.block, **subjects.facts()}
        context = Context(space, packing, door, request.runs, request.memory)
        before = (_drop_caches(space),) if request.drop_caches else ()
        for name, case in cases.items():
            with under(Conditions(request.timeout or Conditions.timeout, before)):
                results.append(_one(name, partial(case, context), out))
            if request.json:  # what is there is kept, whatever ends the cases that follow
                request.json.write_text(stored.as_json(results, facts))
        if given:
            limit = request.timeout or own_app.TIMEOUT
            with under(Conditions(limit, before)):
                results.append(_one(given.path.name, partial(own_app.measured, context, given, limit), out))
    return results, facts


def _one(name: str, measure: Callable[[], Result], out: Console) -> Result:
    if sys.stderr.isatty():
        sys.stderr.write(f"measuring {name}\n")
    result = measure()
    report.show(result, out)
    return result


def _packing(request: Request, given: own_app.Given | None) -> images.Packing:
    """A bundle's own level goes for the images that are made of it."""
    usual = images.Packing()
    own = given.level if given else None
    return images.Packing(request.level or own or usual.level, request.block)


def _drop_caches(space: Workspace) -> Step:
    """What is written goes to the disk first: only clean pages are dropped, and those of a tmpfs never."""
    return space.step("sh", "-c", f"sync && echo 3 >{machine.DROP_CACHES}")


def _list() -> Iterator[str]:
    yield "Cases (--case NAME):"
    yield from (f"  {name:20} {summary_of(case)}" for name, case in CASES.items())
    yield "What they run (made when first needed, or by --make NAME):"
    yield from (f"  {name:20} {app.title}" for name, app in catalogue.all_apps().items())


def _make(request: Request) -> None:
    packing = _packing(request, None)
    for name in catalogue.all_apps() if "all" in request.make else request.make:
        one = catalogue.named(name)
        facts = describe(one.appdir)
        say([f"{name}: {', '.join(f'{count:,} {what}' for what, count in facts.items())}"])
        made = (images.type2(one, packing), images.bundled(one, packing))
        say(f"  {path.name}: {path.stat().st_size:,} bytes" for path in made)


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Signals that end us become exceptions, once: what they clean up shall not be interrupted. So does the end of
    whoever reads our stdout, which otherwise is a signal that nothing outlives."""
    former = {number: signal.signal(number, _end) for number in ENDING}
    former[signal.SIGPIPE] = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        yield
    except BrokenPipeError:
        raise SystemExit(128 + signal.SIGPIPE) from None
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _warn(text: str) -> None:
    if text:
        Console(stderr=True, soft_wrap=True).print(text, style="bold yellow", markup=False, highlight=False)
