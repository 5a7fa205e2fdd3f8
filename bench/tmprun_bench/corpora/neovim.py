"""Neovim from Debian's packages, with the host's C library or with its own; its run starts and quits the editor."""

from __future__ import annotations

from pathlib import Path

from tmprun_bench.corpora import debian
from tmprun_bench.corpora.app import App, prints, write_script
from tmprun_bench.corpora.cache import remove

# Never used by neovim itself: character sets of iconv, and preloaded tools of the C library.
DROPPED = (
    "usr/lib/*/gconv",
    "usr/lib/*/audit",
    "lib/*/libc_malloc_debug*",
    "lib/*/libmemusage*",
    "lib/*/libpcprofile*",
)

APPRUN = """#!/bin/sh
here=$(cd "${0%/*}" && pwd)
export VIM="$here/usr/share/nvim" VIMRUNTIME="$here/usr/share/nvim/runtime"
"""
HOST_LIBC = """
libraries=$here/usr/lib/x86_64-linux-gnu:$here/lib/x86_64-linux-gnu
export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$here/usr/bin/nvim" "$@"
"""
OWN_LIBC = """
exec "$here/lib64/ld-linux-x86-64.so.2" --inhibit-cache \\
    --library-path "$here/usr/lib/x86_64-linux-gnu:$here/lib/x86_64-linux-gnu" --argv0 nvim "$here/usr/bin/nvim" "$@"
"""


def app(*, with_libc: bool) -> App:
    """A small program with many files: about 27 MB, 1,600 files."""
    name = "neovim-libc" if with_libc else "neovim"
    title = f"neovim starts and quits ({'its own' if with_libc else 'the host'} C library)"
    return App(name, title, lambda root: _build(root, with_libc), _arguments, prints(b""))


def _arguments(_scratch: Path) -> tuple[str, ...]:
    return "--headless", "-u", "NONE", "+q"


def _build(root: Path, with_libc: bool) -> None:
    debian.tree(root, ["neovim"], without=() if with_libc else debian.LIBC)
    for pattern in DROPPED:
        for path in root.glob(pattern):
            remove(path)
    (root / "nvim.desktop").write_bytes((root / "usr/share/applications/nvim.desktop").read_bytes())
    icon = min((root / "usr/share/icons").rglob("nvim.png"))
    (root / "nvim.png").write_bytes(icon.read_bytes())
    (root / ".DirIcon").symlink_to("nvim.png")
    write_script(root / "AppRun", APPRUN + (OWN_LIBC if with_libc else HOST_LIBC))
