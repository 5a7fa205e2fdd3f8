"""The programs that are tried: wine, chromium, a Python app, git, node, a GTK and a Qt program."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

from place import become
from program import Program, of_debian, run_inside
from tmprun_bench.corpora import debian, git, libreoffice, neovim, node
from tmprun_bench.corpora.app import App, no_arguments, prints

# Wine.

WINE = """export WINEPREFIX="$HOME/wine" WINEDEBUG=-all WINEDLLOVERRIDES=mscoree,mshtml=
export WINEPATH="Z:$usr/x86_64-w64-mingw32/lib"
exec "$usr/lib/wine/wine64" "$@"
"""


def wine() -> Program:
    """Its server opens the prefix's and its own files with O_NONBLOCK; its programs are PE files, mapped by itself."""
    app = App("real-wine", "wine cmd /c echo hello", _build_wine, _echo, prints(b"hello\r\n"))
    return Program(app, noisy=True, keeps=("wine/drive_c/windows/system32",))


def _echo(_home: Path) -> tuple[str, ...]:
    return "cmd", "/c", "echo", "hello"


def _build_wine(root: Path) -> None:
    of_debian(root, ["wine64"], WINE)
    # Debian's is a script that looks below /usr.
    server = root / "usr/lib/wine/wineserver"
    server.unlink()
    server.symlink_to("wineserver64")


# Chromium.

PAGE = """<!doctype html><title>Page</title><p id=p>before</p>
<script>document.getElementById("p").textContent = "after " + 6 * 7</script>
"""
DOM = re.compile(
    rb'<!DOCTYPE html>\n<html><head><title>Page</title></head><body><p id="p">after 42</p>.*</html>\n', re.DOTALL
)


def chromium() -> Program:
    """Several processes, each with the same program and its data files; the largest of these."""
    start = 'exec "$usr/lib/chromium/chromium" "$@"\n'
    app = App(
        "real-chromium",
        "chromium --headless --dump-dom",
        lambda root: of_debian(root, ["chromium"], start),
        _dump,
        _dumped,
    )
    # As its processes are ended in this order or that.
    by_chance = b"rejected by interface blink.mojom"
    return Program(app, noisy=True, by_chance=by_chance, prepare=lambda home: _write(home / "page.html", PAGE))


def _dump(home: Path) -> tuple[str, ...]:
    sandbox = () if _may_have_namespaces(home.stat().st_uid) else ("--no-sandbox",)
    return "--headless", *sandbox, "--dump-dom", f"file://{home}/page.html"


def _may_have_namespaces(user: int) -> bool:
    """Whether Chromium's sandbox works for this user: root's never does, others' not in every container."""
    tried = subprocess.run(
        ["unshare", "--user", "--pid", "--fork", "true"], stderr=subprocess.DEVNULL, check=False, **become(user)
    )
    return user != 0 and tried.returncode == 0


def _dumped(output: bytes, _home: Path) -> None:
    assert DOM.fullmatch(output), output


def _write(path: Path, text: str) -> None:
    path.write_text(text)


# A Python app that compiles itself.

PYTHON = """export PYTHONHOME="$usr"
exec "$usr/bin/{python}" "$here/app/main.py" "$@"
"""
MODULES = 40
MAIN = f"""import importlib, os, pathlib
compiled = (pathlib.Path(__file__).parent / "__pycache__").exists()
numbers = [importlib.import_module(f"part{{n}}").number for n in range({MODULES})]
import json, decimal, email.message, sqlite3, unittest
print(json.dumps({{"sum": sum(numbers), "compiled before": compiled, "writable": os.access(__file__, os.W_OK)}}))
for module in (json, decimal, email.message, sqlite3, importlib.import_module("part7")):
    cached = pathlib.Path(module.__cached__)
    print(module.__name__, cached.name, cached.exists())
"""


def pycache() -> Program:
    """It compiles each module that it imports, and its next start finds what the one before has written."""
    app = App("real-pycache", "a Python app that writes __pycache__", _build_python, no_arguments, _computed)
    return Program(app, alters_itself=True)


def _build_python(root: Path) -> None:
    of_debian(root, ["python3"], PYTHON.format(python=debian.python()))
    (root / "app").mkdir()
    (root / "app/main.py").write_text(MAIN)
    for number in range(MODULES):
        (root / f"app/part{number}.py").write_text(f"number = {number}\n")


def _computed(output: bytes, _home: Path) -> None:
    assert b'"sum": %d,' % sum(range(MODULES)) in output, output
    assert b"False" not in output, output


# git.

