"""Times subjects against each other. It knows processes only: what to start, what must come out, how long it took.

Fairness, as METHODOLOGY.md explains: one round after the other, in each round every subject once, beginning with
another one each time; a first round that proves every subject and counts for none; medians; and no run counts whose
answer is wrong.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from tmprun_bench.errors import Unable, WrongAnswer
from tmprun_bench.measure.memory import Memory, Watch
from tmprun_bench.measure.timer import Command, Run, Step, Timer

SAID_LINES = 3  # of what a failed run has said on stderr: the first, which often has the cause, and the last


@dataclass(frozen=True)
class Subject:
    """A way to do what a case asks for. `once` is done before the first round, `steps` in each.

    `check(output)` raises WrongAnswer unless the answer, the stdout of the step marked so, is right. `reads(output)`
    gives the seconds that count, when a program measures a part of itself. `helpers` is how many processes a run leaves
    behind at the least: a mount that leaves no daemon was none. One that is `alone` leaves none: what it has to do must
    be done when it ends. `absent` says why it cannot run here, or is empty.
    """

    name: str
    steps: tuple[Step, ...]
    check: Callable[[bytes], None]
    once: tuple[Step, ...] = ()
    reads: Callable[[bytes], float] | None = None
    helpers: int = 0
    alone: bool = False
    absent: str = ""


@dataclass
class Series:
    """What one subject's runs took, in the order of the rounds, in seconds; `memory` is of a run of its own."""

    name: str
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    helpers_processor: list[float] = field(default_factory=list)
    memory: Memory | None = None


@dataclass(frozen=True)
class Measurement:
    """All series, by the subject's name; and who was skipped, with the reason."""

    series: dict[str, Series]
    skipped: dict[str, str]


@dataclass(frozen=True)
class Conditions:
    """What holds for all that is measured, whatever the case. `timeout`: seconds after which a run, with what its
    processes leave behind, is ended and wrong. `before`: steps, not timed, right before the first one of each run that
    is timed."""

    timeout: float = 600
    before: tuple[Step, ...] = ()


_CONDITIONS: ContextVar[Conditions] = ContextVar("conditions")


@contextlib.contextmanager
def under(conditions: Conditions) -> Iterator[None]:
    """Within this context all measurements are made under `conditions`."""
    token = _CONDITIONS.set(conditions)
    try:
        yield
    finally:
        _CONDITIONS.reset(token)


def _conditions() -> Conditions:
    return _CONDITIONS.get(Conditions())


def measure(
    subjects: Sequence[Subject],
    rounds: int,
    work: Path,
    *,
    tight: bool = False,
    memory: bool = False,
    may_fail: Collection[str] = (),
) -> Measurement:
    """Time `subjects` in `rounds` rounds; `work` is a directory for the files of the harness.

    `tight`: for starts of less than a millisecond. The timing program then does all rounds by itself, and Python does
    not run in between; every exit status is proven, and the output before the first and after the last round.
    `memory`: one more round in which memory is watched and time is not. `may_fail`: names of subjects which are
    skipped, with the reason, when they are `Unable` to do the first round; a wrong answer of theirs counts as any.
    """
    present = [subject for subject in subjects if not subject.absent]
    skipped = {subject.name: subject.absent for subject in subjects if subject.absent}
    series: dict[str, Series] = {}
    with _timer(present, work) as (timer, outputs):
        jury = _Jury(present, outputs)
        failed = _prepare(timer, jury, may_fail)
        skipped |= {present[number].name: reason for number, reason in failed.items()}
        numbers = [number for number in range(len(present)) if number not in failed]
        series |= {present[number].name: Series(present[number].name) for number in numbers}
        for run in _runs(timer, numbers, rounds, jury, tight):
            _count(series[present[run.command].name], run, jury.seconds(run))
        if memory:
            for number in numbers:
                series[present[number].name].memory = _watched(timer, number, jury, work)
    return Measurement(series, skipped)


@contextlib.contextmanager
def _timer(subjects: Sequence[Subject], work: Path) -> Iterator[tuple[Timer, list[Command]]]:
    """Of n subjects: from 0 on their rounds, from n on what is done once, from 2n on what each round begins with."""
    conditions = _conditions()
    begin = [tuple(itertools.takewhile(lambda step: not step.timed, subject.steps)) for subject in subjects]
    rounds = [(*first, *conditions.before, *s.steps[len(first) :]) for first, s in zip(begin, subjects, strict=True)]
    commands = [
        Command(steps, work / f"{number}.out", work / f"{number}.err")
        for number, steps in enumerate([*rounds, *(s.once for s in subjects), *begin])
    ]
    try:
        with Timer(commands, work / "plan", conditions.timeout) as timer:
            yield timer, commands
    finally:
        for command in commands:
            command.output.unlink(missing_ok=True)
            command.errors.unlink(missing_ok=True)


