"""`make others`: archives and packages that others made, as they are, through tmprun.

The archives that Go and Python test their own readers with (Debian's golang-src and libpython3-testsuite): each as
bsdtar reads it, or one line, soon. Packages of Debian's, node from PyPI, Python and Neovim as tarballs: each is started
twice. Exit status 1 when something is not as it should be.

Usage: PYTHONPATH=tests python tests/real/others.py [NAME...]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kit.archives import Unpacked, bsdtar, comparable
from kit.trees import below
from screen import NoPicture, screen
from tmprun_bench.corpora import debian, neovim, node
from tmprun_bench.corpora.cache import make
from tmprun_bench.errors import BenchError
from tmprun_bench.places import CORPORA

from tmprun.errors import TmprunError

DOOR = Path(__file__).resolve().parents[2] / ".venv/bin/tmprun"
LONGEST = 10.0  # seconds, for an archive of some KB
SETTLED = 2.5  # seconds after which a file counts as one that nobody writes to
NEEDS = {"xterm": "xterm", "Xvfb": "xvfb"}  # xterm's libraries


class Wrong(Exception):
    """What is not as it should be, as one line."""


# Archives that are made to be hard to read.


def go() -> Iterator[str]:
    """Go's of archive/tar and archive/zip."""
    source = _run("apt-cache", "depends", "golang-src").decode().split()[-1]
    yield from _each(_unpacked(source, "*/archive/*/testdata/*"))


def python() -> Iterator[str]:
    """Python's of tarfile."""
    yield from _each(_unpacked(f"lib{debian.python()}-testsuite", "*/test/*.tar"))


def _each(folder: Path) -> Iterator[str]:
    files = [path for path in below(folder) if path.suffix in (".tar", ".zip", ".bz2") and path.is_file()]
    counts = {"same": 0, "refused": 0}
    for path in files:
        with tempfile.TemporaryDirectory() as work:
            counts[_one(path, Path(work))] += 1
    if len(files) < 2:
        raise Wrong(f"there are {len(files)} archives in {folder}")
    yield f"{counts['same']} archives as bsdtar reads them, {counts['refused']} refused in one line"


def _one(path: Path, work: Path) -> str:
    """What became of one archive."""
    begun = time.monotonic()
    try:
        ours = Unpacked.by_us(path.read_bytes(), work / "ours")
    except (TmprunError, OSError) as error:
        if "\n" in str(error):
            raise Wrong(f"{path.name}: several lines: {error}") from None
        return "refused"
    finally:
        if time.monotonic() - begun > LONGEST:
            raise Wrong(f"{path.name} took longer than {LONGEST} s")
    theirs = Unpacked.by_bsdtar(path, work / "theirs")
    if ours.tree != theirs.tree:
        different = sorted(name for name in {*ours.tree, *theirs.tree} if ours.tree.get(name) != theirs.tree.get(name))
        raise Wrong(f"{path.name}: not as bsdtar reads it: {different[:3]}")
    return "same"


# Apps.


def hello() -> Iterator[str]:
    """A program for terminals, from its package."""
    yield from _started(_package("hello"), (), b"Hello, world!\n")


def xterm() -> Iterator[str]:
    """A program with a window, which relies on this machine's libraries, as packages do."""
    package = _package("xterm")
    with tempfile.TemporaryDirectory() as work:
        _run("dpkg-deb", "-x", str(package), f"{work}/theirs")
        ours = Unpacked.by_us(package.read_bytes(), Path(work, "ours"))
        if ours.tree != comparable(Path(work, "theirs")):
            raise Wrong("the tree is not dpkg's")
    for which in ("first", "second"):
        with _place() as environment, screen() as shown:
            environment["DISPLAY"] = shown.display
            with subprocess.Popen(
                [DOOR, package, "-e", "sleep 60"], env=environment, stderr=subprocess.DEVNULL
            ) as process:
                try:
                    shown.still(_ended(process))
                except NoPicture as error:
                    raise Wrong(f"its {which} start: {error}") from None
                finally:
                    process.terminate()
    yield "its tree is dpkg's; it shows a window"


def _ended(process: subprocess.Popen[bytes]) -> Iterator[bool]:
    while True:
        yield process.poll() is not None


