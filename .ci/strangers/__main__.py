"""`make strangers`: HEAD, cloned alone into bare roots of two Debian releases, passes `make demo` and `make test`.

As root in a container, and as an ordinary user, who can install nothing: somebody follows the advice that is printed.

Usage: python .ci/strangers [--jobs N] [--keep] [RELEASE/USER...], for instance trixie/root; all four by default.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import roots
from host import Unable
from outcome import Outcome, table
from roots import BUILD, REPOSITORY, USER, Place

RELEASES = ("bookworm", "trixie")
ADVICE = re.compile(rb"as root: apt-get install ([a-z0-9+. -]+)$", re.MULTILINE)
JUNIT = "/tmp/junit.xml"


class Trouble(Exception):
    """What went wrong in a configuration, as one line."""


class Visit:
    """One configuration: a root, a user in it, and a log of everything that is done there."""

    def __init__(self, name: str) -> None:
        self.release, _, self.user = name.partition("/")
        self.place = Place(self.release, self.user)
        self.log = BUILD / "logs" / f"{self.release}-{self.user}.log"

    def run(self, archive: Path, *, keep: bool) -> Outcome:
        """Do all of it. What goes wrong is in the outcome."""
        outcome = Outcome(self.release, self.user)
        start = time.monotonic()
        self.log.write_bytes(b"")
        try:
            self.place.make(archive)
            self._succeed("demo")
            self._succeed("test", f"ARGS=--junitxml={JUNIT}")
        except (Trouble, OSError, subprocess.CalledProcessError) as trouble:
            outcome.trouble = str(trouble)
        junit = self.place.root / JUNIT.lstrip("/")
        if junit.exists():
            outcome.count(junit)
        outcome.minutes = (time.monotonic() - start) / 60
        if outcome.good and not keep:
            roots.remove(self.place.root)
        return outcome

    def _succeed(self, target: str, *words: str) -> None:
        """Make `target`. An ordinary user who is told what root has to install tries again when that is done, once."""
        status, said = self._make(target, *words)
        advice = ADVICE.findall(said)
        if status and advice and self.user != "root":
            self._do("root", "apt-get", "update", "-qq")
            install = ("apt-get", "install", "-qq", "-y", "--no-install-recommends", *advice[-1].decode().split())
            if self._do("root", "env", "DEBIAN_FRONTEND=noninteractive", *install)[0]:
                raise Trouble(f"make {target}: its advice cannot be followed; see {self.log}")
            status, said = self._make(target, *words)
        if status:
            raise Trouble(f"make {target} ended with {status}; see {self.log}")

    def _make(self, target: str, *words: str) -> tuple[int, bytes]:
        print(f"{self.release}, {self.user}: make {target}", flush=True)
        return self._do(self.user, "make", "-C", "tmprun", target, *words)

    def _do(self, user: str, *words: str) -> tuple[int, bytes]:
        """Run a command inside; its exit status and what it printed, which goes to the log."""
        command, environment = self.place.command(user, *words)
        with self.log.open("ab") as log:
            log.write(f"\n$ {' '.join(words)}  # {user}\n".encode())
            log.flush()
            begin = log.tell()
            status = subprocess.run(command, env=environment, stdout=log, stderr=log, check=False).returncode
        with self.log.open("rb") as log:
            log.seek(begin)
            return status, log.read()


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="strangers", description=str(__doc__).partition("\n\n")[0])
    everyone = [f"{release}/{user}" for release in RELEASES for user in ("root", USER)]
    parser.add_argument("configurations", nargs="*", metavar="RELEASE/USER", help=f"any of {', '.join(everyone)}")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    parser.add_argument("--keep", action="store_true", help="leave the roots in build/strangers")
    options = parser.parse_args(words)
    names = options.configurations or everyone
    if unknown := set(names) - set(everyone):
        raise Unable(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(everyone)}")
    if os.geteuid() != 0:
        raise Unable("only root can make and enter roots")
    (BUILD / "logs").mkdir(parents=True, exist_ok=True)
    if subprocess.run(["git", "status", "--porcelain"], cwd=REPOSITORY, capture_output=True, check=True).stdout:
        print("there are changes that are not committed: HEAD is tried, without them", flush=True)
    archives = {release: roots.bootstrap(release) for release in {name.partition("/")[0] for name in names}}
    with ThreadPoolExecutor(options.jobs) as pool:
        visits = [Visit(name) for name in names]
        outcomes = list(pool.map(lambda visit: visit.run(archives[visit.release], keep=options.keep), visits))
    print(table(outcomes))
    return 0 if all(outcome.good for outcome in outcomes) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Unable as error:
        sys.exit(f"strangers: {error}")
