"""Putting an app into the menus of a user, and taking it out: files below $XDG_DATA_HOME.

What is written is found again by its name, which has the app's identifier in it; there is no list beside the files.
"""

from __future__ import annotations

import fcntl
import os
import posixpath
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from tmprun import __version__
from tmprun.archives.entry import find_entry
from tmprun.desktop.entry import GROUP, MAX_ENTRY, groups
from tmprun.desktop.icons import Icon, icons
from tmprun.desktop.menu_entry import Place, file_name, icon_name, menu_entry, unescaped, wants_no_menu
from tmprun.desktop.names import PREFIX, identifier, is_of, safe
from tmprun.engine import programs
from tmprun.errors import TmprunError, UnsupportedImage
from tmprun.host import folders
from tmprun.human import one_line
from tmprun.images.opened import Opened
from tmprun.index.decode import metadata_of
from tmprun.index.rules import FILE
from tmprun.index.walk import find
from tmprun.menus.app_files import app_files
from tmprun.report.info import tree_of

MAX_XML = 1 << 20  # bytes of a description of types, or of an app
MOST_XML = 8
MOST_ICONS = 20  # the entry's, and its actions'
DESCRIPTIONS = {
    "mime/packages": (b"usr/share/mime/packages",),
    "metainfo": (b"usr/share/metainfo", b"usr/share/appdata"),
}
TOPS = {"mime/packages": ("mime-info",), "metainfo": ("component", "application")}


@dataclass(frozen=True)
class Integrated:
    """An app that is in the menus: `app` is its path, `entry` its desktop entry, `there` whether the file still is."""

    app: str
    name: str
    entry: str
    state: str

    @property
    def there(self) -> bool:
        return os.path.exists(self.app)


class NoMenu(TmprunError):
    """The app asks not to be in menus."""


def data_home() -> Path:
    """Where the user's own data are; TmprunError when there is no such place."""
    named = folders.data_home()
    if named is None:
        raise TmprunError("there is no home for menus", remedy="set HOME, or XDG_DATA_HOME")
    return Path(named)


def state_of(path: str) -> str:
    """What tells one state of a file, and of us, from another: an app with the same mark need not be read again."""
    facts = os.stat(path)
    door = identifier(programs.door())[:8]
    return f"{__version__}-{door}-{facts.st_ino}-{facts.st_size}-{facts.st_mtime_ns}-{int(os.access(path, os.X_OK))}"


def integrate(path: str, *, asked: bool = True) -> Integrated:
    """Put the app at `path` into the menus, in place of what was there of it.

    TmprunError when it cannot be, NoMenu when the app does not want it and nobody has `asked` for it.
    """
    path = os.path.abspath(path)
    if not _is_text(path):
        raise TmprunError("menus hold names in UTF-8 only", one_line(path), "rename it")
    state, owner = state_of(path), identifier(path)
    with app_files(path) as files:
        found = groups(desktop_entry_of(files))
        if wants_no_menu(found) and not asked:
            raise NoMenu("does not want to be in menus", one_line(path))
        fallback = os.path.basename(path).removesuffix(".AppImage")
        written, names = _icons(files, found, owner)
        written |= dict(_descriptions(files, owner))
        complete = _starts(files) not in ("", "AppRun") or _is_like_archive(files)
    place = Place((programs.door(), path), path, owner, state, os.access(path, os.X_OK), names, complete)
    entry = f"applications/{file_name(found, owner, fallback)}"
    written[entry] = menu_entry(found, place, fallback).encode()
    base = data_home()
    with _alone(base):
        for name in sorted(_files_of(base, owner) - written.keys()):
            _remove(base / name)
        for name in sorted(written, key=lambda name: name == entry):  # the entry last, when its icons are there
            _write(base / name, written[name])
    return _read(base / entry) or Integrated(path, fallback, str(base / entry), state)


def remove(path: str) -> bool:
    """Take the app at `path`, which need not be there any more, out of the menus; returns whether it was in them."""
    base, owner = data_home(), identifier(os.path.abspath(path))
    with _alone(base):
        files = _files_of(base, owner)
        for name in files:
            _remove(base / name)
    return bool(files)


def integrated() -> list[Integrated]:
    """What we have put into the menus, by path."""
    folder = data_home() / "applications"
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    found = [_read(folder / name) for name in names if name.startswith(f"{PREFIX}_") and name.endswith(".desktop")]
    return sorted((each for each in found if each), key=lambda each: each.app)


def known_state(path: str) -> str:
    """The mark of the app at `path` as it was when we put it into the menus; nothing when it is not in them."""
    folder, owner = data_home() / "applications", identifier(path)
    names = os.listdir(folder) if folder.is_dir() else []
    found = [_read(folder / name) for name in names if is_of(name, owner)]
    return next((each.state for each in found if each and each.app == path), "")


def refresh() -> None:
    """Have the desktop's databases made anew, by the programs for it that are there.

    An icon cache is brought up to date where there is one, and made nowhere: GTK believes a cache that is newer than
    the theme's directory, and would not see what others, who know of no cache, put deeper down later.
    """
    base = data_home()
    theme = base / "icons" / "hicolor"
    if theme.is_dir():
        os.utime(theme)  # by which desktops notice; the cache has to be newer
    for there, command in (
        (base / "applications", ["update-desktop-database", "-q", str(base / "applications")]),
        (base / "mime" / "packages", ["update-mime-database", str(base / "mime")]),
        (theme / "icon-theme.cache", ["gtk-update-icon-cache", "-q", "-t", "-f", str(theme)]),
    ):
        if there.exists() and shutil.which(command[0]):
            options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            subprocess.run(command, check=False, **options)  # type: ignore[call-overload]


