"""AppDirs as EROFS images, for the mounts of the kernel and of erofsfuse."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tmprun_bench.corpora import peers
from tmprun_bench.corpora.app import App
from tmprun_bench.corpora.cache import make
from tmprun_bench.corpora.images import Packing
from tmprun_bench.errors import BenchError

# What is wanted most comes first. mkfs.erofs has zstd since 1.8, and Linux since 6.10.
CODECS = ("zstd", "lz4hc")
ZSTD_SINCE = (6, 10)
UUID = "00000000-0000-4000-8000-000000000000"  # a fixed one, for the same bytes each time
UNITS = {"K": 1 << 10, "M": 1 << 20}


@dataclass(frozen=True)
class Maker:
    """A mkfs.erofs, as a command, and the codec to use with it."""

    command: tuple[str, ...]
    codec: str


@cache
def maker() -> Maker | None:
    """The mkfs.erofs with the best codec, installed or fetched; None when there is none."""
    commands = [command for command in peers.commands("mkfs.erofs") if command]
    wanted = CODECS if _release() >= ZSTD_SINCE else CODECS[1:]
    known = {command: _codecs(command) for command in commands}
    found = [Maker(command, codec) for codec in wanted for command in commands if codec in known[command]]
    return found[0] if found else None


def erofs(app: App, packing: Packing) -> Path:
    """The app as an EROFS image: same level, clusters as large as squashfs' blocks. BenchError without mkfs.erofs."""
    found = maker()
    if found is None:
        raise BenchError("mkfs.erofs is missing; install erofs-utils")
    name = f"{app.name}-{found.codec}{packing.level}-{packing.block}.erofs"
    return make(app.folder / name, lambda path: _pack(command(found, app.appdir, path, packing)))


def command(found: Maker, appdir: Path, out: Path, packing: Packing) -> tuple[str, ...]:
    """Packs on one core: mkfs.erofs can use more since 1.8, but then 1.8.6 now and then waits for itself for ever."""
    help_text = _said(found.command, "--help")
    alone = ("--workers=1",) if "--workers" in help_text else ()
    return (
        *found.command, "--quiet", f"-z{found.codec},{_level(found, packing, help_text)}",
        f"-C{_bytes(packing.block)}", "--all-root", f"-U{UUID}", *alone, os.fspath(out), os.fspath(appdir),
    )  # fmt: skip


def _level(found: Maker, packing: Packing, help_text: str) -> str:
    """`9`, or since 1.8 `level=9`."""
    level = packing.level if found.codec == "zstd" else min(packing.level, 12)
    return f"level={level}" if "level=" in help_text else str(level)


def _bytes(block: str) -> int:
    """What mksquashfs takes as -b, in bytes; EROFS has clusters of 1 MiB at the most."""
    number, unit = (block[:-1], block[-1].upper()) if block[-1].upper() in UNITS else (block, "")
    return min(int(number) * UNITS.get(unit, 1), 1 << 20)


def _codecs(command: tuple[str, ...]) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", _said(command, "--help")))


def _said(command: tuple[str, ...], option: str) -> str:
    done = subprocess.run((*command, option), capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _release() -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])


def _pack(command: tuple[str, ...]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"mkfs.erofs failed: {done.stderr.strip()[-500:]}")
