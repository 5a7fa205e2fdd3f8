"""`tmprun pack`: an AppDir becomes a bundle, the same bytes for the same AppDir on every machine."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tmprun.bundle.write import write_bundle
from tmprun.desktop.entry import desktop_entry
from tmprun.elf.interpreter_plan import Libc, Plan, plan
from tmprun.elf.machines import HEAD, machine_of
from tmprun.elf.sections import with_update_information
from tmprun.engine.programs import stub_for
from tmprun.errors import BadImage
from tmprun.human import one_line
from tmprun.index.impatient import is_impatient
from tmprun.index.nodes import Node, is_library
from tmprun.index.rules import DIRECTORY, FILE, HARD_LINK, SYMLINK
from tmprun.pack import pyc
from tmprun.pack.appdir import AppDir, PackError
from tmprun.pack.early import Early, new_bundle
from tmprun.pack.levels import DEFAULT_LEVEL, FAST_LEVEL, MAX_LEVEL, QUICK_LEVEL

if TYPE_CHECKING:
    from tmprun.pack.with_libc import Brought

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PackReport:
    """What was written: `size` is the bundle's, `content` that of all files in it, both in bytes.

    `compiled` counts the .pyc files that were kept valid. `warnings` say what will not work elsewhere, `notes` what
    might not.
    """

    path: Path
    key: str
    arch: str
    size: int
    content: int
    files: int
    directories: int
    symlinks: int
    hard_links: int
    compiled: int
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Slice:
    """What makes a bundle a libc slice (docs/libc.md): the version of its C library, and what its metadata says."""

    glibc: tuple[int, int]
    facts: dict[str, object]


def pack(
    appdir: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    level: int = DEFAULT_LEVEL,
    threads: int = 0,
    update_information: str = "",
    arch: str | None = None,
    with_libc: bool = False,
    slice_: Slice | None = None,
    hot: Sequence[bytes] = (),
    facts: Mapping[str, object] | None = None,
    early: Early | None = None,
    progress: Progress | None = None,
) -> PackReport:
    """Pack the AppDir into the bundle `out`, which appears when it is complete and not before.

    `level` is zstd's, 1 to 22, QUICK_LEVEL or FAST_LEVEL; `threads` 0 means one a processor; `arch` (as `uname -m` says
    it) overrides what AppRun says. `with_libc` brings what the AppDir needs of this machine, its C library included
    (`tmprun.pack.with_libc`).
    `slice_` says that it is no app, but a C library for apps.
    `hot` are the paths of the files that a start opens, in that order, to be filled first; what is no file of the
    AppDir is skipped. `facts` are added to the metadata. `early` has what was packed of it before it was whole, at that
    level. `progress(done, total)` counts bytes of file content.
    Raises PackError with all reasons against it, or TmprunError when there is no stub.
    """
    target = _target(out, appdir)
    if not 1 <= level <= MAX_LEVEL and level not in (QUICK_LEVEL, FAST_LEVEL):
        raise PackError(f"there is no level {level}", remedy=f"give one from 1 to {MAX_LEVEL}")
    source = AppDir(appdir, source_date_epoch())
    _check(source)
    with _failures(source, target), ExitStack() as stack:
        arch = arch or _machine(source)
        stub = stub_for(arch)
        brought = stack.enter_context(_bringing(source, arch)) if with_libc else None
        if brought:
            source = _staged(source, brought)
        if update_information:
            stub = with_update_information(stub, update_information)
        metadata = _metadata(source, arch=arch, level=level, update_information=update_information) | dict(facts or {})
        if brought:
            metadata["libc"] = brought.metadata()
        retargeting = _plan(source, brought)
        if slice_:
            metadata["slice"] = slice_.facts
            for fixup in retargeting.fixups:
                fixup.interpreter.need = slice_.glibc[0] << 16 | slice_.glibc[1]
        headers = _compiled(source)
        begun = early.begun(source, stub, level) if early and not headers else None
        with _replacing(target, early if begun else None) as file:
            content = _content(source, headers)
            key = write_bundle(
                file, stub, source.root, content, level=level, threads=threads, hot=_hot(source, hot),
                fixups=retargeting.fixups, at_once=is_impatient(source.root, _part(source)), metadata=metadata,
                begun=begun, progress=progress,
            )  # fmt: skip
            size = file.tell()
    return _report(source, target, key=key, arch=arch, size=size, compiled=len(headers))


def _hot(source: AppDir, paths: Sequence[bytes]) -> list[Node]:
    nodes = {path: node for node, path in source.paths.items() if node.kind == FILE} if paths else {}
    return [nodes[path] for path in paths if path in nodes]


def _bringing(source: AppDir, arch: str) -> AbstractContextManager[Brought]:
    """Loaded for this alone: it takes pyelftools, and an archive's first start waits for what is loaded."""
    from tmprun.pack.with_libc import bringing

    return bringing(os.fsdecode(source.path), arch)