TOUR = """!set -e; rm -rf one two
git init -q -b main one; cd one
for n in 1 2 3; do seq $((n * 1000)) >file$n; git add .; git commit -q -m "commit $n"; done
cd ..; git clone -q --no-local one two; cd two
git log --stat; git gc -q; git fsck --full --strict; git status --short --branch"""
WHO = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "nobody"), ("EMAIL", "nobody@example.org"), ("DATE", "2020-01-01T00:00:00Z"))
}


def git_tour() -> Program:
    """A chain of small programs, each started by the one before, by its path in the tree."""
    app = replace(
        git.app(),
        title="git clone, log, gc, fsck",
        check=_toured,
        arguments=lambda home: ("-c", f"alias.tour={TOUR}", "tour"),
    )
    return Program(app, keeps=("two",), environment=WHO)


def _toured(output: bytes, _home: Path) -> None:
    assert output.count(b"\ncommit ") == 2 and output.endswith(b"## main...origin/main\n"), output


# node.

REQUIRES = """const home = require('path').resolve(process.execPath, '../../lib/node_modules/npm');
const [semver, ini, minimatch] = ['semver', 'ini', 'minimatch'].map(name => require(`${home}/node_modules/${name}`));
const {version} = require(`${home}/package.json`);
const brace = (minimatch.braceExpand || minimatch.default.braceExpand)('{a,b}c');
console.log(semver.valid(version) === version, ini.parse('[a]\\nb=c').a.b, ...brace);"""


def node_requires() -> Program:
    """One large program, and small files of a large directory beside it."""
    app = replace(
        node.app(),
        title="node, require of npm's modules",
        check=prints(b"true c ac bc\n"),
        arguments=lambda home: ("-e", REQUIRES),
    )
    return Program(app)


# Others that the benchmark has, too.


def office() -> Program:
    """As root it makes a directory in its own; its PDF has the time in it, and is judged by its pages and glyphs."""
    return Program(libreoffice.app(), alters_itself=True)


def editor() -> Program:
    """Neovim: hundreds of small scripts of its own, in the order of its search path."""
    return Program(neovim.app(with_libc=False))


# Windows.

GTK = """loaders=$lib/gdk-pixbuf-2.0/2.10.0
export GDK_PIXBUF_MODULE_FILE="$loaders/loaders.cache" GTK_EXE_PREFIX="$usr" GTK_DATA_PREFIX="$usr" GTK_THEME=Adwaita
export NO_AT_BRIDGE=1 GSETTINGS_BACKEND=memory XLOCALEDIR="$usr/share/X11/locale"
exec "$usr/bin/gtk3-demo" "$@"
"""
QT = """export QT_PLUGIN_PATH="$lib/qt5/plugins"
exec "$lib/qt5/examples/widgets/widgets/calculator/calculator" "$@"
"""


def gtk() -> Program:
    """GTK 3's demonstration: themes, icons, loaders, schemas and fonts of its own."""
    app = App("real-gtk", "gtk3-demo", _build_gtk, no_arguments, prints(b""))
    return Program(app, window=True)


def _build_gtk(root: Path) -> None:
    """What installation scripts do is done, with the AppDir's own programs."""
    of_debian(root, ["gtk-3-examples"], GTK)
    lib = root / "usr/lib/x86_64-linux-gnu"
    loaders = lib / "gdk-pixbuf-2.0/2.10.0"
    run_inside(root, "usr/lib/x86_64-linux-gnu/glib-2.0/glib-compile-schemas", root / "usr/share/glib-2.0/schemas")
    run_inside(root, "usr/bin/update-mime-database", root / "usr/share/mime")
    query = "usr/lib/x86_64-linux-gnu/gdk-pixbuf-2.0/gdk-pixbuf-query-loaders"
    found = run_inside(root, query, *sorted((loaders / "loaders").glob("*.so")))
    (loaders / "loaders.cache").write_text(found.replace(f"{loaders}/loaders/", ""))


def qt() -> Program:
    """Qt's calculator: its platform is a plugin that it finds in its own directory."""
    app = App(
        "real-qt", "Qt's calculator", lambda root: of_debian(root, ["qtbase5-examples"], QT), no_arguments, prints(b"")
    )
    return Program(app, window=True)


def programs() -> dict[str, Program]:
    """All of them, by their name."""
    return {
        "wine": wine(), "chromium": chromium(), "pycache": pycache(), "git": git_tour(), "node": node_requires(),
        "office": office(), "neovim": editor(),
        "gtk": gtk(), "qt": qt(),
    }  # fmt: skip