def node_tarball() -> Iterator[str]:
    """As nodejs.org has it, of the files in a wheel."""
    tree = node.app().appdir
    yield from _tarball("node-v22.20.0-linux-x64", tree, "--gzip", ("-e", node.PROGRAM), node.ANSWER)


def python_tarball() -> Iterator[str]:
    """Python and its standard library; there are several programs, and one is called as the archive."""
    name = debian.python()
    tree = make(CORPORA / f"{name}-1" / "python.AppDir", lambda root: debian.tree(root, [name], without=debian.LIBC))
    words = ("-c", "import json; print(json.dumps([6 * 7]))")
    yield from _tarball(f"{name}-linux", tree, "--xz", words, b"[42]\n")


def nvim_tarball() -> Iterator[str]:
    """Neovim of Debian's files."""
    words = ("--headless", "-u", "NONE", "+lua io.stdout:write(6*7)", "+q")
    yield from _tarball("nvim-linux64", neovim.app(with_libc=False).appdir, "--zstd", words, b"42", keep=True)


def _tarball(
    name: str, tree: Path, option: str, words: tuple[str, ...], answer: bytes, *, keep: bool = False
) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as work:
        top = Path(work, name)
        shutil.copytree(tree, top, symlinks=True)
        if not keep:
            (top / "AppRun").unlink(missing_ok=True)
        archive = bsdtar(Path(work, f"{name}.tar.any"), top, option)
        shutil.rmtree(top)
        time.sleep(SETTLED)
        yield from _started(archive, words, answer)


def _started(archive: Path, words: tuple[str, ...], answer: bytes) -> Iterator[str]:
    """What it prints at its first start, and at its second without anything unpacked."""
    with _place() as environment:
        took = []
        for _ in range(2):
            shutil.rmtree(environment["TMPRUN_STORE"], ignore_errors=True)
            os.mkdir(environment["TMPRUN_STORE"], 0o700)
            begun = time.monotonic()
            done = subprocess.run([DOOR, archive, *words], env=environment, capture_output=True, check=False)
            took.append(time.monotonic() - begun)
            if (done.returncode, done.stdout) != (0, answer):
                raise Wrong(f"status {done.returncode}, {done.stdout[-200:]!r}, {done.stderr[-300:]!r}")
        yield f"first start {took[0]:.1f} s, second {took[1]:.2f} s"


@contextmanager
def _place() -> Iterator[dict[str, str]]:
    """An environment with a home, and a store, that are nobody else's."""
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/store", 0o700)
        yield {"HOME": folder, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TMPRUN_STORE": f"{folder}/store"}


def _package(name: str) -> Path:
    """A package's file, downloaded."""
    folder = CORPORA / "packages"
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted(folder.glob(f"{name}_*.deb"))
    if not found:
        subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", name], cwd=folder, check=True)
        found = sorted(folder.glob(f"{name}_*.deb"))
        time.sleep(SETTLED)
    return found[-1]


def _unpacked(name: str, pattern: str) -> Path:
    """Files of a package, unpacked."""

    def build(root: Path) -> None:
        root.mkdir()
        files = _run("dpkg-deb", "--fsys-tarfile", str(_package(name)))
        subprocess.run(["tar", "-x", "-C", root, "--wildcards", pattern], input=files, check=True)

    return make(CORPORA / f"{name}-testdata" / "files", build)


def _run(*command: str) -> bytes:
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


CHECKS: dict[str, Callable[[], Iterator[str]]] = {
    "go": go, "python": python, "hello": hello, "xterm": xterm, "node": node_tarball, "cpython": python_tarball,
    "neovim": nvim_tarball,
}  # fmt: skip


def main(words: list[str]) -> int:
    wrong = 0
    missing = [package for program, package in NEEDS.items() if not shutil.which(program)]
    if missing:
        print(f"others: programs are missing; as root: apt-get install {' '.join(missing)}", file=sys.stderr)
        return 1
    for name in words or CHECKS:
        try:
            said = "; ".join(CHECKS[name]())
        except (Wrong, BenchError, subprocess.CalledProcessError) as error:
            said, wrong = f"WRONG: {error}", wrong + 1
        print(f"{name:10} {said}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
