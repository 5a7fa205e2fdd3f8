"""`make real`: real programs, started by path and through tmprun, and whether anything differs.

Each is packed as an AppImage of others, and as a bundle that starts itself, and started cold (the store is empty,
nothing is remembered), cold again (the store is empty, the trace is there) and warm, in the default mode, as root and
as an ordinary user; by path just as often. Output, exit status, files in HOME and windows are compared. Exit status 1
when something differs.

Usage: python tests/real [--as root|ordinary] [--image foreign|bundle] [--fill MODE] [--door TMPRUN] [--pictures FOLDER]
       [PROGRAM...]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from catalogue import programs
from outcome import STARTS, Row, differences, table
from place import ORDINARY, Place, become, place
from program import Program
from start import Seen, Way, start
from tmprun_bench.corpora import images
from tmprun_bench.errors import BenchError

ROOT = Path(__file__).resolve().parents[2]
DOOR = ROOT / ".venv/bin/tmprun"
PACKING = images.Packing(level=3)
# A program, and Debian's package with it.
NEEDS = {"Xvfb": "xvfb", "mksquashfs": "squashfs-tools", "apt-get": "apt"}


class Unable(Exception):
    """Why it cannot be tried here, as one line."""


def main(words: Sequence[str]) -> int:
    known = programs()
    parser = argparse.ArgumentParser(prog="real", description=str(__doc__).partition("\n\n")[0])
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=f"any of {', '.join(known)}; all by default")
    parser.add_argument("--as", dest="users", choices=("root", "ordinary"), action="append", help="both by default")
    parser.add_argument(
        "--image", dest="images", choices=("foreign", "bundle"), action="append", help="both by default"
    )
    parser.add_argument("--fill", choices=("eager", "background", "demand"), help="not the default mode, but this one")
    parser.add_argument("--door", type=Path, default=DOOR, help="another tmprun than the one that was built here")
    parser.add_argument("--pictures", type=Path, help="leave the windows' pictures there, as PNG")
    options = parser.parse_args(words)
    if unknown := set(options.programs) - known.keys():
        raise Unable(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    _install()
    users = [(name, _user(name, options.door)) for name in options.users or _everybody()]
    options.images = options.images or ["foreign", "bundle"]
    rows = []
    for name in options.programs or known:
        for user, number in users:
            print(f"{name}, {user}", flush=True)
            rows += list(_rows(name, known[name], user, number, options))
            print(table(rows[-len(options.images) :]), flush=True)
    print()
    print(table(rows))
    for row in rows:
        print(*row.details(), sep="\n", end="\n" if row.details() else "")
    return 0 if all(row.equal for row in rows) else 1


def _install() -> None:
    missing = sorted(package for program, package in NEEDS.items() if not shutil.which(program))
    if not missing:
        return
    advice = ("apt-get", "install", "-qq", "-y", "--no-install-recommends", *missing)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Unable(f"programs are missing; as root: {' '.join(advice)}")
    subprocess.run(advice, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, check=True)


def _everybody() -> list[str]:
    return ["root", "ordinary"] if os.geteuid() == 0 else ["ordinary"]


def _user(name: str, door: Path) -> int:
    """The user's number, who can reach the front door and its Python part."""
    if name == "root" and os.geteuid() != 0:
        raise Unable("only root can start programs as root")
    if name == "root" or os.geteuid() != 0:
        return os.geteuid()
    listed = [str(door), "cache", "list"]
    tried = subprocess.run(listed, cwd="/", env={}, capture_output=True, check=False, **become(ORDINARY))
    if tried.returncode:
        raise Unable(
            f"an ordinary user cannot use {door}: install tmprun where he can (python3 -m venv, pip install .), "
            "and give ARGS='--door VENV/bin/tmprun'; or ARGS='--as root'"
        )
    return ORDINARY


def _rows(name: str, program: Program, user: str, number: int, options: argparse.Namespace) -> Iterator[Row]:
    made = {"foreign": images.type2, "bundle": images.bundled}
    with place(number) as here:
        for kind in options.images:
            image = made[kind](program.app, PACKING)
            wanted = _by_path(program, image, here, fresh=options.fill == "demand")
            row = Row(name, user, kind, str(wanted[0].status))
            row.trouble = [
                f"by path: {line}" for seen in wanted for line in (seen.wrong, *seen.facts, *seen.said) if line
            ]
            command = (str(image),) if kind == "bundle" else (str(options.door), str(image))
            found = _through(program, Way(kind, command, image, fill=options.fill), here, row)
            row.trouble += _verified(options.door, here)
            for start_name, one, other in zip(STARTS, wanted, found, strict=True):
                row.starts[start_name] = differences(one, other)
                if options.pictures:
                    _keep_pictures(options.pictures, f"{name}, {user}, {kind}, {start_name}", one, other)
            yield row


def _keep_pictures(folder: Path, name: str, by_path: Seen, here: Seen) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for way, seen in (("by path", by_path), ("tmprun", here)):
        if seen.picture:
            seen.picture.write_png(folder / f"{name}, {way}.png")


def _by_path(program: Program, image: Path, here: Place, *, fresh: bool) -> list[Seen]:
    """Started by path as often, in a home that has seen as much. `fresh`: no start finds what another wrote beside
    the app."""
    here.empty()
    program.prepare(here.home)
    appdir = program.app.appdir
    found = []
    for name in STARTS:
        if program.alters_itself and (fresh or name != "warm"):
            appdir = _copy(program.app.appdir, here)
        found.append(start(program, Way("by path", (str(appdir / "AppRun"),), image, appdir), here))
    return found


def _copy(appdir: Path, here: Place) -> Path:
    copy = here.home.parent / "Copy.AppDir"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(appdir, copy, symlinks=True)
    for folder, folders, files in os.walk(copy):
        for each in (".", *folders, *files):
            os.chown(Path(folder) / each, here.user, here.user, follow_symlinks=False)
    return copy


def _through(program: Program, way: Way, here: Place, row: Row) -> list[Seen]:
    here.empty()
    program.prepare(here.home)
    found = []
    trees: dict[Path, int] = {}
    for name in STARTS:
        if name == "cold again":
            shutil.rmtree(here.store, ignore_errors=True)
        found.append(start(program, way, here))
        before, trees = trees, here.trees()
        if way.fill == "demand":  # the tree goes with its last user
            continue
        if len(trees) != 1:
            row.trouble.append(f"{name}: {len(trees)} trees in {here.store}")
        elif name == "warm" and before != trees:
            row.trouble.append("the warm start was none: it has another tree")
    row.filled = "gated" if way.fill == "demand" or any((entry / "filler").exists() for entry in trees) else "first"
    return found


def _verified(door: Path, here: Place) -> list[str]:
    """Every file that the image brought is in the tree as it should be."""
    command = [str(door), "cache", "verify"]
    environment = {**here.environment(), "TMPRUN_STORE": str(here.store)}
    done = subprocess.run(
        command, env=environment, cwd=here.home, capture_output=True, text=True, check=False, **become(here.user)
    )
    said = (done.stdout + done.stderr).splitlines()
    return [f"cache verify: {line}" for line in said[-8:]] if done.returncode else []


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Unable, BenchError) as error:
        sys.exit(f"real: {error}")
