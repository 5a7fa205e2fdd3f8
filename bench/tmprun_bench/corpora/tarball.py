"""AppDirs as compressed tars: what the proposal to throw away FUSE asks for, by GNU tar and zstd alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tmprun_bench.corpora.app import App
from tmprun_bench.corpora.cache import make
from tmprun_bench.corpora.images import Packing
from tmprun_bench.errors import BenchError

# The same bytes for the same AppDir.
OPTIONS = ("--sort=name", "--format=posix", "--owner=0", "--group=0", "--numeric-owner")


def tarball(app: App, packing: Packing, codec: str = "zstd") -> Path:
    """The app as .tar.zst at the level of the others; or, with `gzip`, as .tar.gz at gzip's usual level."""
    if codec == "gzip":
        return make(app.folder / f"{app.name}.tar.gz", lambda path: _run(_options("gzip -6 -n", app.appdir, path)))
    name = f"{app.name}-zstd{packing.level}.tar.zst"
    return make(app.folder / name, lambda path: _run(command(app.appdir, path, packing)))


def command(appdir: Path, out: Path, packing: Packing) -> tuple[str, ...]:
    """Packs on all cores."""
    return _options(f"zstd -{packing.level} -T0 -q", appdir, out)


def _options(compressor: str, appdir: Path, out: Path) -> tuple[str, ...]:
    return ("tar", "-I", compressor, *OPTIONS, "-cf", os.fspath(out), "-C", os.fspath(appdir), ".")


def _run(command: tuple[str, ...]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"tar failed: {done.stderr.strip()}")