def _starts(files: Opened) -> str:
    """What of an archive is started, by an AppRun that was made for it with its entry's arguments; else nothing."""
    return str(metadata_of(files.index.metadata).get("starts", ""))


def desktop_entry_of(files: Opened) -> bytes:
    """The first desktop entry at the tree's top, as every AppImage has one; nothing where there is none."""
    for name in sorted(files.root.children):
        node = find(files.root, name) if name.endswith(b".desktop") else None
        if node is not None and node.kind == FILE:
            return files.read(node, MAX_ENTRY)
    return _entry_by_the_rules(files) if _is_like_archive(files) else b""


def _is_like_archive(files: Opened) -> bool:
    """A squashfs without AppRun: it is converted like an archive when it is started."""
    return files.index.foreign and b"AppRun" not in files.root.children


def _entry_by_the_rules(files: Opened) -> bytes:
    """The desktop entry that goes with what would be started."""
    try:
        found = find_entry(tree_of(files))
    except UnsupportedImage:
        return b""
    node = find(files.root, posixpath.join(found.top, found.desktop)) if found.desktop else None
    return files.read(node, MAX_ENTRY) if node else b""


def app_icons(files: Opened) -> list[Icon]:
    """The icons of the app itself, as its entry calls them."""
    return icons(files.root, files.read, icon_name(groups(desktop_entry_of(files)).get(GROUP, {}).get("Icon", "")))


def _icons(files: Opened, found: dict[str, dict[str, str]], owner: str) -> tuple[dict[str, bytes], dict[str, str]]:
    """The pictures by the path they get, and the names that they get by those in the entry."""
    written, names = {}, {}
    own = icon_name(found.get(GROUP, {}).get("Icon", ""))
    actions = [icon_name(keys["Icon"]) for group, keys in found.items() if group != GROUP and keys.get("Icon")]
    for name in dict.fromkeys((own, *actions[:MOST_ICONS])):
        ours = f"{PREFIX}_{owner}_{safe(name)}"
        for icon in icons(files.root, files.read, name):
            suffix = "-symbolic" if icon.folder == "symbolic" else ""
            written[f"icons/hicolor/{icon.folder}/apps/{ours}{suffix}.{icon.kind}"] = icon.content
            names[name] = ours
    return written, names


def _descriptions(files: Opened, owner: str) -> Iterator[tuple[str, bytes]]:
    """What the app says of types of files, and of itself, in XML."""
    for target, places in DESCRIPTIONS.items():
        for path in places:
            folder = find(files.root, path)
            for name in sorted(folder.children if folder else ())[:MOST_XML]:
                node = find(files.root, path + b"/" + name)
                if node and node.kind == FILE and name.endswith(b".xml") and node.size <= MAX_XML:
                    content = files.read(node, MAX_XML)
                    if _is_xml(content, target):
                        yield f"{target}/{PREFIX}_{owner}_{safe(name.decode('utf-8', 'replace'))}", content


def _is_xml(content: bytes, target: str) -> bool:
    """Whether it is well-formed, of the kind that belongs there, and without a DTD, which could be a bomb."""
    tops: list[str] = []
    depth = 0

    def begin(name: str, _: object) -> None:
        nonlocal depth
        if not depth:
            tops.append(name.rpartition(":")[2])
        depth += 1

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_: object) -> None:
        raise ValueError

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError):
        return False
    return len(tops) == 1 and tops[0] in TOPS[target]


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _files_of(base: Path, owner: str) -> set[str]:
    """The files of the app with this identifier, by anybody who calls them as AppImage tools do."""
    theme = base / "icons" / "hicolor"
    sizes = [f"icons/hicolor/{size}/apps" for size in (os.listdir(theme) if theme.is_dir() else ())]
    found = set()
    for folder in ("applications", *DESCRIPTIONS, *sizes):
        names = os.listdir(base / folder) if (base / folder).is_dir() else []
        found |= {f"{folder}/{name}" for name in names if is_of(name, owner)}
    return found


def _read(entry: Path) -> Integrated | None:
    """What an entry is for, if it is one of ours."""
    try:
        keys = groups(entry.read_bytes()).get(GROUP, {})
    except OSError:
        return None
    app = unescaped(keys.get("X-Tmprun-App", ""))
    return Integrated(app, unescaped(keys.get("Name", "")), str(entry), keys.get("X-Tmprun-State", "")) if app else None


@contextmanager
def _alone(base: Path) -> Iterator[None]:
    """While nobody else of us changes the menus of this user."""
    try:
        (base / "tmprun").mkdir(parents=True, exist_ok=True)
        lock = os.open(base / "tmprun" / "menus.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise TmprunError(error.strerror or str(error), one_line(str(base)), "set XDG_DATA_HOME") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _write(path: Path, content: bytes) -> None:
    """Put a file there, whole or not at all; one that is as it should be is left alone."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and path.read_bytes() == content:
            return
        partial = path.with_name(f".{PREFIX}_{os.getpid()}")
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise TmprunError(error.strerror or str(error), one_line(str(path)), "set XDG_DATA_HOME") from None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise TmprunError(error.strerror or str(error), one_line(str(path))) from None