def _staged(source: AppDir, brought: Brought) -> AppDir:
    """The copy of the AppDir in which there is what was brought; with what was said about the original."""
    staged = AppDir(brought.path, source.epoch)
    staged.given = source.given
    staged.warnings, staged.notes = source.warnings, source.notes + brought.notes
    return staged


def _plan(source: AppDir, brought: Brought | None) -> Plan:
    """What machines that lack an interpreter can do about it; adds to the notes about programs where nothing can."""
    own = None
    if brought:
        from tmprun.pack.with_libc import OWN, OWN_TARGET

        nodes = {path: node for node, path in source.paths.items()}
        loader, link = nodes[os.fsencode(brought.loader)], nodes[os.fsencode(OWN)]
        major, minor = brought.need
        own = Libc(loader, major << 16 | minor, link, os.fsencode(OWN_TARGET))
    made = plan(source.root, _part(source), own)
    source.notes += [f"{line}; it starts only where its interpreter is" for line in made.skipped]
    return made


def _part(source: AppDir) -> Callable[[Node, int, int], bytes]:
    """Reads a piece of a file of the AppDir."""

    def part(node: Node, offset: int, length: int) -> bytes:
        with open(source.locate(source.paths[node]), "rb", 0) as file:
            return os.pread(file.fileno(), length, offset)

    return part


