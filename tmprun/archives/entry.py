"""What is to be started of an archive or a package, by rules that docs/archives.md states."""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import dataclass

from tmprun.archives.tree import Tree
from tmprun.desktop.entry import desktop_entry
from tmprun.errors import UnsupportedImage
from tmprun.human import one_line

# Where programs are looked for that a desktop entry names without a path, in this order.
BIN = (b"bin", b"usr/bin", b"usr/local/bin", b"usr/games", b"usr/sbin", b"sbin", b"")
# Directories that are no AppDir, even when everything lies in them.
NO_TOP = (b"usr", b"bin", b"opt")
_DESKTOP_FOLDERS = (b"", b"usr/share/applications", b"share/applications", b"usr/local/share/applications")
_SHOWN = 12
_FIELD_CODE = re.compile(r"^%[a-zA-Z]$")


@dataclass(frozen=True)
class Entry:
    """`path` is what is started, below `top`, which is the AppDir: the archive's root, or the one directory in that.

    `why` says by which rule; `desktop` is the desktop entry that goes with it; `arguments` are what that says besides.
    """

    top: bytes
    path: bytes
    why: str
    desktop: bytes = b""
    arguments: tuple[str, ...] = ()


class Unclear(UnsupportedImage):
    """It is not clear what to start."""


def find_entry(tree: Tree, wanted: str = "", names: tuple[str, ...] = ()) -> Entry:
    """What is to be started: `wanted`, or by the rules; Unclear with the candidates when they do not tell.

    `names` are what the archive or the package is called.
    """
    top = _top(tree)
    inner = tree.below(top) if top else tree
    if wanted:
        return _wanted(tree, inner, top, wanted)
    found = _app_run(inner, top) or _by_desktop(inner, top, names) or _by_program(inner, top, names)
    if found:
        return found
    raise _unclear(inner, top)


def _top(tree: Tree) -> bytes:
    """The directory that everything lies in: most tar archives have one."""
    top = b""
    while True:
        names = tree.names(top)
        if len(names) != 1 or names[0] in NO_TOP:
            return top
        below = posixpath.join(top, names[0])
        found = tree.files.get(below)
        if found and found.kind != "d":
            return top
        top = below


def _wanted(tree: Tree, inner: Tree, top: bytes, wanted: str) -> Entry:
    path = posixpath.normpath(wanted.encode("utf-8", "surrogateescape").lstrip(b"/"))
    for candidate in (path, path.removeprefix(top + b"/")):
        if inner.program(candidate):
            return Entry(top, candidate, "asked for", _desktop_of(inner, candidate))
    there = inner.resolve(path) in inner.files or tree.resolve(path) in tree.files
    what = "is no program" if there else "is not in it"
    raise UnsupportedImage(f"{one_line(wanted)}: {what}", remedy=_remedy(inner, top))


def _app_run(tree: Tree, top: bytes) -> Entry | None:
    return Entry(top, b"AppRun", "AppRun") if tree.program(b"AppRun") else None


@dataclass(frozen=True)
class _Desktop:
    path: bytes
    entry: dict[str, str]
    program: bytes
    arguments: tuple[str, ...]

    @property
    def hidden(self) -> bool:
        return self.entry.get("NoDisplay", "").lower() == "true" or self.entry.get("Hidden", "").lower() == "true"


def _desktops(tree: Tree) -> list[_Desktop]:
    found = []
    for path in sorted(tree.texts):
        if posixpath.dirname(path) not in _DESKTOP_FOLDERS:
            continue
        entry = desktop_entry(tree.texts[path])
        words = _words(entry.get("Exec", ""))
        program = _located(tree, words[0]) if words else None
        if program and entry.get("Type", "Application") == "Application":
            found.append(_Desktop(path, entry, program, tuple(words[1:])))
    return found


