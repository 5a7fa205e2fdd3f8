"""One start of a program, by path or through tmprun, and what was seen of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kit.places import PUBLISHED
from place import Place, become
from program import Program
from screen import NoPicture, Picture, Screen, screen
from tmprun_bench.errors import WrongAnswer

TIMEOUT_SECONDS = 300
OURS = re.compile(rb"^tmprun: .*$", re.MULTILINE)
NUMBER = re.compile(rb"\[\S*\]|\b(0x)?[0-9a-fA-F]*\d[0-9a-fA-F]*\b")
TREE = re.compile(rb"/[^\s\"':]*" + PUBLISHED.encode() + rb"[0-9a-f]{64}/tree")


@dataclass
class Seen:
    """What a start did. `wrong` is why that is not what the program is for; `said` are words of ours on its stderr."""

    status: int
    stdout: bytes
    stderr: bytes
    said: list[str]
    kept: list[str]
    picture: Picture | None = None
    wrong: str = ""
    facts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Way:
    """`command` starts it, `image` is what APPIMAGE says, `appdir` the AppDir when it is started by path; `fill` is for
    TMPRUN_FILL."""

    name: str
    command: tuple[str, ...]
    image: Path
    appdir: Path | None = None
    fill: str | None = None


def start(program: Program, way: Way, place: Place) -> Seen:
    """Start it once, and wait until everything of it has ended."""
    if not program.window:
        return _observe(program, way, place, None)
    with screen() as shown:
        return _observe(program, way, place, shown)


def _observe(program: Program, way: Way, place: Place, shown: Screen | None) -> Seen:
    environment = {**place.environment(), **program.environment}
    if way.appdir:
        environment |= _as_a_runtime(way, place)
    if way.fill:
        environment["TMPRUN_FILL"] = way.fill
    if shown:
        environment["DISPLAY"] = shown.display
    out, err = place.home.parent / "stdout", place.home.parent / "stderr"
    picture, trouble = None, ""
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [*way.command, *program.app.arguments(place.home)], env=environment, cwd=place.home,
            stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True, **become(place.user),
        )  # fmt: skip
        try:
            if shown:
                picture = shown.still(_has_ended(process))
                process.terminate()
            process.wait(TIMEOUT_SECONDS)
        except (subprocess.TimeoutExpired, NoPicture) as late:
            trouble = str(late) if isinstance(late, NoPicture) else f"not done after {TIMEOUT_SECONDS} s"
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if not place.quiet():
        trouble = trouble or "processes of it do not end"
    output, errors = out.read_bytes(), err.read_bytes()
    seen = Seen(
        process.returncode, _without_places(output, way), _errors(program, _without_places(errors, way)),
        [line.decode() for line in OURS.findall(errors)], _kept(program, place), picture, trouble,
    )  # fmt: skip
    if not trouble:
        seen.wrong = _judge(program, seen.status, output, place)
    if seen.wrong:
        seen.facts = [f"stderr ends: {line}" for line in errors.decode(errors="replace").splitlines()[-5:]]
    return seen


def _judge(program: Program, status: int, output: bytes, place: Place) -> str:
    wanted = -signal.SIGTERM if program.window else program.app.status
    if status != wanted:
        return f"ended with {status}, not {wanted}"
    try:
        program.app.check(output, place.home)
    except (WrongAnswer, AssertionError) as wrong:
        return f"wrong answer: {wrong}"
    return ""


def _as_a_runtime(way: Way, place: Place) -> dict[str, str]:
    """What AppImage runtimes add to an app's environment."""
    image = str(way.image)
    return {"APPDIR": str(way.appdir), "APPIMAGE": image, "ARGV0": image, "OWD": str(place.home)}


def _has_ended(process: subprocess.Popen[bytes]) -> Iterator[bool]:
    while True:
        yield process.poll() is not None


def _without_places(text: bytes, way: Way) -> bytes:
    """Where the AppDir is, is all that may differ; and numbers of processes."""
    text = TREE.sub(b"APPDIR", text)
    if way.appdir:
        text = text.replace(str(way.appdir).encode(), b"APPDIR")
    return re.sub(rb"\b(pid|process:)\s*\d+|:\d+\)|\d\d:\d\d:\d\d\.\d+", b"N", text)


def _errors(program: Program, text: bytes) -> bytes:
    """What is compared: of a noisy program the kinds of lines, without numbers; its processes say them in any order."""
    if not program.noisy:
        return text
    lines = {NUMBER.sub(b"N", line) for line in text.splitlines() if not re.search(program.by_chance, line)}
    return b"\n".join(sorted(lines))


def _kept(program: Program, place: Place) -> list[str]:
    found = []
    for name in program.keeps:
        for folder, folders, files in os.walk(place.home / name):
            where = Path(folder).relative_to(place.home)
            found += [f"{where}/{each}/" for each in folders]
            found += [f"{where}/{each} {(Path(folder) / each).lstat().st_size}" for each in files]
    return sorted(found)