def source_date_epoch() -> int | None:
    """The time that SOURCE_DATE_EPOCH gives to everything (reproducible-builds.org), in seconds; None when not set."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or int(text) >= 1 << 63:
        raise PackError(f"SOURCE_DATE_EPOCH is {one_line(text)!r}", remedy="set it to seconds since 1970, or unset it")
    return int(text)


def _target(out: str | os.PathLike[str], appdir: str | os.PathLike[str]) -> Path:
    """Where the bundle goes; behind a symlink when `out` is one. Never over anything that is not a plain file."""
    target = Path(os.path.realpath(out))
    if target.exists() and not target.is_file():
        what = "is a directory" if target.is_dir() else "is not a plain file"
        raise PackError(what, one_line(os.fspath(out)), "name the file to write")
    if Path(os.path.realpath(appdir)) in target.parents:
        raise PackError("lies inside the AppDir, it would pack itself", one_line(os.fspath(out)), "write it elsewhere")
    return target


def _check(source: AppDir) -> None:
    """Raise PackError with everything that speaks against packing this."""
    problems = [*_check_apprun(source), *source.problems]
    if problems:
        problems[0].also = tuple(problems[1:])
        raise problems[0]


def _check_apprun(source: AppDir) -> Iterator[PackError]:
    where = one_line(source.locate(b"AppRun"))
    node = source.root.children.get(b"AppRun")
    if node is None:
        yield PackError(
            "there is no AppRun", one_line(source.path), "add one: the program or script that starts the app"
        )
        return
    file = _file(source, node)
    if node.kind == SYMLINK and file is None:
        remedy = "make it a relative symlink to a program of the AppDir"
        yield PackError(f"symlink to {one_line(node.target)}, no file of the AppDir", where, remedy)
    elif file is None:
        yield PackError("is not a file", where, "make it the program or script that starts the app")
    elif not file.mode & 0o100:
        yield PackError("is not executable", where, f"chmod +x {where}")


def _file(source: AppDir, node: Node) -> Node | None:
    """The regular file that `node` is on every machine: an absolute symlink is none, wherever it leads here."""
    if node.kind == DIRECTORY or node.target.startswith(b"/"):
        return None
    return source.behind(source.paths[node])


def _machine(source: AppDir) -> str:
    """The machine of AppRun; of most programs, when it is a script; this one, when all are scripts."""
    apprun = _file(source, source.root.children[b"AppRun"])
    machine = _machine_of(source, apprun) if apprun else None
    if machine:
        return machine
    programs = [node for node in source.files() if node.mode & 0o100 and not is_library(node.name)]
    found = Counter(filter(None, (_machine_of(source, node) for node in programs)))
    # Of equally many the first name, so that the order of the directory on disk does not decide.
    return min(found, key=lambda name: (-found[name], name)) if found else os.uname().machine


def _machine_of(source: AppDir, node: Node) -> str | None:
    with open(source.locate(source.paths[node]), "rb") as file:
        return machine_of(file.read(HEAD))


def _metadata(source: AppDir, *, arch: str, level: int, update_information: str) -> dict[str, object]:
    """What people and tools may want to know. It is part of the key, so it says nothing of this machine or moment."""
    facts: dict[str, object] = {"arch": arch, "level": level}
    if update_information:
        facts["update_information"] = update_information.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    for name in sorted(source.root.children):
        node = _file(source, source.root.children[name]) if name.endswith(b".desktop") else None
        if node is not None:
            entry = desktop_entry(b"".join(source.content(node)))
            facts["desktop"] = name.decode("utf-8", "replace")
            facts |= {key.lower(): entry[key] for key in ("Name", "Icon") if key in entry}
            break
    return facts


def _compiled(source: AppDir) -> dict[Node, bytes]:
    """The new headers of the compiled Python files that a changed mtime would invalidate (see `tmprun.pack.pyc`)."""
    headers: dict[Node, bytes] = {}
    for node in source.files() if source.epoch is not None else ():
        path = pyc.source_of(source.paths[node])
        module = None if path is None else source.behind(path)
        if module is None:
            continue
        facts = source.stat(module)
        with open(source.locate(source.paths[node]), "rb") as file:
            header = file.read(pyc.HEADER)
        if pyc.is_valid(header, int(facts.st_mtime), facts.st_size):
            headers[node] = pyc.with_mtime(header, module.mtime)
    return headers


def _content(source: AppDir, headers: dict[Node, bytes]) -> Callable[[Node], Iterator[bytes]]:
    """The files' bytes, those of compiled files behind their new header."""

    def content(node: Node) -> Iterator[bytes]:
        header = headers.get(node, b"")
        for chunk in source.content(node):
            yield header + chunk[len(header) :]
            header = b""

    return content


@contextmanager
def _replacing(target: Path, early: Early | None) -> Iterator[BinaryIO]:
    """A new file, or the one that was begun, that takes the place of `target` when the block succeeds, and is gone when
    it does not."""
    beside = Path(early.path) if early else target.with_name(f".tmprun-{secrets.token_hex(8)}")
    try:
        with early.out if early else new_bundle(beside) as file:
            yield file
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


@contextmanager
def _failures(source: AppDir, target: Path) -> Iterator[None]:
    """What the system refuses, and what the format cannot express, as reasons why `source` does not become `target`."""
    try:
        yield
    except BadImage as error:
        where = one_line(source.path)
        raise PackError(
            error.what, f"{where}: {error.where}" if error.where else where, "a bundle cannot hold that"
        ) from None
    except OSError as error:
        # A failed write names no file: it is the bundle's.
        raise PackError(error.strerror or str(error), one_line(error.filename or os.fspath(target))) from None


def _report(source: AppDir, target: Path, *, key: str, arch: str, size: int, compiled: int) -> PackReport:
    kinds = Counter(node.kind for node in source.paths)
    return PackReport(
        path=target,
        key=key,
        arch=arch,
        size=size,
        content=sum(node.size for node in source.files()),
        files=kinds[FILE],
        directories=kinds[DIRECTORY] - 1,
        symlinks=kinds[SYMLINK],
        hard_links=kinds[HARD_LINK],
        compiled=compiled,
        warnings=tuple(source.warnings),
        notes=tuple(source.notes),
    )
