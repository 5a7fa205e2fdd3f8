"""Apps large enough to be gated, and the processes that fill them."""

from __future__ import annotations

import os
import signal
import stat
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kit.apps import SETTLED, noise, write
from kit.harness import Harness, wait_until
from kit.trees import below
from tmprun.index.decode import decode
from tmprun.pack.pack import pack

READER_SOURCE = Path(__file__).parent.parent / "probe" / "reader.c"
NAMES = ("tmprun-filler", "tmprun-guard")

# How many files the app has, the hard link's name included.
EVERYTHING = 82

# How long a tree that is filled on demand may outlive its last user, in seconds: it looks every three (gate/filler.c).
LINGER = 15


@dataclass(frozen=True)
class Gated:
    """An image, the AppDir it came from, and the path in it of every file that is gated when none has to be in full."""

    image: Path
    appdir: Path
    gated: frozenset[str]


def truth(image: Gated, mode: str = "") -> dict[str, str | None]:
    """The environment that the app needs, and the way to fill it."""
    return {"TRUTH": str(image.appdir), "TMPRUN_FILL": mode or None, "TMPRUN_LOG": "debug"}


def compile_reader(into: Path) -> Path:
    target = into / "reader"
    flags = ["-static", "-Os", "-s", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["musl-gcc", *flags, "-o", target, READER_SOURCE], check=True)
    return target


def reader_appdir(into: Path, reader: Path) -> Path:
    """An AppDir of some 14 MB: files in one frame with others, and in several; programs, libraries, scripts, links."""
    appdir = into / "Reader.AppDir"
    write(appdir / "AppRun", reader.read_bytes(), 0o755)
    for number in range(60):
        text = b"".join(b"%d lines of file %d\n" % (line, number) for line in range(number * 40))
        write(appdir / "usr" / "share" / f"text{number % 7}" / f"{number:02}", text + noise(1 + number * 700, number))
    write(appdir / "usr" / "share" / "large", noise(6_000_000, 70))
    write(appdir / "usr" / "share" / "sparse", noise(5_000, 71) + bytes(3_000_000) + noise(5_000, 72))
    for number in range(8):
        write(appdir / "usr" / "lib" / f"lib{number}.so.{number}", noise(200_000, 80 + number), 0o755)
        write(appdir / "usr" / "bin" / f"script{number}", f"#!/bin/sh\necho {number}\n" + "#" * number * 9000, 0o755)
    write(appdir / "usr" / "bin" / "program", reader.read_bytes() + noise(300_000, 90), 0o755)
    write(appdir / "usr" / "share" / "empty", b"")
    (appdir / "usr" / "share" / "link").symlink_to("large")
    os.link(appdir / "usr" / "share" / "large", appdir / "usr" / "hard")
    for number, path in enumerate(sorted(below(appdir))):
        os.utime(path, (1_500_000_000 + number, 1_500_000_000 + number), follow_symlinks=False)
    return appdir


def little_appdir(into: Path, reader: Path) -> Path:
    """One of everything in 400 KB, for what is done by the thousand. Too small to be gated unless asked."""
    appdir = into / "Little.AppDir"
    write(appdir / "AppRun", reader.read_bytes(), 0o755)
    for number in range(6):
        write(appdir / "usr" / "share" / f"text{number % 2}" / str(number), noise(1 + number * 9000, number))
    write(appdir / "usr" / "share" / "large", noise(150_000, 70) + bytes(70_000))
    write(appdir / "usr" / "lib" / "lib.so.1", noise(20_000, 80), 0o755)
    write(appdir / "usr" / "bin" / "script", "#!/bin/sh\necho\n", 0o755)
    (appdir / "usr" / "share" / "link").symlink_to("large")
    os.link(appdir / "usr" / "share" / "large", appdir / "usr" / "hard")
    return appdir


def files_with_content(appdir: Path) -> dict[str, os.stat_result]:
    """Every file that is not empty, by the first of its names."""
    named: dict[int, tuple[str, os.stat_result]] = {}
    for path in sorted(below(appdir)):
        facts = path.lstat()
        if stat.S_ISREG(facts.st_mode) and facts.st_size:
            named.setdefault(facts.st_ino, (str(path.relative_to(appdir)), facts))
    return dict(named.values())


