"""CPython with numpy and a shelf of other packages: 18,000 small files, of which `import numpy` opens a few."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tmprun_bench.corpora import debian
from tmprun_bench.corpora.app import App, prints, write_script

# numpy, and what a scientist's or a web developer's Python has beside it. All of it pure Python but numpy and pandas.
PACKAGES = (
    "python3.11", "python3-numpy", "python3-sympy", "python3-django", "python3-pandas", "python3-networkx",
    "python3-babel", "python3-docutils", "python3-pygments", "python3-sqlalchemy",
)  # fmt: skip
WITHOUT = ("media-types", "mailcap", "mime-support", "openssl", "ca-certificates", "perl-modules-5.36", "perl")
PROGRAM = "import numpy; print(numpy.arange(6).reshape(2, 3) @ numpy.ones((3, 1)))"
ANSWER = b"[[ 3.]\n [12.]]\n"

APPRUN = """#!/bin/sh
here=$(cd "${0%/*}" && pwd)
lib=$here/usr/lib/x86_64-linux-gnu
export LD_LIBRARY_PATH="$lib:$lib/blas:$lib/lapack:$here/lib/x86_64-linux-gnu"
export PYTHONHOME="$here/usr" PYTHONPATH="$here/usr/lib/python3/dist-packages" PYTHONDONTWRITEBYTECODE=1
exec "$here/usr/bin/python3.11" "$@"
"""


def app() -> App:
    """Many tiny files with a tiny hot set."""
    return App("python-numpy", "python -c 'import numpy'", _build, _arguments, prints(ANSWER))


def _arguments(_scratch: Path) -> tuple[str, ...]:
    return "-c", PROGRAM


def _build(root: Path) -> None:
    debian.tree(root, PACKAGES, without=(*debian.LIBC, *WITHOUT))
    write_script(root / "AppRun", APPRUN)
    # As Debian's installation scripts do. The .pyc files name no path of the building machine (-s), and hold the
    # mtimes of their sources, which every packer keeps: a subject that gets one wrong compiles again, and pays.
    folders = [root / "usr/lib/python3.11", root / "usr/lib/python3/dist-packages"]
    subprocess.run([root / "AppRun", "-m", "compileall", "-q", "-s", root, "-p", "/", *folders], check=False)
