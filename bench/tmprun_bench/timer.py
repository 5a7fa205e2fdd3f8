"""The other half of programs/timer.c: what to start, and what came of it.

Python takes milliseconds to start a process and to notice its end; the C program takes none of its own. Processor
time is the kernel's count (wait4), of the processes started and of all that they left behind, a FUSE daemon or a
filler.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tmprun_bench.errors import BenchError
from tmprun_bench.programs import compiled


@dataclass(frozen=True)
class Step:
    """One process: `argv` with an absolute program. Its time counts when `timed`; `answer`: its stdout is the answer.

    `always`: run it even when a step before it has failed. Any other exit `status` is a failure.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    timed: bool = False
    answer: bool = False
    always: bool = False
    status: int = 0
    directory: str = "/"


@dataclass(frozen=True)
class Command:
    """Steps done one after the other, and the files that get their output."""

    steps: tuple[Step, ...]
    output: Path
    errors: Path


@dataclass(frozen=True)
class Run:
    """One run of a command. `seconds`: the timed steps, from the start of each to its end, all together.

    `processor` is the timed steps' processor time, `helpers_processor` that of the `helpers` processes which they left
    behind, in seconds. `failure` says what went wrong, or is empty.
    """

    command: int
    seconds: float
    processor: float
    helpers: int
    helpers_processor: float
    failure: str


@dataclass
class Timer:
    """A context in which the timing program runs. `pid` is the ancestor of everything that it starts."""

    commands: Sequence[Command]
    plan: Path
    pid: int = field(default=0, init=False)

    def __enter__(self) -> Timer:
        self.plan.write_bytes(_encode(self.commands))
        program = compiled("timer")
        self._process = subprocess.Popen([program, self.plan], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process:
            if self._process.stdin:
                self._process.stdin.close()
        self.plan.unlink()

    def run(self, order: Sequence[int], rounds: int = 1) -> Iterator[Run]:
        """Run the commands with these numbers, one after the other, `rounds` times over; each round begins one
        later."""
        if self._process.stdin is None or self._process.stdout is None:
            raise BenchError("the timing program is not connected")
        self._process.stdin.write(f"{rounds} {' '.join(map(str, order))}\n")
        self._process.stdin.flush()
        for _ in range(rounds * len(order)):
            line = self._process.stdout.readline()
            if not line:
                raise BenchError("the timing program died")
            yield _decode(json.loads(line))


def _encode(commands: Sequence[Command]) -> bytes:
    words: list[str] = [str(len(commands))]
    for command in commands:
        words += [str(command.output), str(command.errors), str(len(command.steps))]
        for step in command.steps:
            flags = ("t" if step.timed else "") + ("o" if step.answer else "") + ("a" if step.always else "")
            environment = [f"{name}={value}" for name, value in sorted(step.environment.items())]
            words += [flags, str(step.status), step.directory]
            words += [str(len(step.argv)), *step.argv, str(len(environment)), *environment]
    return "".join(word + "\0" for word in words).encode("utf-8", "surrogateescape")


def _decode(line: dict[str, object]) -> Run:
    steps = line["steps"]
    assert isinstance(steps, list)
    failures = [
        f"step {number + 1} ended with {step['status']}, not {step['expected']}"
        for number, step in enumerate(steps)
        if step["ran"] and step["status"] != step["expected"]
    ]
    if not line["settled"]:
        failures.append("processes that it left behind did not end")
    timed = [step for step in steps if step["timed"]]
    return Run(
        command=int(str(line["command"])),
        seconds=sum(step["ns"] for step in timed) / 1e9,
        processor=sum(step["cpu_us"] for step in timed) / 1e6,
        helpers=int(str(line["helpers"])),
        helpers_processor=int(str(line["helpers_cpu_us"])) / 1e6,
        failure="; ".join(failures),
    )
