"""Bundles packed on this glibc machine with --with-libc, started where there is no glibc, no FUSE and no Python."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from kit.elf_apps import git_appdir, go_appdir, locale_appdir, neovim_appdir, node_appdir, python_appdir, with_libc
from kit.harness import Harness
from kit.musl_root import USERS, Enter, in_musl, made_once, make_root
from kit.places import PUBLISHED
from tmprun_bench.corpora import debian

from tmprun.pack.pack import pack


@pytest.fixture(scope="session")
def root(shared: Path) -> Path:
    return make_root(shared / "musl")


@pytest.fixture(scope="session")
def apps(shared: Path) -> Path:
    """Bundles by name, made when first asked for."""
    folder = shared / "glibc apps"
    folder.mkdir()
    return folder


@pytest.fixture
def enter(harness: Harness, root: Path, apps: Path) -> Enter:
    return lambda *command, **options: in_musl(harness, root, apps, *command, **options)


def bundle(apps: Path, make: Callable[[Path], Path]) -> str:
    """The name that the bundle of that AppDir has in the root."""
    return made_once(apps, make.__name__, make, with_libc)


def test_the_root_has_no_glibc(root: Path, enter: Enter) -> None:
    assert not list(root.rglob("ld-linux*")) and not list(root.rglob("python*"))
    assert enter("ls", "/").stdout.split() == sorted(enter("ls", "/").stdout.split())


@USERS
def test_locale_names_and_character_sets(apps: Path, enter: Enter, user: int) -> None:
    said = enter(bundle(apps, locale_appdir), user=user).stdout.decode().split()
    assert said[:4] == ["user" if user else "root", "€", "C.UTF-8", "UTF-8"]
    assert said[5].endswith("/tree/usr/bin/locale")


@pytest.mark.parametrize("program", ["static", "pie"])
def test_static_programs_are_left_alone(apps: Path, enter: Enter, program: str) -> None:
    said = enter(bundle(apps, locale_appdir), env={"APP_PROGRAM": program}).stdout.decode().split()
    assert said[-1].endswith(f"/tree/usr/bin/{program}")


@USERS
def test_go(apps: Path, enter: Enter, user: int) -> None:
    """Static, so it needs no C library of anybody."""
    app = made_once(apps, "go_appdir", go_appdir, partial(pack, level=1))
    assert enter(app, "version", user=user).stdout.startswith(b"2.2.2")


@USERS
def test_neovim(apps: Path, enter: Enter, user: int) -> None:
    commands = [
        "lua io.write(vim.v.progpath .. '\\n' .. vim.env.VIMRUNTIME .. '\\n')",
        "lua io.write(vim.fn.system('echo from system') .. vim.fn.filereadable(vim.env.VIMRUNTIME .. '/syntax/c.vim'))",
        "silent !ls / > /tmp/listing",
        "lua io.write('\\n' .. vim.fn.join(vim.fn.readfile('/tmp/listing'), ' '))",
        "help | lua io.write('\\n' .. vim.fn.expand('%:t'))",
        "qa!",
    ]
    words = [word for command in commands for word in ("-c", command)]
    said = enter(bundle(apps, neovim_appdir), "--headless", *words, user=user).stdout.decode().splitlines()
    assert said[0].endswith("/tree/usr/bin/nvim") and said[1].endswith("/tree/usr/share/nvim/runtime")
    assert said[2:4] == ["from system", "1"] and "etc" in said[4].split() and said[5] == "help.txt"


@USERS
def test_git(apps: Path, enter: Enter, user: int) -> None:
    git = bundle(apps, git_appdir)
    script = (
        f"cd /tmp && {git} init -q repo && cd repo && echo text > file && {git} add file"
        f" && {git} -c user.name=n -c user.email=e commit -q -m first && {git} log --format=%s"
        f" && {git} clone -q --no-local . ../copy && cat ../copy/file"
        f" && {git} -c alias.x='!git --exec-path' x && {git} stash list"
    )
    said = enter("sh", "-c", script, user=user).stdout.decode().splitlines()
    assert said[:2] == ["first", "text"] and said[2].endswith("/tree/usr/lib/git-core")


@USERS
def test_node(apps: Path, enter: Enter, user: int) -> None:
    program = (
        "console.log(process.execPath);"
        "const c = require('child_process');"
        "process.stdout.write(c.execFileSync(process.execPath, ['-p', '6 * 7']));"
        "process.stdout.write(c.execSync('ls /apps >/dev/null && echo from sh'));"
        "console.log(require('crypto').createHash('sha256').update('').digest('hex').slice(0, 8));"
        "console.log(require('os').userInfo().username)"
    )
    said = enter(bundle(apps, node_appdir), "-e", program, user=user).stdout.decode().splitlines()
    assert said[0].endswith("/tree/bin/node")
    assert said[1:] == ["42", "from sh", "e3b0c442", "user" if user else "root"]


@USERS
def test_python(apps: Path, enter: Enter, user: int) -> None:
    program = (
        "import sys, subprocess, ssl, sqlite3, ctypes, locale, pwd, os\n"
        "print(sys.executable)\n"
        "print(subprocess.run([sys.executable, '-c', 'print(6 * 7)'], capture_output=True, text=True).stdout.strip())\n"
        "print(subprocess.run(['echo', 'from busybox'], capture_output=True, text=True).stdout.strip())\n"
        "print(ssl.OPENSSL_VERSION.split()[0], pwd.getpwuid(os.getuid()).pw_name, '€'.encode('iso-8859-15'))\n"
    )
    said = enter(bundle(apps, python_appdir), "-c", program, user=user).stdout.decode().splitlines()
    assert said[0].endswith(f"/tree/usr/bin/{debian.python()}")
    name = "user" if user else "root"
    assert said[1:] == ["42", "from busybox", f"OpenSSL {name} b'\\xa4'"]


def test_script_of_an_interpreter_that_only_the_image_has(apps: Path, enter: Enter) -> None:
    said = enter(bundle(apps, python_appdir), env={"APP_PROGRAM": "hello"}).stdout.decode()
    assert said.startswith("hello from /") and said.endswith(f"/tree/usr/bin/{debian.python()}\n")


def test_warm_start_takes_the_same_tree(apps: Path, enter: Enter) -> None:
    app = bundle(apps, locale_appdir)
    said = enter("sh", "-c", f"{app} && {app} && ls /tmp/tmprun-0{PUBLISHED}").stdout.decode().splitlines()
    assert said[0] == said[1] and len(said) == 3


@pytest.mark.parametrize("make", [locale_appdir, neovim_appdir, node_appdir, python_appdir, git_appdir])
def test_the_same_bundles_use_this_machines_own_libc(
    harness: Harness, apps: Path, make: Callable[[Path], Path]
) -> None:
    bundle(apps, make)
    harness.run(apps / make.__name__, "--version", status=None)
    trees = list(harness.shelf("tree").iterdir())
    assert len(trees) == 1
    assert os.readlink(trees[0] / "tree" / ".tmprun" / "own") == "the-C-library-of-this-machine"
