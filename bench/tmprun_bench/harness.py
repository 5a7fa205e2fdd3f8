"""Times subjects against each other. It knows processes only: what to start, what must come out, how long it took.

Fairness, as METHODOLOGY.md explains: one round after the other, in each round every subject once, beginning with
another one each time; a first round that proves every subject and counts for none; medians; and no run counts whose
answer is wrong.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tmprun_bench.errors import WrongAnswer
from tmprun_bench.memory import Memory, Watch
from tmprun_bench.timer import Command, Run, Step, Timer


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


def measure(
    subjects: Sequence[Subject], rounds: int, work: Path, *, tight: bool = False, memory: bool = False
) -> Measurement:
    """Time `subjects` in `rounds` rounds; `work` is a directory for the files of the harness.

    `tight`: for starts of less than a millisecond. The timing program then does all rounds by itself, and Python does
    not run in between; every exit status is proven, and the output before the first and after the last round.
    `memory`: one more round in which memory is watched and time is not.
    """
    present = [subject for subject in subjects if not subject.absent]
    skipped = {subject.name: subject.absent for subject in subjects if subject.absent}
    series = {subject.name: Series(subject.name) for subject in present}
    with _timer(present, work) as (timer, outputs):
        jury = _Jury(present, outputs)
        _prepare(timer, jury)
        for run in _runs(timer, len(present), rounds, jury, tight):
            subject = present[run.command]
            _count(series[subject.name], run, jury.seconds(run))
        if memory:
            for number, subject in enumerate(present):
                series[subject.name].memory = _watched(timer, number, jury, work)
    return Measurement(series, skipped)


@contextlib.contextmanager
def _timer(subjects: Sequence[Subject], work: Path) -> Iterator[tuple[Timer, list[Command]]]:
    """Of n subjects: from 0 on their rounds, from n on what is done once, from 2n on what each round begins with."""
    begin = [tuple(itertools.takewhile(lambda step: not step.timed, subject.steps)) for subject in subjects]
    commands = [
        Command(steps, work / f"{number}.out", work / f"{number}.err")
        for number, steps in enumerate([*(s.steps for s in subjects), *(s.once for s in subjects), *begin])
    ]
    try:
        with Timer(commands, work / "plan") as timer:
            yield timer, commands
    finally:
        for command in commands:
            command.output.unlink(missing_ok=True)
            command.errors.unlink(missing_ok=True)


def _prepare(timer: Timer, jury: _Jury) -> None:
    """What is to be done once, and the round that counts for nobody: it proves the answers and warms the page cache."""
    count = len(jury.subjects)
    for number, subject in enumerate(jury.subjects):
        if subject.once:
            jury.must_succeed(_single(timer, count + number))
        jury.judge(_single(timer, number))


def _runs(timer: Timer, count: int, rounds: int, jury: _Jury, tight: bool) -> Iterator[Run]:
    numbers = list(range(count))
    if tight:
        for run in timer.run(numbers, rounds):
            jury.must_succeed(run)
            yield run
        for number in numbers:
            jury.judge(_single(timer, number))
        return
    for first in range(rounds):
        for number in numbers[first % count :] + numbers[: first % count]:
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
        """Raise WrongAnswer unless the run did what it should."""
        self.must_succeed(run)
        subject = self.subjects[run.command]
        if run.helpers < subject.helpers:
            self._wrong(run, f"it left {run.helpers} helpers behind, not {subject.helpers}")
        if run.helpers and subject.alone:
            self._wrong(run, f"it left {run.helpers} helpers behind, whose work was not timed")
        try:
            subject.check(self._output(run))
        except WrongAnswer as error:
            self._wrong(run, str(error))

    def must_succeed(self, run: Run) -> None:
        """Raise WrongAnswer unless every step ended as it should."""
        if run.failure:
            self._wrong(run, run.failure)

    def seconds(self, run: Run) -> float:
        """What counts of a run that was found right."""
        reads = self.subjects[run.command].reads
        return reads(self._output(run)) if reads else run.seconds

    def _output(self, run: Run) -> bytes:
        return self._commands[run.command].output.read_bytes()

    def _wrong(self, run: Run, what: str) -> None:
        command = self._commands[run.command]
        name = self.subjects[run.command % len(self.subjects)].name
        said = command.errors.read_text(errors="replace")[-2000:].strip()
        raise WrongAnswer(f"{name}: {what}\n  {' '.join(command.steps[-1].argv)}\n{said}")
