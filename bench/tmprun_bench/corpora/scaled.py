"""AppDirs of 1 MB to 2 GB in which the app always does the same: it reads ten files of 4 KiB."""

from __future__ import annotations

import os
from pathlib import Path

from tmprun_bench.corpora import catalogue, exit0
from tmprun_bench.corpora.app import App, prints
from tmprun_bench.corpora.synthetic import checksum, content, file_name

MB = 1_000_000
READ, READ_SIZE = 10, 4096
FEWEST, LARGEST = 1000, MB  # files beside those that are read, and how large one of them may be
NOISE = 0.1


def scaled(size: int) -> App:
    """`size` bytes in 1,000 files, or in more where these were larger than 1 MB."""

    def build(root: Path) -> None:
        exit0.build(root)
        (root / "read").mkdir()
        for number in range(READ):
            (root / _read_name(number)).write_bytes(_read_content(number))
        files = max(FEWEST, size // LARGEST)
        for number in range(files):
            path = root / file_name(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            _fill(path, number, size // files)

    names = tuple(_read_name(number) for number in range(READ))
    expected = checksum([_read_content(number) for number in range(READ)])
    title = f"{size // MB:,} MB, ten files read"
    return App(
        f"scaled-{size // MB}", title, build, lambda _: ("--read", *names), prints(expected), None, exit0.revision()
    )


def _fill(path: Path, number: int, length: int) -> None:
    """Those of 1 MB are in another corpus already."""
    there = catalogue.sparse_use().appdir / file_name(number) if length == LARGEST else path
    if there != path and there.exists():
        os.link(there, path)
    else:
        path.write_bytes(content(number, length, NOISE))


def _read_name(number: int) -> str:
    return f"read/{number}"


def _read_content(number: int) -> bytes:
    return content(1_000_000 + number, READ_SIZE, NOISE)
