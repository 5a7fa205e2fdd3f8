"""git from Debian's packages; its run asks for the state of a small repository with a change and a new file in it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tmprun_bench.corpora import debian
from tmprun_bench.corpora.app import App, prints, write_script
from tmprun_bench.corpora.cache import make

# Of use to its scripts only, which `git status` does not start.
WITHOUT = ("git-man", "liberror-perl", "perl", "perl-modules-5.36", "libperl5.36", "openssl", "ca-certificates")
FILES = 200
ANSWER = b" M file-042\n?? new\n"

APPRUN = """#!/bin/sh
here=$(cd "${0%/*}" && pwd)
usr=$here/usr
export LD_LIBRARY_PATH="$usr/lib/x86_64-linux-gnu:$here/lib/x86_64-linux-gnu"
export GIT_EXEC_PATH="$usr/lib/git-core" GIT_TEMPLATE_DIR="$usr/share/git-core/templates"
export GIT_CONFIG_NOSYSTEM=1
exec "$usr/bin/git" "$@"
"""


def app() -> App:
    """A command that is started all day long and runs for a few milliseconds."""
    return App("git", "git status of a small repository", _build, _arguments, prints(ANSWER))


def _build(root: Path) -> None:
    debian.tree(root, ["git"], without=(*debian.LIBC, *WITHOUT))
    write_script(root / "AppRun", APPRUN)


def _arguments(_scratch: Path) -> tuple[str, ...]:
    # Locks are for writing the index anew, which no run may do for the next.
    return "--no-optional-locks", "-C", str(_repository()), "status", "--short"


def _repository() -> Path:
    return make(app().folder / "repository", _fill)


def _fill(root: Path) -> None:
    root.mkdir()
    for number in range(FILES):
        (root / f"file-{number:03}").write_text(f"{number}\n")
    for arguments in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "all")):
        _git(root, *arguments)
    (root / "file-042").write_text("changed\n")
    (root / "new").write_text("new\n")


def _git(root: Path, *arguments: str) -> None:
    who = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "nobody"), ("EMAIL", "nobody@example.org"), ("DATE", "2020-01-01T00:00:00Z"))
    }
    environment = {"PATH": os.environ["PATH"], "HOME": str(root), "GIT_CONFIG_GLOBAL": os.devnull, **who}
    subprocess.run([app().appdir / "AppRun", *arguments], cwd=root, env=environment, check=True)
