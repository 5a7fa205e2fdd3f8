"""The apps under test: AppDirs made here, packed into bundles."""

from __future__ import annotations

import os
import random
import subprocess
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

from kit.trees import below
from tmprun.pack.pack import pack

PROBE_SOURCE = Path(__file__).parent.parent / "probe" / "probe.c"

# An identity is recorded only for a file that is older than this (docs/store.md), in seconds.
SETTLED = 0.06


@dataclass(frozen=True)
class App:
    """A bundle, the AppDir it came from, its key, and size and CRC-32 of each of its files by path."""

    bundle: Path
    appdir: Path
    key: str
    sums: dict[str, tuple[int, int]]

    def sums_seen(self, report: dict[str, list[list[object]]], appdir: str) -> bool:
        """Whether the probe found every file as it is in the AppDir, and no other."""
        seen = {str(path).removeprefix(appdir + "/"): (size, crc) for path, size, crc in report["sum"]}
        return seen == self.sums


def compile_probe(into: Path) -> Path:
    """The probe as a static program, which needs nothing of the machine that it runs on."""
    target = into / "probe"
    flags = ["-static", "-Os", "-s", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["musl-gcc", *flags, "-o", target, PROBE_SOURCE], check=True)
    return target


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that do not compress."""
    return random.Random(seed).randbytes(size)


def write(path: Path, content: bytes | str, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def probe_appdir(into: Path, probe: Path, *, large: int = 0) -> Path:
    """An AppDir with the probe as AppRun and one of everything; with `large` also that many bytes in two files."""
    appdir = into / "Probe.AppDir"
    write(appdir / "AppRun", probe.read_bytes(), 0o755)
    write(appdir / "usr" / "share" / "text", "a text of some length, again and again\n" * 2000)
    write(appdir / "usr" / "share" / "noise", noise(20_000))
    write(appdir / "usr" / "share" / "empty", b"")
    write(appdir / "usr" / "share" / "secret", b"only for the owner", 0o600)
    write(appdir / "usr" / "bin" / "setuid", "#!/bin/sh\nexit 1\n", 0o4755)
    write(appdir / "usr" / "lib" / "libx.so.1", noise(3_000, 2), 0o755)
    write(appdir / os.fsdecode(b"usr/odd \xff\n name"), b"odd")
    (appdir / "usr" / "empty directory").mkdir()
    (appdir / "usr" / "link").symlink_to("share/text")
    (appdir / "usr" / "dangling").symlink_to("/no/such/thing")
    os.link(appdir / "usr" / "share" / "noise", appdir / "usr" / "hard")
    if large:
        write(appdir / "usr" / "large" / "noise", noise(large // 2, 3))
        write(appdir / "usr" / "large" / "zeros", noise(1000, 4) + bytes(large // 2 - 2000) + noise(1000, 5))
    for number, path in enumerate(sorted(below(appdir))):
        os.utime(path, (1_600_000_000 + number, 1_600_000_000 + number), follow_symlinks=False)
    return appdir


def script_appdir(into: Path, script: str, name: str = "Script.AppDir") -> Path:
    """An AppDir whose AppRun is a script of /bin/sh."""
    write(into / name / "AppRun", f"#!/bin/sh\n{script}\n", 0o755)
    return into / name


def packed(appdir: Path, bundle: Path, level: int = 1) -> App:
    """Pack the AppDir, and wait until its bundle may be remembered."""
    report = pack(appdir, bundle, level=level, threads=1)
    sums = {}
    for path in below(appdir):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            name = os.fsencode(path.relative_to(appdir)).decode("latin-1")
            sums[name] = (len(content), zlib.crc32(content))
    time.sleep(SETTLED)
    return App(bundle, appdir, report.key, sums)
