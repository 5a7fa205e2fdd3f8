"""An unpacked archive or package becomes an AppDir: something to start, links that lead to where they did, and what
launchers look for at the top."""

from __future__ import annotations

import os
import posixpath
import shlex

from tmprun.archives.entry import Entry, find_entry
from tmprun.archives.tree import Tree, on_disk
from tmprun.desktop.entry import desktop_entry
from tmprun.human import one_line

_LIBRARIES = (b"lib", b"lib64", b"usr/lib", b"usr/lib64", b"usr/local/lib")
_ICON_FOLDERS = (b"usr/share/pixmaps", b"share/pixmaps", b"usr/share/icons", b"share/icons")


def make(
    root: str, *, wanted: str = "", names: tuple[str, ...] = (), package: bool = False, time: int = 0
) -> tuple[str, Entry, list[str]]:
    """Make what was unpacked into `root` an AppDir: its path, what it starts, and what is to be said about it.

    `wanted` and `names` are those of `entry.find`. A `package` was made to lie in `/`. What is added gets the `time`.
    Unclear when it cannot be told what to start.
    """
    notes: list[str] = []
    tree = on_disk(root)
    if _make_executable(root, tree):
        notes.append("no file in it may be executed, as in archives from Windows; programs and scripts may now")
        tree = on_disk(root)
    found = find_entry(tree, wanted, names)
    top = os.path.join(root, os.fsdecode(found.top)) if found.top else root
    inner = tree.below(found.top) if found.top else tree
    if package:
        notes += _relative_links(top, inner)
    if found.path != b"AppRun":
        _write_app_run(top, inner, found, package, time)
    if found.desktop:
        _link_desktop(top, inner, found.desktop, time)
    for path in {b"", *filter(None, [found.top])}:
        os.utime(os.path.join(os.fsencode(root), path), (time, time))
    return top, found, notes


def _make_executable(root: str, tree: Tree) -> bool:
    """Where nothing may be executed the archive does not know of such a thing."""
    programs = [path for path, found in tree.files.items() if found.kind == "f" and (found.is_elf or found.is_script)]
    if not programs or any(found.kind == "f" and found.mode & 0o111 for found in tree.files.values()):
        return False
    for path in programs:
        os.chmod(os.path.join(os.fsencode(root), path), 0o755)
    return True


def _relative_links(top: str, tree: Tree) -> list[str]:
    """A package's absolute links lead to what it brings, where it brings that; which ones do not, a note."""
    outside = []
    for path, found in tree.files.items():
        if found.kind != "l" or not found.target.startswith(b"/"):
            continue
        target = posixpath.normpath(found.target).lstrip(b"/")
        if tree.resolve(target) not in tree.files:
            outside.append(path)
            continue
        where = os.path.join(os.fsencode(top), path)
        facts = os.lstat(where)
        os.unlink(where)
        os.symlink(posixpath.relpath(b"/" + target, b"/" + posixpath.dirname(path)), where)
        os.utime(where, ns=(facts.st_atime_ns, facts.st_mtime_ns), follow_symlinks=False)
    if not outside:
        return []
    names = ", ".join(f"{one_line(path)} -> {one_line(tree.files[path].target)}" for path in outside[:5])
    return [f"{len(outside)} absolute links lead to what it does not bring: {names}"]


def _write_app_run(top: str, tree: Tree, found: Entry, package: bool, time: int) -> None:
    """A script: many programs look for their own files beside the path that they were started by."""
    program = '"$here"/' + shlex.quote(os.fsdecode(found.path))
    words = " ".join([program, *(shlex.quote(word) for word in found.arguments), '"$@"'])
    lines = [
        "#!/bin/sh",
        "case $0 in /*) here=${0%/*} ;; *) here=$PWD/${0%/*} ;; esac",
        *(_surroundings(tree) if package else []),
        f"exec {words}",
    ]
    path = os.path.join(top, "AppRun")
    if os.path.lexists(path):
        os.rename(path, f"{path}.original")
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write("\n".join(lines) + "\n")
    os.chmod(path, 0o755)
    os.utime(path, (time, time))


def _surroundings(tree: Tree) -> list[str]:
    """Where a package's own libraries, programs and data are, which it expects in `/`."""
    lines = []
    libraries = _library_folders(tree)
    for name, folders, usual in (
        ("PATH", [each for each in (b"usr/bin", b"bin", b"usr/games", b"usr/sbin", b"sbin") if tree.names(each)], ""),
        ("LD_LIBRARY_PATH", libraries, ""),
        ("XDG_DATA_DIRS", [b"usr/share"] if tree.names(b"usr/share") else [], ":-/usr/local/share:/usr/share"),
    ):
        if folders:
            own = ":".join('"$here"/' + shlex.quote(os.fsdecode(each)) for each in folders)
            rest = f"${{{name}{usual}}}" if usual else f"${{{name}:+:${name}}}"
            lines.append(f"export {name}={own}{':' if usual else ''}{rest}")
    return lines


def _library_folders(tree: Tree) -> list[bytes]:
    """Where loaders look for libraries: lib folders, and those for a machine in them, that have any."""
    found = []
    for path, file in tree.files.items():
        folder, name = posixpath.split(path)
        near = folder in _LIBRARIES or (
            posixpath.dirname(folder) in _LIBRARIES and b"-linux-" in posixpath.basename(folder)
        )
        if near and file.kind in "flh" and (name.endswith(b".so") or b".so." in name):
            found.append(folder)
    return sorted(set(found))


def _link_desktop(top: str, tree: Tree, desktop: bytes, time: int) -> None:
    """The desktop entry and its icon at the AppDir's top, as launchers and tools for AppImages look for them there."""
    _link(top, posixpath.basename(desktop), desktop, time)
    icon = desktop_entry(tree.texts[desktop]).get("Icon", "").encode("utf-8", "surrogateescape")
    path = _icon(tree, icon) if icon else None
    if path:
        name = posixpath.basename(path)
        _link(top, name, path, time)
        _link(top, b".DirIcon", path, time)


def _icon(tree: Tree, icon: bytes) -> bytes | None:
    """The largest picture of that name, drawn ones last; a path is taken as below the AppDir."""
    if b"/" in icon:
        return tree.resolve(icon) if tree.resolve(icon) in tree.files else None
    names = {icon, *(icon + ending for ending in (b".png", b".svg", b".xpm"))}
    found = [path for path, file in tree.files.items() if posixpath.basename(path) in names and file.kind in "fh"
             and (path.startswith(_ICON_FOLDERS) or b"/" not in path)]  # fmt: skip
    return max(found, key=lambda path: (path.endswith(b".png"), tree.files[path].size, path), default=None)


def _link(top: str, name: bytes, target: bytes, time: int) -> None:
    where = os.path.join(os.fsencode(top), name)
    if os.path.lexists(where):
        return
    os.symlink(target, where)
    os.utime(where, (time, time), follow_symlinks=False)
