"""A real program: how its AppDir is made, how it is started, and what of it is compared."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tmprun_bench.corpora import debian
from tmprun_bench.corpora.app import App, write_script
from tmprun_bench.corpora.libreoffice import FONTS

# What only installation scripts and services of a whole system need.
SYSTEM = (
    "adduser", "dbus-user-session", "dmsetup", "init-system-helpers", "libpam-modules", "libpam-modules-bin",
    "libpam-runtime", "libpam-systemd", "libperl5.36", "login", "mount", "passwd", "perl", "perl-modules-5.36",
    "procps", "systemd", "systemd-sysv", "usr-is-merged", "usrmerge",
)  # fmt: skip

APPRUN = """#!/bin/sh
here=$(cd "${0%/*}" && pwd)
usr=$here/usr
lib=$usr/lib/x86_64-linux-gnu
export LD_LIBRARY_PATH="$lib:$lib/pulseaudio:$lib/gdk-pixbuf-2.0/2.10.0/loaders:$here/lib/x86_64-linux-gnu"
export FONTCONFIG_FILE="$here/etc/fonts/tmprun.conf" XDG_DATA_DIRS="$usr/share" XKB_CONFIG_ROOT="$usr/share/X11/xkb"
"""


@dataclass(frozen=True)
class Program:
    """`app` says how it is built, started and checked; its scratch directory is HOME.

    `window`: it shows one, which is compared, and runs until it is ended. `noisy`: its processes say on stderr what
    comes to their minds, so only the kinds of lines count there, but for those that match `by_chance`, which come and
    go by path, too. `alters_itself`: it writes into its own directory, so by path it gets a copy. `keeps` are
    directories in HOME of which names, types and sizes are compared.
    """

    app: App
    window: bool = False
    noisy: bool = False
    by_chance: bytes = rb"$."
    alters_itself: bool = False
    keeps: Sequence[str] = ()
    prepare: Callable[[Path], None] = lambda home: None
    environment: Mapping[str, str] = field(default_factory=dict)


def of_debian(root: Path, packages: Sequence[str], start: str) -> None:
    """An AppDir of Debian's packages, with their libraries and fonts; `start` are AppRun's last lines."""
    debian.tree(root, packages, without=(*debian.LIBC, *SYSTEM))
    fonts = root / "etc/fonts"
    fonts.mkdir(parents=True, exist_ok=True)
    (fonts / "tmprun.conf").write_text(FONTS)
    write_script(root / "AppRun", APPRUN + start)


def run_inside(root: Path, program: str, *arguments: str | Path) -> str:
    """What a program of the AppDir prints, started with the AppDir's libraries."""
    folders = [root / "usr/lib/x86_64-linux-gnu", root / "lib/x86_64-linux-gnu"]
    environment = {
        "PATH": "/usr/bin:/bin",
        "LD_LIBRARY_PATH": ":".join(map(str, folders)),
        "PKGSYSTEM_ENABLE_FSYNC": "0",
        "XDG_DATA_DIRS": str(root / "usr/share"),
    }
    command = [root / program, *arguments]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
