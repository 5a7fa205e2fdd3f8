"""Running the real programs in an environment of their own, and showing everything when a test fails."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from kit.places import shelf
from tmprun.engine.programs import ENGINE

Word = str | bytes | os.PathLike[str]

# What docs/engine-build.md allows the stub, in bytes.
STUB_LIMIT = 160 << 10

SHELVES = ("id", "tree", "stage", "trash")


@dataclass(frozen=True)
class Result:
    """One finished command. `status` is negative when a signal ended it."""

    command: Sequence[Word]
    cwd: Path
    status: int
    stdout: bytes
    stderr: bytes

    def report(self) -> dict[str, Any]:
        """What the probe said (tests/probe/probe.c), by key; lists where it says a key more than once."""
        return parse_report(self.stdout)

    def __str__(self) -> str:
        words = " ".join(shlex.quote(os.fsdecode(word)) for word in self.command)
        out, err = (_cut(text) for text in (self.stdout, self.stderr))
        return f"command: {words}\ncwd: {self.cwd}\nstatus: {self.status}\nstdout:\n{out}\nstderr:\n{err}"


@dataclass
class Harness:
    """A private HOME, cache and store below `base`, and the commands run in them so far.

    `door` is the front door under test; `settings` is the whole environment of what runs.
    """

    base: Path
    door: Path
    settings: dict[str, str] = field(default_factory=dict)
    history: list[Result] = field(default_factory=list)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("home", "work"):
            (self.base / name).mkdir(mode=0o755)
        (self.base / "cache").mkdir(mode=0o700)
        self.settings |= {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.base / "home"),
            "XDG_CACHE_HOME": str(self.base / "cache"),
            "TMPRUN_STORE": str(self.store),
        }

    @property
    def store(self) -> Path:
        return self.base / "store"

    def shelf(self, name: str) -> Path:
        """One of the store's folders: id, tree, lock, stage or trash."""
        return shelf(self.store, name)

    def kept(self, name: str) -> Path:
        """One of the disk cache's folders: image, known, trace or scratch."""
        return shelf(self.base / "cache" / "tmprun", name)

    @property
    def work(self) -> Path:
        """The working directory of what runs."""
        return self.base / "work"

    def environment(self, changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """The settings with `changes`, where None takes a variable away."""
        merged = {**self.settings, **(changes or {})}
        return {name: value for name, value in merged.items() if value is not None}

    def run(
        self,
        *command: Word,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
        stdin: bytes = b"",
        status: int | None = 0,
        timeout: float = 60,
        **popen: Any,
    ) -> Result:
        """Run `command` to its end; AssertionError unless it ends with `status` (None: whatever it is)."""
        where = cwd or self.work
        done = subprocess.run(
            command,
            cwd=where,
            env=self.environment(env),
            input=stdin,
            capture_output=True,
            timeout=timeout,
            check=False,
            **popen,
        )
        result = Result(command, where, done.returncode, done.stdout, done.stderr)
        self.history.append(result)
        assert status is None or result.status == status, f"not status {status}:\n{result}"
        return result

    def start(
        self,
        *command: Word,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        **popen: Any,
    ) -> subprocess.Popen[bytes]:
        """Start `command` and leave it to the caller, its output in pipes; it is ended with the test at the latest."""
        options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | popen
        process = subprocess.Popen(command, cwd=cwd or self.work, env=self.environment(env), stdin=stdin, **options)
        self.started.append(process)
        return process

    def finish(self, process: subprocess.Popen[bytes], timeout: float = 60) -> Result:
        """Wait for a started process."""
        out, err = process.communicate(timeout=timeout)
        result = Result([*map(str, process.args)], self.work, process.returncode, out or b"", err or b"")  # type: ignore[arg-type]
        self.history.append(result)
        return result

    def refused(self, result: Result, *words: str, status: int = 126) -> None:
        """Assert our own failure: that status, one line on stderr with all `words`, no output, nothing left behind."""
        text = result.stderr.decode("utf-8", "replace")
        assert result.status == status, f"not status {status}:\n{result}"
        assert result.stdout == b"", str(result)
        assert text.startswith("tmprun: ") and text.count("\n") == 1 and text.endswith("\n"), str(result)
        for word in words:
            assert word in text, f"nothing about {word!r}:\n{result}"
        assert self.left() == [], str(result)

    def left(self) -> list[str]:
        """What lies in the store's folders: nothing, when nothing was published and nothing left behind."""
        return sorted(
            f"{name}/{entry}" for name in SHELVES if self.shelf(name).is_dir() for entry in os.listdir(self.shelf(name))
        )

    def close(self) -> None:
        """End what a failed test left running, remove the store, and let whoever made `base` delete it."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
        self.clear()
        make_writable(self.base)

    def clear(self) -> None:
        """Make the store a new one."""
        remove(self.store)

    def describe(self) -> str:
        """The last commands, and what is where, for whoever reads a failed test."""
        shown = "\n\n".join(map(str, self.history[-3:]))
        return f"{shown}\n\ntree of {self.base}:\n{listing(self.base)}"


def engine(program: str) -> Path:
    """One of the engine's programs, as the package brings it."""
    path = Path(ENGINE, os.uname().machine, program)
    assert path.is_file(), f"{path} is missing: build the engine first (make engine)"
    return path


def parse_report(output: bytes) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    for line in output.splitlines():
        for key, value in json.loads(line).items():
            found.setdefault(key, []).append(value)
    lists = {"fd", "sum", "limit", "ignored", "handled", "blocked", "pending", "stdin"}
    report: dict[str, Any] = {key: values if key in lists else values[-1] for key, values in found.items()}
    return {"ignored": [], "handled": [], "blocked": [], "pending": [], "sum": []} | report


def environ_of(report: Mapping[str, Any]) -> dict[str, str]:
    """The environment that the probe saw, its bytes as latin-1 characters."""
    pairs = (entry.partition("=") for entry in report["environ"])
    return {name: value for name, _, value in pairs}


def listing(base: Path) -> str:
    """Everything below `base`, one line each, the first 200."""
    lines = []
    for folder, folders, files in os.walk(base):
        folders.sort()
        for name in sorted([*folders, *files]):
            path = Path(folder, name)
            facts = path.lstat()
            target = f" -> {os.readlink(path)}" if path.is_symlink() else ""
            shown = ascii(str(path.relative_to(base)))
            lines.append(f"{facts.st_mode:o} {facts.st_uid} {facts.st_size:>9} {shown}{target}")
    return "\n".join(lines[:200])


def remove(path: Path) -> None:
    """Delete a directory with read-only ones in it, if it is there; also when a filler is still at work in it."""
    end = time.monotonic() + 5
    while os.path.lexists(path):
        make_writable(path)
        shutil.rmtree(path, ignore_errors=time.monotonic() < end)


def make_writable(path: Path) -> None:
    """Give the directories below `path` back the write bits that those of a published tree lack."""
    for folder, _, _ in os.walk(path):
        with suppress(FileNotFoundError, PermissionError):  # it may be gone by now, or another user's
            if os.stat(folder).st_mode & 0o700 != 0o700:
                os.chmod(folder, 0o700)


def wait_until(true: Callable[[], object], seconds: float = 10, step: float = 0.002) -> None:
    """Ask `true()` until it is; AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(step)


def _cut(text: bytes, limit: int = 4000) -> str:
    shown = text.decode("utf-8", "backslashreplace")
    return shown if len(shown) <= limit else f"{shown[:limit]}... ({len(text)} bytes)"
