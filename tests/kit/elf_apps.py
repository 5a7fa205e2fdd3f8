"""Real apps of glibc for machines without: bundles packed here with --with-libc, each made once."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from tmprun_bench.corpora import debian, neovim, node, pypi
from tmprun_bench.corpora.cache import make
from tmprun_bench.places import CORPORA

from kit.apps import SETTLED, write
from tmprun.pack.pack import PackReport, pack

SHELL = "#!/bin/sh\n"
# What glibc's loader is called on this machine.
NAME = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}[os.uname().machine]


def with_libc(appdir: Path, bundle: Path) -> PackReport:
    report = pack(appdir, bundle, level=1, with_libc=True)
    time.sleep(SETTLED)
    return report


def neovim_appdir(into: Path) -> Path:
    """Neovim without a word about library paths in its environment."""
    appdir = into / "Nvim.AppDir"
    shutil.copytree(neovim.app(with_libc=False).appdir, appdir, symlinks=True)
    (appdir / "AppRun").unlink()
    script = 'export VIM="$APPDIR/usr/share/nvim" VIMRUNTIME="$APPDIR/usr/share/nvim/runtime"\n'
    write(appdir / "AppRun", SHELL + script + 'exec "$APPDIR/usr/bin/nvim" "$@"\n', 0o755)
    return appdir


def node_appdir(into: Path) -> Path:
    appdir = into / "Node.AppDir"
    shutil.copytree(node.app().appdir, appdir, symlinks=True)
    return appdir


def python_appdir(into: Path) -> Path:
    """Debian's Python with its standard library; AppRun is the interpreter itself, and a script asks for it by #!."""
    python = debian.python()
    source = make(
        CORPORA / f"{python}-1" / "python.AppDir", lambda root: debian.tree(root, [python], without=debian.LIBC)
    )
    appdir = into / "Python.AppDir"
    shutil.copytree(source, appdir, symlinks=True)
    write(
        appdir / "usr" / "bin" / "hello",
        f"#!/usr/bin/{python} -I\nimport sys\nprint('hello from', sys.executable)\n",
        0o755,
    )
    write(appdir / "AppRun", SHELL + f'exec "$APPDIR/usr/bin/${{APP_PROGRAM:-{python}}}" "$@"\n', 0o755)
    return appdir


def git_appdir(into: Path) -> Path:
    """This machine's git."""
    appdir = into / "Git.AppDir"
    for path in ("/usr/bin/git", "/usr/lib/git-core", "/usr/share/git-core"):
        (appdir / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", path, appdir / path[1:]], check=True)
    for link in (appdir / "usr" / "lib" / "git-core").iterdir():
        if link.is_symlink() and str(link.readlink()).startswith("/"):
            link.unlink()
    script = 'export GIT_EXEC_PATH="$APPDIR/usr/lib/git-core" GIT_TEMPLATE_DIR="$APPDIR/usr/share/git-core/templates"\n'
    write(appdir / "AppRun", SHELL + script + 'exec "$APPDIR/usr/bin/git" "$@"\n', 0o755)
    return appdir


def go_appdir(into: Path) -> Path:
    """A Go program as most are, static, which starts programs; as AppRun itself."""
    wheel = into / "wheel"
    pypi.unpack("lefthook==2.2.2", wheel)
    appdir = into / "Go.AppDir"
    appdir.mkdir()
    (program,) = wheel.glob("lefthook/bin/*/lefthook")
    shutil.copy(program, appdir / "AppRun")
    (appdir / "AppRun").chmod(0o755)
    return appdir


LOCALE_SOURCE = r"""
#define _GNU_SOURCE
#include <gnu/libc-version.h>
#include <iconv.h>
#include <langinfo.h>
#include <locale.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    char in[] = "\xa4", out[8] = "", *from = in, *to = out, exe[4096] = "";
    size_t left = 1, room = sizeof out - 1;
    struct passwd *user = getpwuid(getuid());
    iconv_t converter = iconv_open("UTF-8", "ISO-8859-15");
    if (converter != (iconv_t)-1)
        iconv(converter, &from, &left, &to, &room);
    const char *locale = setlocale(LC_ALL, "C.UTF-8");
    if (readlink("/proc/self/exe", exe, sizeof exe - 1) < 0)
        return 1;
    printf("%s %s %s %s %s %s\n", user ? user->pw_name : "?", out, locale ? locale : "?", nl_langinfo(CODESET),
           gnu_get_libc_version(), exe);
    return 0;
}
"""


def locale_appdir(into: Path) -> Path:
    """A program that asks the C library for what lies outside of it; with static programs of both kinds beside it."""
    appdir = into / "Locale.AppDir"
    source = write(into / "locale.c", LOCALE_SOURCE)
    (appdir / "usr" / "bin").mkdir(parents=True)
    subprocess.run(["cc", "-o", appdir / "usr" / "bin" / "locale", source], check=True)
    subprocess.run(["cc", "-static-pie", "-o", appdir / "usr" / "bin" / "pie", source], check=True)
    subprocess.run(["cc", "-static", "-o", appdir / "usr" / "bin" / "static", source], check=True)
    write(appdir / "AppRun", SHELL + 'exec "$APPDIR/usr/bin/${APP_PROGRAM:-locale}"\n', 0o755)
    return appdir
