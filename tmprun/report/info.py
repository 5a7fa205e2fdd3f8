"""What there is to say about an image, without running it: `tmprun info`."""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tmprun.archives import kinds, reading
from tmprun.archives.entry import Entry, find_entry
from tmprun.archives.kinds import Kind
from tmprun.archives.reading import Progress, Read
from tmprun.archives.tree import Found, Tree
from tmprun.convert import own_runtime
from tmprun.convert.convert import names_of
from tmprun.desktop.entry import MAX_ENTRY, desktop_entry
from tmprun.elf.header import PT_INTERP, parse
from tmprun.elf.machines import HEAD, MAGIC, machine_of, runs
from tmprun.elf.sections import SIGNATURE, UPDATE_INFORMATION, section
from tmprun.errors import TmprunError, UnsupportedImage
from tmprun.host.packages import Package
from tmprun.images import iso
from tmprun.images.image import Image
from tmprun.images.opened import Opened
from tmprun.index.decode import metadata_of
from tmprun.index.nodes import Node
from tmprun.index.rules import CODEC_ZSTD, DIRECTORY, FILE, HARD_LINK, SYMLINK
from tmprun.index.walk import below, find, with_paths
from tmprun.report.runs_here import Needs, needs_of, needs_of_archive, verdict
from tmprun.store import converted
from tmprun.store.traces import Start, files_of, last_words, recorded, start_of

BUNDLE, TYPE_2, TYPE_1 = "bundle", "AppImage type 2", "AppImage type 1"

OWN_PROGRAM = "only its own program can read it, and that would execute it; it is converted when it is run"
APPRUN_HEAD = 64 << 10  # bytes: program headers and the loader's name lie at a program's start


@dataclass(frozen=True)
class AppRun:
    """What starts the app: `kind` is script, ELF, missing or other; `interpreter` is its #! line's, or its loader."""

    kind: str
    interpreter: str = ""
    machine: str = ""


@dataclass(frozen=True)
class Contents:
    """What is packed in the image; sizes in bytes. `level` and `block_size` are None when the image does not tell."""

    codec: str
    level: int | None
    block_size: int | None
    stored_size: int
    content_size: int
    frames: int
    files: int
    directories: int
    symlinks: int
    hard_links: int
    name: str
    apprun: AppRun


@dataclass(frozen=True)
class Info:
    """An image. `key` names its tree, and is empty while we do not know it; `sha256` is that of a foreign image's file.

    `contents` is None, and `obstacle` says why, when tmprun cannot read what is in it. `runs_here` is "yes", or what is
    missing on this machine. `packages` are what was brought with the C library. `hot` is what a bundle has in front
    since a start opens it, `trace` what starts on this machine were seen to open; None when that is not known. `ended`
    is why the app had to be ended, the last time that it ran; empty when it had not, or the next start has said it.
    `runtime` is the program at the head of an image, where it says so. Of an archive or a package, `starts` is what
    would be started, `why` by which rule, `package` what it calls itself, `left_out` what no bundle can hold.
    """

    path: str
    type: str
    machine: str
    size: int
    payload_offset: int
    key: str
    sha256: str
    update_information: str
    signed: bool
    contents: Contents | None
    obstacle: str = ""
    runs_here: str = ""
    packages: tuple[Package, ...] = ()
    hot: Start | None = None
    trace: Start | None = None
    ended: str = ""
    runtime: str = ""
    starts: str = ""
    why: str = ""
    package: str = ""
    left_out: tuple[str, ...] = ()


def look(path: str, progress: Progress | None = None) -> Info:
    """Look at the image at `path`. TmprunError when there is none, BadImage when it is none or damaged.

    `progress(done, total)` hears how far an archive was read, in bytes.
    """
    with Image(path) as image:
        kind = _kind(image)
        if kind and kind.format:
            return _archive(image, kind, progress)
        if kind and not kinds.is_ours(kind):
            return replace(
                _info(image, kind.what, kind.payload, None, obstacle=OWN_PROGRAM),
                runtime=own_runtime.version_of(image.fd, kind.payload),
                runs_here=_as_converted(image),
            )
        with Opened(image) as opened:
            if kind == kinds.SQUASHFS:
                return _squashfs(image, opened)
            return _type_2(image, opened) if opened.index.foreign else _bundle(image, opened)


def _kind(image: Image) -> Kind | None:
    """What it is; None for a program that the engine knows more about."""
    try:
        return kinds.kind_of(image.fd, image.path)
    except TmprunError:
        if os.pread(image.fd, len(MAGIC), 0) == MAGIC:
            return None
        raise


