"""Corpora whose AppRun is programs/worker.c: it reads its own directory in one way or another, and times that.

Their files are those of other corpora, hard links to them: they cost no room. What must be found is computed here, from
the AppDir.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from tmprun_bench.corpora import synthetic
from tmprun_bench.corpora.app import App, no_arguments, prints
from tmprun_bench.corpora.cache import walk_directories, walk_files
from tmprun_bench.errors import WrongAnswer
from tmprun_bench.programs import compiled

PAGE = 4096
SEED = 88172645463325252
MASK = 0xFFFFFFFFFFFFFFFF
MB = 1_000_000
DATA, LIBRARY = "data/large", "lib/liblarge.so"
LARGE, LIBRARY_SIZE = 256 * MB, 100 * MB
NOISE = 0.2


def over(name: str, title: str, original: App) -> App:
    """The files of a synthetic corpus, under another AppRun."""

    def build(root: Path) -> None:
        _apprun(root)
        shutil.copytree(original.appdir / "data", root / "data", copy_function=os.link)

    return _app(name, title, build)


def large_files() -> App:
    """One file of data and one library, for those who read parts of them; nothing else."""

    def build(root: Path) -> None:
        _apprun(root)
        for number, (path, size) in enumerate(((DATA, LARGE), (LIBRARY, LIBRARY_SIZE))):
            (root / path).parent.mkdir()
            with (root / path).open("wb") as file:
                for start in range(0, size, MB):
                    file.write(synthetic.content(number * size + start, MB, NOISE))

    return _app("large-files", "a file of 256 MB and a library of 100 MB", build)


def runs(app: App, *command: str, check: Callable[[bytes, Path], None]) -> App:
    """`app`, made to run a program of the host's in its directory; `{scratch}` in its arguments is filled in."""

    def arguments(scratch: Path) -> tuple[str, ...]:
        return ("--run", *(word.replace("{scratch}", str(scratch)) for word in command))

    return replace(app, arguments=arguments, check=lambda output, scratch: check(_found(output), scratch))


def reads_at_random(app: App, count: int, path: str) -> App:
    """Reads of 4 KiB."""
    return _works(app, ("--random", str(count), path), lambda: _sum_at_random(app.appdir / path, count))


def maps(app: App, path: str) -> App:
    """A map of the whole file, every page of it touched."""
    return _works(app, ("--map", path), lambda: int(_first_words(app.appdir / path).sum(dtype=np.uint64)))


def stats(app: App, path: str) -> App:
    """A stat of everything below `path`."""
    return _works(app, ("--stat", path), lambda: "{} {}".format(*_stats(app.appdir / path)))


def reads_first_byte(app: App, path: str) -> App:
    """One byte of one file."""
    return _works(app, ("--first", path), lambda: _first_byte(app.appdir / path))


def own_time(output: bytes) -> float:
    """The seconds that it says its work took."""
    return int(output.splitlines()[-1]) / 1e9


def _works(app: App, arguments: tuple[str, ...], answer: Callable[[], object]) -> App:
    expected = cache(lambda: str(answer()).encode() + b"\n")

    def check(output: bytes, scratch: Path) -> None:
        prints(expected())(_found(output), scratch)

    return replace(app, arguments=lambda _: arguments, check=check)


def _found(output: bytes) -> bytes:
    """All but the last line, which is the time."""
    lines = output.splitlines(keepends=True)
    if not lines or not lines[-1].strip().isdigit():
        raise WrongAnswer(f"printed {output[:200]!r}, which does not end with a time")
    return b"".join(lines[:-1])


def _app(name: str, title: str, build: Callable[[Path], None]) -> App:
    revision = compiled("worker").name.rpartition("-")[2]
    return App(name, title, build, no_arguments, prints(b""), revision=revision)


def _apprun(root: Path) -> None:
    root.mkdir()
    shutil.copyfile(compiled("worker"), root / "AppRun")
    (root / "AppRun").chmod(0o755)


def _first_words(path: Path) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """The first eight bytes of every whole page of a file."""
    pages = path.stat().st_size // PAGE
    words: np.ndarray[tuple[int], np.dtype[np.uint64]] = np.memmap(path, np.uint64, "r", shape=(pages, PAGE // 8))[:, 0]
    return words


def _sum_at_random(path: Path, count: int) -> int:
    words, state, total = _first_words(path), SEED, 0
    for _ in range(count):
        state ^= state << 13 & MASK
        state ^= state >> 7
        state ^= state << 17 & MASK
        total += int(words[state % len(words)])
    return total & MASK


def _stats(root: Path) -> tuple[int, int]:
    files = list(walk_files(root))
    directories = sum(1 for _ in walk_directories(root)) - 1
    return len(files) + directories, sum(facts.st_size for _, facts in files)


def _first_byte(path: Path) -> int:
    with path.open("rb") as file:
        return file.read(1)[0]