def gated_files(appdir: Path) -> frozenset[str]:
    """What is no program and no script."""
    found = files_with_content(appdir).items()
    return frozenset(path for path, facts in found if not facts.st_mode & 0o100 or ".so." in path)


def little_bundle(into: Path, reader: Path) -> Gated:
    into.mkdir()
    return _packed(into, little_appdir(into, reader))


def gated_bundle(into: Path, reader: Path) -> Gated:
    into.mkdir()
    return _packed(into, reader_appdir(into, reader))


def _packed(into: Path, appdir: Path) -> Gated:
    pack(appdir, into / "reader app", level=1, threads=2)
    time.sleep(SETTLED)
    return Gated(into / "reader app", appdir, gated_files(appdir))


def gated_image(bundle: Gated, image: Path) -> Gated:
    """The same app as an AppImage of type 2."""
    squashfs = image.with_suffix(".squashfs")
    options = ["-comp", "zstd", "-all-root", "-quiet", "-no-progress", "-b", "128K"]
    subprocess.run(["mksquashfs", bundle.appdir, squashfs, *options], check=True, stdout=subprocess.DEVNULL)
    write(image, (bundle.appdir / "AppRun").read_bytes() + squashfs.read_bytes(), 0o755)
    squashfs.unlink()
    time.sleep(SETTLED)
    return Gated(image, bundle.appdir, bundle.gated)


def copy_of(app: Gated, copy: Path) -> Gated:
    """The same in a file of its own, which may be spoilt, and is old enough to be remembered."""
    subprocess.run(["cp", app.image, copy], check=True)
    time.sleep(SETTLED)
    return Gated(copy, app.appdir, app.gated)


@dataclass(frozen=True)
class Helper:
    """A process of ours beside the app; `kind` is filler or guard."""

    pid: int
    kind: str

    def send(self, number: int) -> None:
        """Send it a signal; one that has ended gets none, whether its parent has noticed or not."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def parent(self) -> int:
        """Its parent's number; 0 when it has ended."""
        with suppress(FileNotFoundError, ProcessLookupError):
            return int(Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[1])
        return 0


def helpers(store: Path, kind: str = "") -> list[Helper]:
    """The fillers and guards at work below the store, of one kind only if asked for."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            name = (process / "comm").read_text().strip()
            if name in NAMES and kind in name and _stands_in(process, store):
                found.append(Helper(int(process.name), name.removeprefix("tmprun-")))
        except OSError:
            continue  # ended
    return found


def _stands_in(process: Path, store: Path) -> bool:
    """Whether the process has something of the store open; the first few descriptors tell."""
    for fd in sorted((process / "fd").iterdir(), key=lambda path: int(path.name))[:12]:
        if os.readlink(fd).startswith(f"{store}/"):
            return True
    return False


def only(store: Path, kind: str) -> Helper:
    """The one helper of that kind, waited for; one that was killed a moment ago may be seen once more."""
    found: list[Helper] = []

    def is_one() -> bool:
        found[:] = helpers(store, kind)
        return len(found) == 1

    wait_until(is_one)
    return found[0]


@contextmanager
def stopped(store: Path) -> Iterator[None]:
    """Nothing is filled meanwhile. Not for long: what waits for a file waits in vain."""
    found = [only(store, "guard"), only(store, "filler")]
    for helper in found:
        helper.send(signal.SIGSTOP)
    try:
        yield
    finally:
        for helper in found:
            helper.send(signal.SIGCONT)


def tree_of(harness: Harness) -> Path:
    """The only AppDir in the store."""
    (entry,) = harness.shelf("tree").iterdir()
    return entry / "tree"


def is_gone(harness: Harness) -> bool:
    """Whether nothing of ours runs, and no tree is left or on its way out."""
    return not helpers(harness.store) and not any(any(harness.shelf(name).iterdir()) for name in ("tree", "trash"))


def is_complete(harness: Harness) -> bool:
    return (tree_of(harness).parent / "watch").exists() and not helpers(harness.store)


def unfilled(tree: Path) -> frozenset[str]:
    """The files of which no byte has been written."""
    return frozenset(path for path, facts in files_with_content(tree).items() if facts.st_blocks == 0)


def trace_paths(trace: Path, table: bytes) -> list[str]:
    """What the start-up trace says, as paths."""
    paths = decode(table).paths()
    return [paths[number].decode() for (number,) in struct.iter_unpack("<I", trace.read_bytes())]