def _archive(image: Image, kind: Kind, progress: Progress | None) -> Info:
    """An archive or a package: it is read once, in a child without rights, and nothing is written."""
    read = reading.look(image.fd, kind, progress=progress)
    names = (read.package.name,) if read.package else names_of(image.path)
    entry, obstacle = _entry(read.tree, names)
    known = converted.lookup(image.identity)
    package = read.package
    machine = _machine_of_entry(read, entry)
    if entry:
        runs_here = _runs_here(machine, lambda: needs_of_archive(image, kind, read.tree, entry))
    else:
        runs_here = _as_converted(image)
    return replace(
        _info(image, kind.what, kind.payload, _archived(image, kind, read, entry), obstacle=obstacle),
        key=os.path.basename(known).removesuffix(converted.BUNDLE) if known else "",
        machine=machine or _machine(image),
        runs_here=runs_here,
        runtime=own_runtime.version_of(image.fd, kind.payload or iso.START) if kind.format == "iso" else "",
        starts=os.fsdecode(posixpath.join(entry.top, entry.path)) if entry else "",
        why=entry.why if entry else "",
        package=f"{package.name} {package.version}".strip() if package else "",
        left_out=tuple(read.lost),
    )


def _as_converted(image: Image) -> str:
    """Whether the bundle runs here that the image was converted into; nothing when it was not yet."""
    known = converted.lookup(image.identity)
    if not known:
        return ""
    with Image(known) as bundle, Opened(bundle) as opened:
        return _verdict(bundle, opened)


def _verdict(image: Image, opened: Opened, start: bytes = b"AppRun") -> str:
    made_for = _machine(image) or _apprun(opened, start).machine
    return _runs_here(made_for, lambda: needs_of(opened, opened.index.fixups, start=start))


def _squashfs(image: Image, opened: Opened) -> Info:
    """One behind no program: what is started of it is its AppRun, or found as in an archive."""
    if not opened.index.foreign:  # it was converted
        return replace(_bundle(image, opened), type=kinds.SQUASHFS.what, machine=_apprun(opened).machine)
    found = _type_2(image, opened)
    tree = tree_of(opened)
    entry, obstacle = _entry(tree, names_of(image.path))
    if entry is None:
        return replace(found, obstacle=obstacle, runs_here="")
    start = posixpath.join(entry.top, entry.path)
    apprun = _apprun(opened, start)
    contents = replace(found.contents, apprun=apprun) if found.contents else None
    return replace(
        found, contents=contents, machine=apprun.machine, starts=os.fsdecode(start), why=entry.why,
        runs_here=_verdict(image, opened, start),
    )  # fmt: skip


def _entry(tree: Tree, names: tuple[str, ...]) -> tuple[Entry | None, str]:
    """What is to be started, or why that is not clear."""
    try:
        return find_entry(tree, names=names), ""
    except UnsupportedImage as error:
        return None, f"{error.what}; {error.remedy}"


def tree_of(opened: Opened) -> Tree:
    """As the rules look at it. What is at the start of files is not needed for them."""
    letters = {FILE: "f", DIRECTORY: "d", SYMLINK: "l", HARD_LINK: "f"}
    tree = Tree()
    for path, node in with_paths(opened.root):
        file = node.link if node.kind == HARD_LINK and node.link else node
        tree.files[path] = Found(letters.get(node.kind, "?"), file.mode, file.size, node.target)
        if path.endswith(b".desktop") and file.kind == FILE:
            tree.texts[path] = opened.read(file, MAX_ENTRY)
    return tree


def _found(read: Read, entry: Entry | None) -> Found | None:
    path = posixpath.join(entry.top, entry.path) if entry else b""
    return read.tree.files.get(read.tree.resolve(path) or b"") if path else None


def _machine_of_entry(read: Read, entry: Entry | None) -> str:
    found = _found(read, entry)
    return (machine_of(found.head) or "") if found else ""


def _archived(image: Image, kind: Kind, read: Read, entry: Entry | None) -> Contents:
    sorts = Counter(found.kind for path, found in read.tree.files.items() if path)
    found = _found(read, entry)
    head = found.head if found else b""
    apprun = AppRun("missing")
    if head.startswith(b"#!"):
        apprun = AppRun("script", _text(head[2:].split(b"\n")[0].strip()))
    elif found:
        machine = machine_of(head)
        apprun = AppRun("ELF", "", machine) if machine else AppRun("other")
    text = read.tree.texts.get(posixpath.join(entry.top, entry.desktop), b"") if entry and entry.desktop else b""
    return Contents(
        codec=kind.compressor or kind.format,
        level=None,
        block_size=None,
        stored_size=image.size - kind.payload,
        content_size=read.size,
        frames=0,
        files=sorts["f"],
        directories=sorts["d"],
        symlinks=sorts["l"],
        hard_links=sorts["h"],
        name=desktop_entry(text).get("Name", ""),
        apprun=apprun,
    )


def _bundle(image: Image, opened: Opened) -> Info:
    index = opened.index
    metadata = metadata_of(index.metadata)
    level = metadata.get("level")
    contents = _contents(
        opened,
        codec="zstd" if any(frame.codec == CODEC_ZSTD for frame in index.frames) else "stored",
        level=level if isinstance(level, int) else None,
        block_size=max((frame.plain for frame in index.frames), default=None),
        name=str(metadata.get("name", "")),
    )
    slice_ = metadata.get("slice")
    glibc, packages = _brought(slice_ or metadata.get("libc"))
    runs_here = "no: it is a C library for other apps; tmprun libc add puts it where starts look for one"
    return replace(
        _info(image, BUNDLE, opened.payload, contents, key=opened.key),
        runs_here=runs_here if slice_ else _runs_here(_machine(image), lambda: needs_of(opened, index.fixups, glibc)),
        packages=packages,
        hot=start_of([index.nodes[number] for number in index.hot]) if index.hot else None,
        starts=str(metadata.get("starts", "")),
        trace=_trace(opened.key, index.nodes),
        ended=last_words(opened.key),
    )


