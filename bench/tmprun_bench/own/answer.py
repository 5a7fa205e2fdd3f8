"""What the right answer of anyone's app is: what it says when it runs from its plain tree, twice.

What two runs print differently proves nothing. Then the exit status is all that is left, and a note says so; when that
differs too, nothing can be measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tmprun.human import one_line
from tmprun_bench import subjects
from tmprun_bench.corpora.app import App
from tmprun_bench.errors import BenchError, WrongAnswer
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.timer import Command, Step, Timer
from tmprun_bench.measure.workspace import Workspace

SHOWN = 200  # characters of an output


@dataclass(frozen=True)
class Done:
    """A run: its exit status, or minus the signal; what it printed; the last line that it said on stderr."""

    status: int
    output: bytes
    said: str


@dataclass(frozen=True)
class Answer:
    """What every run must give. `output` is None when it is not always the same."""

    status: int
    output: bytes | None
    notes: list[str] = field(default_factory=list)

    def check(self, output: bytes, _scratch: Path) -> None:
        """An app's check."""
        if self.output is not None and output != self.output:
            raise WrongAnswer(
                f"printed {_shown(output)}, but {_shown(self.output)} from the plain tree; if the app tells where it "
                "runs, give ARGS with which it does not"
            )


def anything(_output: bytes, _scratch: Path) -> None:
    """The check of an app whose answer is not known yet."""


def find(context: Context, app: App, timeout: float) -> Answer:
    """Run the app twice from a copy of its tree. BenchError when it does not end, or not the same way."""
    plain = subjects.plain(context, app)
    prepared = once(context.work, plain.once)
    if prepared.status != 0:
        raise BenchError(f"the tree cannot be copied: {prepared.said or prepared.status}")
    first, second = (once(context.work, plain.steps, timeout=timeout, title=app.title) for _ in range(2))
    if first.status != second.status:
        raise BenchError(
            f"{app.title}: ended with {first.status} and then with {second.status} from its plain tree; "
            "give ARGS with which it always ends the same way"
        )
    same = first.output == second.output
    return Answer(first.status, first.output if same else None, list(_notes(first, second, same)))


def once(work: Workspace, steps: tuple[Step, ...], *, timeout: float | None = None, title: str = "") -> Done:
    """Run the steps; the status is that of the last one that ran. BenchError when they do not end in time."""
    command = Command(steps, work.root / "once.out", work.root / "once.err")
    with Timer([command], work.root / "plan", timeout) as timer:
        (run,) = timer.run([0])
        if run.late or not run.settled:
            raise BenchError(
                f"{title}: it, or what it left running, did not end within {timeout:g} s; give ARGS that make it end, "
                "such as --version, or a longer --timeout"
            )
    output, said = command.output.read_bytes(), command.errors.read_bytes()
    command.output.unlink()
    command.errors.unlink()
    last = next((line for line in reversed(said.splitlines()) if line.strip()), b"")
    status = next(status for status in reversed(run.statuses) if status is not None)
    return Done(status, output, one_line(last)[:SHOWN])


def _notes(first: Done, second: Done, same: bool) -> Iterator[str]:
    if not same:
        yield (
            f"WARNING: two runs from the plain tree printed different things ({_shown(first.output)}, "
            f"{_shown(second.output)}): what the ways print is NOT compared, only the exit status, {first.status}, is "
            "proven"
        )
    elif not first.output:
        yield f"WARNING: the app prints nothing on stdout: only that, and the exit status, {first.status}, is proven"
    if first.status != 0:
        yield f"WARNING: the app ends with {first.status}, not 0" + (f"; it says: {first.said}" if first.said else "")


def _shown(output: bytes) -> str:
    text = one_line(output)
    return f"'{text if len(text) <= SHOWN else text[:SHOWN]}{'...' if len(text) > SHOWN else ''}'"