def _prepare(timer: Timer, jury: _Jury, may_fail: Collection[str]) -> dict[int, str]:
    """What is to be done once, and the round that counts for nobody: it proves the answers and warms the page cache.

    Returns who failed, of those that may, with the reason.
    """
    failed = {}
    for number, subject in enumerate(jury.subjects):
        if subject.once:
            jury.must_succeed(_single(timer, len(jury.subjects) + number))
        try:
            jury.judge(_single(timer, number))
        except Unable as error:
            if subject.name not in may_fail:
                raise
            failed[number] = str(error).removeprefix(f"{subject.name}: ")
    return failed


def _runs(timer: Timer, numbers: Sequence[int], rounds: int, jury: _Jury, tight: bool) -> Iterator[Run]:
    if not numbers:
        return
    if tight:
        for run in timer.run(numbers, rounds):
            jury.must_succeed(run)
            yield run
        for number in numbers:
            jury.judge(_single(timer, number))
        return
    for round_number in range(rounds):
        first = round_number % len(numbers)
        for number in [*numbers[first:], *numbers[:first]]:
            run = _single(timer, number)
            jury.judge(run)
            yield run


def _watched(timer: Timer, number: int, jury: _Jury, work: Path) -> Memory:
    """Memory of one run. What a former one has left is deleted beforehand, lest it hide what this one takes."""
    jury.must_succeed(_single(timer, 2 * len(jury.subjects) + number))
    with Watch(timer.pid, work) as watch:
        jury.judge(_single(timer, number))
    return watch.memory


def _single(timer: Timer, number: int) -> Run:
    (run,) = timer.run([number])
    return run


def _count(series: Series, run: Run, seconds: float) -> None:
    series.seconds.append(seconds)
    series.processor.append(run.processor)
    series.helpers_processor.append(run.helpers_processor)


class _Jury:
    """Proves answers."""

    def __init__(self, subjects: Sequence[Subject], commands: Sequence[Command]) -> None:
        self.subjects = subjects
        self._commands = commands

    def judge(self, run: Run) -> None:
        """Raise WrongAnswer unless the run did what it should, Unable when it did not even claim to."""
        self.must_succeed(run)
        subject = self.subjects[run.command]
        if run.helpers < subject.helpers:
            raise Unable(self._describe(run, f"it left {run.helpers} helpers behind, not {subject.helpers}"))
        if run.helpers and subject.alone:
            raise Unable(self._describe(run, f"it left {run.helpers} helpers behind, whose work was not timed"))
        try:
            subject.check(self._output(run))
        except WrongAnswer as error:
            raise WrongAnswer(self._describe(run, str(error))) from None

    def must_succeed(self, run: Run) -> None:
        """Raise Unable unless every step ended as it should, and in time."""
        if run.late:
            limit = f"{_conditions().timeout:g} s"
            raise Unable(self._describe(run, f"it did not end within {limit}, what it left running included"))
        if run.failure:
            raise Unable(self._describe(run, run.failure))

    def seconds(self, run: Run) -> float:
        """What counts of a run that was found right."""
        reads = self.subjects[run.command].reads
        return reads(self._output(run)) if reads else run.seconds

    def _output(self, run: Run) -> bytes:
        return self._commands[run.command].output.read_bytes()

    def _describe(self, run: Run, what: str) -> str:
        """In one line: whose run it was, what is wrong, with which process, and what was said on stderr."""
        command = self._commands[run.command]
        name = self.subjects[run.command % len(self.subjects)].name
        parts = [f"{name}: {what}", " ".join(_blamed(command, run).argv)]
        said = [line.strip() for line in command.errors.read_text(errors="replace").splitlines() if line.strip()]
        if len(said) > SAID_LINES:
            said = [said[0], "...", *said[1 - SAID_LINES :]]
        return "; ".join([*parts, " / ".join(said)] if said else parts)


def _blamed(command: Command, run: Run) -> Step:
    """The step that ended wrongly, or else the one that has the answer, or else the last."""
    for step, status in zip(command.steps, run.statuses, strict=False):
        if status not in (None, step.status):
            return step
    return next((step for step in command.steps if step.answer), command.steps[-1])