def _trace(key: str, nodes: Sequence[Node]) -> Start | None:
    trace = recorded(key)
    return None if trace is None else start_of(files_of(trace, nodes))


def _brought(libc: object) -> tuple[tuple[int, ...], tuple[Package, ...]]:
    """What a bundle's metadata says of the C library that was packed with it; nothing when that makes no sense."""
    try:
        if not isinstance(libc, dict):
            return (), ()
        version = tuple(int(part) for part in str(libc["glibc"]).split("."))
        packages = (
            Package(
                str(each["name"]), str(each["version"]), tuple(map(str, each["licences"])), str(each.get("source", ""))
            )
            for each in libc["packages"]
        )
        return version, tuple(packages)
    except (AttributeError, KeyError, TypeError, ValueError):
        return (), ()


def _machine(image: Image) -> str:
    return machine_of(os.pread(image.fd, HEAD, 0)) or ""


def _runs_here(made_for: str, needs: Callable[[], Needs]) -> str:
    """`made_for` is empty for what any machine may start: a script."""
    here = os.uname().machine
    if made_for and not runs(made_for, here):
        return f"no: it is made for {made_for}, and this machine is {here}; get the release for {here}"
    return verdict(needs())


def _type_2(image: Image, opened: Opened) -> Info:
    index = opened.index
    contents = _contents(opened, codec=opened.codec, level=None, block_size=opened.block_size, name="")
    return replace(
        _info(
            image,
            TYPE_2 if opened.payload else kinds.SQUASHFS.what,
            opened.payload,
            contents,
            key=opened.key,
            sha256=index.image_sha256.hex(),
        ),
        runs_here=_runs_here(_machine(image), lambda: needs_of(opened, index.fixups)),
        trace=_trace(opened.key, index.nodes),
        ended=last_words(opened.key),
        runtime=own_runtime.version_of(image.fd, opened.payload),
    )


def _info(
    image: Image,
    kind: str,
    payload: int,
    contents: Contents | None,
    *,
    key: str = "",
    sha256: str = "",
    obstacle: str = "",
) -> Info:
    update_information = iso.update_information(image.fd) if kind == TYPE_1 else section(image.fd, UPDATE_INFORMATION)
    return Info(
        path=image.path,
        type=kind,
        machine=_machine(image) or "unknown",
        size=image.size,
        payload_offset=payload,
        key=key,
        sha256=sha256,
        update_information=_text(update_information or b""),
        signed=bool(section(image.fd, SIGNATURE)),
        contents=contents,
        obstacle=obstacle,
    )


def _contents(files: Opened, *, codec: str, level: int | None, block_size: int | None, name: str) -> Contents:
    frames = files.index.frames
    nodes = list(below(files.root))
    kinds = Counter(node.kind for node in nodes)
    return Contents(
        codec=codec,
        level=level,
        block_size=block_size,
        stored_size=sum(frame.stored for frame in frames),
        content_size=sum(node.size for node in nodes if node.kind == FILE),
        frames=len(frames),
        files=kinds[FILE],
        directories=kinds[DIRECTORY] - 1,
        symlinks=kinds[SYMLINK],
        hard_links=kinds[HARD_LINK],
        name=name or _desktop_name(files),
        apprun=_apprun(files),
    )


def _desktop_name(files: Opened) -> str:
    """The app's name by the first desktop entry at the tree's top, as every AppImage has one."""
    for name in sorted(files.root.children):
        node = find(files.root, name) if name.endswith(b".desktop") else None
        if node is not None and node.kind == FILE:
            return desktop_entry(files.read(node, MAX_ENTRY)).get("Name", "")
    return ""


def _apprun(files: Opened, start: bytes = b"AppRun") -> AppRun:
    node = find(files.root, start)
    if node is None:
        return AppRun("missing")
    head = files.read(node, APPRUN_HEAD) if node.kind == FILE else b""
    if head.startswith(b"#!"):
        return AppRun("script", _text(head[2:].split(b"\n")[0].strip()[:255]))
    machine = machine_of(head)
    return AppRun("ELF", _loader(head), machine) if machine and head[4] in (1, 2) else AppRun("other")


def _loader(head: bytes) -> str:
    """The loader that the ELF file which begins with `head` asks for; nothing when it is static, or its headers lie."""
    header = parse(head)
    rows = header.segments_of(head[header.segments_at :][: header.segment_size * header.segments]) if header else []
    names = (head[offset:][:size].split(b"\0")[0] for kind, offset, size in rows if kind == PT_INTERP)
    return _text(next(names, b""))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
