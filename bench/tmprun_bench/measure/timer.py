"""The other half of programs/timer.c: what to start, and what came of it.

Python takes milliseconds to start a process and to notice its end; the C program takes none of its own. Processor
time is the kernel's count (wait4), of the processes started and of all that they left behind, a FUSE daemon or a
filler.

The timing program has a session of its own: Ctrl-C ends us, and we end it and all that it has started. It is the reaper
of their orphans, so nothing of theirs can hide.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import psutil

from tmprun_bench.errors import BenchError
from tmprun_bench.programs import compiled

AGAIN = 1.0  # seconds until we end what was born meanwhile; the run's own clean-up shall be over by then
POLL = 0.005  # seconds
KILLED_WITHIN = 10  # seconds; only a process that waits for a device that does not answer takes as long to be killed


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
    behind, in seconds. `failure` says what went wrong, or is empty. `statuses` has the exit status of each step, or
    minus the signal; None when the step did not run. `late`: it was ended because its time was over. `settled`: what
    the processes left behind has ended, too.
    """

    command: int
    seconds: float
    processor: float
    helpers: int
    helpers_processor: float
    failure: str
    statuses: tuple[int | None, ...] = ()
    late: bool = False
    settled: bool = True


@dataclass
class Timer:
    """A context in which the timing program runs. `pid` is the ancestor of everything that it starts.

    A run that takes longer than `timeout` seconds, with what its processes leave behind, is ended. When the context
    ends, so does everything that is still running.
    """

    commands: Sequence[Command]
    plan: Path
    timeout: float | None = None
    pid: int = field(default=0, init=False)

    def __enter__(self) -> Timer:
        self.plan.write_bytes(_encode(self.commands))
        program = compiled("timer", must_be_static=False)
        self._process = subprocess.Popen(
            [program, self.plan], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
        )
        self.pid = self._process.pid
        self._said = b""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process:
            if error is not None:
                self._end_everything()
            if self._process.stdin:
                self._process.stdin.close()
        self.plan.unlink()

    def run(self, order: Sequence[int], rounds: int = 1) -> Iterator[Run]:
        """Run the commands with these numbers, one after the other, `rounds` times over; each round begins one
        later."""
        self._ask(f"{rounds} {' '.join(map(str, order))}\n".encode())
        for _ in range(rounds * len(order)):
            late = False
            line = self._line(self.timeout)
            while line is None:
                late = True
                self._end_run()
                line = self._line(AGAIN)
            yield _decode(json.loads(line), late)

    def _ask(self, line: bytes) -> None:
        if self._process.stdin is None:
            raise BenchError("the timing program is not connected")
        try:
            self._process.stdin.write(line)
        except OSError:
            raise BenchError("the timing program died") from None

    def _line(self, seconds: float | None) -> bytes | None:
        """The next line that it says; None when it says nothing for so many seconds."""
        if self._process.stdout is None:
            raise BenchError("the timing program is not connected")
        said = self._process.stdout.fileno()
        while b"\n" not in self._said:
            if not select.select([said], [], [], seconds)[0]:
                return None
            more = os.read(said, 1 << 16)
            if not more:
                raise BenchError("the timing program died")
            self._said += more
        line, _, self._said = self._said.partition(b"\n")
        return line

    def _end_run(self) -> None:
        for process in _alive_below(self.pid):
            with contextlib.suppress(psutil.Error):
                process.kill()

    def _end_everything(self) -> None:
        """First stop the timing program, so that it starts nothing more. Zombies remain, which end with it."""
        self._process.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + KILLED_WITHIN
        while _alive_below(self.pid) and time.monotonic() < deadline:
            self._end_run()
            time.sleep(POLL)
        self._process.kill()


def _alive_below(pid: int) -> list[psutil.Process]:
    try:
        return [process for process in psutil.Process(pid).children(recursive=True) if _alive(process)]
    except psutil.NoSuchProcess:
        return []


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


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


def _decode(line: dict[str, object], late: bool) -> Run:
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
        statuses=tuple(step["status"] if step["ran"] else None for step in steps),
        late=late,
        settled=bool(line["settled"]),
    )
