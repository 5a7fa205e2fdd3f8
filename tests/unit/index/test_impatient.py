"""Which images are said to open files without waiting."""

from __future__ import annotations

import pytest

from tmprun.errors import BadImage
from tmprun.index.impatient import calls_one, is_impatient
from tmprun.index.nodes import Node
from tmprun.index.rules import DIRECTORY, FILE, SYMLINK

CALLS = [
    b'#!/bin/sh\ngrep -rl needle "$APPDIR/etc" | wc -l',
    b'grep foo "$x" -R',
    b"find . -exec grep -nr x {} +",
    b"zgrep --recursive x .",
    b"rgrep x .",
    b'if file "$x"; then',
    b"find . | xargs -n 1 file -b",
    b'"${APPDIR}"/usr/bin/tar xf a',
    b"A=1 tar c .",
    b'bash -c "tar xf y"',
    b'subprocess.run(["tar", "xf", name])',
    b'exec wine "$APPDIR/game.exe"',
    b"x=`file -b a`",
    b"/usr/bin/file ../a",
    b"$here/usr/bin/file ./a",
    b"file ~/a",
]
NO_CALLS = [
    b"#!/bin/sh\n# tar xf this\nexec ./app",
    b'echo "tar is not needed"',
    b'file=$1; echo "file $x is missing"',
    b"USAGE='[--browser=browser|--tool=browser] [--config=conf.var] url/file ...'",
    b"const name = path.basename(file, '.js')",
    b"print('usage: quopri [-t | -d] file ...')",
    b"while read file; do echo; done < $list",
    b"grep -n foo x; grep -i error x",
    b'grep "foo-bar" x',
    b"export WINE=wine TARGET=tar",
    b'exec "$here/AppRun.wrapped" "$@"',
    bytes(range(256)) * 4,
]


@pytest.mark.parametrize("script", CALLS)
def test_a_script_calls_one(script: bytes) -> None:
    assert calls_one(script)


@pytest.mark.parametrize("script", NO_CALLS)
def test_a_script_calls_none(script: bytes) -> None:
    assert not calls_one(script)


def impatient(files: dict[str, bytes], mode: int = 0o644, kind: int = FILE) -> bool:
    root, content = Node(b"", DIRECTORY, 0o755, 0), {}
    for path, text in files.items():
        *above, name = path.encode().split(b"/")
        directory = root
        for step in above:
            directory = directory.children.setdefault(step, Node(step, DIRECTORY, 0o755, 0))
        node = directory.children[name] = Node(name, kind, mode, 0)
        node.size, content[node] = len(text), text

    def part(node: Node, offset: int, length: int) -> bytes:
        if content[node] == b"damaged":
            raise BadImage("damaged")
        return content[node][offset : offset + length]

    return is_impatient(root, part)


@pytest.mark.parametrize("path", ["usr/lib/wine/kernel32.dll", "Game.EXE", "a/b/c/d.ocx"])
def test_windows_programs(path: str) -> None:
    assert impatient({path: b"MZ..."})
    assert not impatient({path: b"\x7fELF"})
    assert not impatient({path: b""})
    assert not impatient({path: b"damaged"})


@pytest.mark.parametrize("above", ["lib/python3.11/site-packages/setuptools", "app/node_modules/x", "distutils"])
def test_launchers_that_packages_bring(above: str) -> None:
    assert not impatient({f"usr/{above}/cli.exe": b"MZ"})


def test_dotnets_own_programs() -> None:
    assert not impatient({"usr/System.dll": b"MZ", "usr/libcoreclr.so": b"\x7fELF"})


@pytest.mark.parametrize("name", ["tar", "wineserver", "rgrep", "file"])
def test_programs_that_are_known(name: str) -> None:
    assert impatient({f"usr/bin/{name}": b"\x7fELF"}, 0o755)
    assert impatient({f"usr/bin/{name}": b""}, 0o777, SYMLINK)
    assert not impatient({f"usr/share/completions/{name}": b"complete"})


def test_programs_that_ask_about_others_files_and_modules_that_nobody_starts() -> None:
    """Every image with xdg-utils, LibreOffice or Debian's Python has them, and would be filled first for nothing."""
    assert not impatient({"usr/bin/xdg-mime": b'#!/bin/sh\n/usr/bin/file --brief --mime-type "$1"'}, 0o755)
    assert not impatient({"program/senddoc": b'#!/bin/sh\nif file $FOPTS "$moz" | grep script; then'}, 0o755)
    assert not impatient({"usr/lib/python3.11/platform.py": b"#!/usr/bin/python3\n['file', '-b', target]"}, 0o755)
    assert impatient({"usr/lib/app/platform.py": b"#!/usr/bin/python3\n['file', '-b', target]"}, 0o755)


def test_scripts_that_are_programs_or_hooks() -> None:
    assert impatient({"AppRun": CALLS[0]}, 0o755)
    assert impatient({"apprun-hooks/a.sh": CALLS[0]})
    assert not impatient({"usr/share/doc/example": CALLS[0]})
    assert not impatient({"AppRun": b"damaged"}, 0o755)
    assert not impatient({"AppRun": CALLS[0] + b"\n" * (1 << 16)}, 0o755)