def _words(line: str) -> list[str]:
    """The words of an Exec line, without field codes, and without `env NAME=VALUE` in front."""
    try:
        words = shlex.split(line)
    except ValueError:
        return []
    words = [word.replace("%%", "%") for word in words if not _FIELD_CODE.match(word)]
    if words and posixpath.basename(words[0]) == "env":
        words.pop(0)
        while words and "=" in words[0]:
            words.pop(0)
    return words


def _located(tree: Tree, name: str) -> bytes | None:
    raw = name.encode("utf-8", "surrogateescape")
    places = [raw.lstrip(b"/")] if b"/" in raw else [posixpath.join(folder, raw) for folder in BIN]
    return next((place for place in places if tree.program(place)), None)


def _by_desktop(tree: Tree, top: bytes, names: tuple[str, ...]) -> Entry | None:
    """The one desktop entry's Exec; of several the one that is shown in menus, or that is called as the package."""
    all_ = _desktops(tree)
    shown = [each for each in all_ if not each.hidden] or all_
    if len({(each.program, each.arguments) for each in shown}) > 1:
        wanted = {name.encode() for name in names}
        shown = [each for each in shown if posixpath.basename(each.path).removesuffix(b".desktop") in wanted]
    if not shown or len({(each.program, each.arguments) for each in shown}) != 1:
        return None
    chosen = shown[0]
    return Entry(top, chosen.program, f"Exec of {one_line(chosen.path)}", chosen.path, chosen.arguments)


def _by_program(tree: Tree, top: bytes, names: tuple[str, ...]) -> Entry | None:
    """The one program in the first of the folders that has any, or the one that is called as the archive."""
    called = [*names, one_line(posixpath.basename(top))]
    folders = [folder for folder in BIN if folder in (b"",) or tree.names(folder)]
    for folder in folders:
        programs = _distinct(tree, tree.programs(folder))
        if len(programs) == 1:
            why = f"the one program in {one_line(folder)}/" if folder else "the one program at the top"
            return Entry(top, programs[0], why, _desktop_of(tree, programs[0]))
        for name in called:
            same = [path for path in programs if _is_called(posixpath.basename(path), name)]
            if same:
                best = max(same, key=len)
                return Entry(top, best, f"called as the archive, {one_line(best)}", _desktop_of(tree, best))
        if programs:
            return None
    return None


def _distinct(tree: Tree, programs: list[bytes]) -> list[bytes]:
    """Without other names of a program that is there by its own."""
    real = {path: tree.resolve(path) for path in programs}
    return [path for path in programs if real[path] == path or real[path] not in programs]


def _is_called(program: bytes, name: str) -> bool:
    """Whether an archive `node-v20.1-linux-x64` is named after the program `node`."""
    wanted = one_line(program.removesuffix(b".sh")).lower()
    return re.match(re.escape(wanted) + r"([-_. ]|$)", name.lower()) is not None


def _desktop_of(tree: Tree, program: bytes) -> bytes:
    same = [each.path for each in _desktops(tree) if tree.resolve(each.program) == tree.resolve(program)]
    return same[0] if len(same) == 1 else b""


def _unclear(tree: Tree, top: bytes) -> Unclear:
    candidates = _candidates(tree)
    if not candidates:
        return Unclear("there is no program in it that could be started", remedy="name another file")
    return Unclear("it is not clear which program to start", remedy=_remedy(tree, top))


def _candidates(tree: Tree) -> list[bytes]:
    found = [each.program for each in _desktops(tree)]
    found += [path for folder in BIN for path in _distinct(tree, tree.programs(folder))]
    if not found:
        libraries = re.compile(rb"\.so(\.[0-9.]*)?$")
        found = [path for path in sorted(tree.files) if tree.program(path) and not libraries.search(path)]
    return list(dict.fromkeys(found))


def _remedy(tree: Tree, top: bytes) -> str:
    candidates = _candidates(tree)
    if not candidates:
        return "there is no program in it"
    shown = ", ".join(one_line(path) for path in candidates[:_SHOWN])
    more = f" and {len(candidates) - _SHOWN} more" if len(candidates) > _SHOWN else ""
    return f"say which with --entry: {shown}{more}"
