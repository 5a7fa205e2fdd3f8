"""Will an image run on this machine, and if not, what is missing: the same look that the engine takes at a start."""

from __future__ import annotations

import io
import os
import posixpath
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tmprun.archives import reading
from tmprun.archives.entry import Entry
from tmprun.archives.kinds import Kind
from tmprun.archives.tree import Tree
from tmprun.elf.facts import Facts, facts_of
from tmprun.elf.interpreter_plan import GLIBC_LOADERS
from tmprun.elf.machines import MAGIC
from tmprun.errors import BadImage
from tmprun.host.libraries import SystemLibraries, glibc_version
from tmprun.human import one_line
from tmprun.images.image import Image
from tmprun.images.opened import Opened
from tmprun.index.nodes import Fixup, Node
from tmprun.index.rules import DIRECTORY, FILE, HARD_LINK, SYMLINK
from tmprun.index.walk import below, find
from tmprun.libc.shelf import Slice, slices
from tmprun.report.newer_libraries import Library, Version, libraries_of, said_of
from tmprun.start.ask_engine import judge

# Bytes of programs that are looked at for a report; how much of a script, and of AppRun.
_MOST = 256 << 20
_SCRIPT = 256
_APPRUN = 64 << 20

# On both sides, as the engine says it (stub/door/judge.c).
REMEDY = "on a machine with glibc: tmprun libc make -o glibc.slice; then here: tmprun libc add glibc.slice"


@dataclass(frozen=True)
class Needs:
    """What an image's programs ask of a machine: `loader` and the lowest `glibc`, and the `script` AppRun goes through.

    `brought` are the paths that the image has something of its own for; `obstacle` is why the kernel cannot start
    AppRun here; `static` says that AppRun is a program that needs no loader. `missing` are libraries that are neither
    in an archive nor on this machine. `libraries` are those that require more than `glibc`, where a slice may matter.
    """

    loader: str = ""
    glibc: Version = ()
    script: str = ""
    brought: frozenset[str] = frozenset()
    obstacle: str = ""
    static: bool = False
    missing: tuple[str, ...] = ()
    libraries: tuple[Library, ...] = ()


def needs_of(files: Opened, fixups: Sequence[Fixup], glibc: Version = (), start: bytes = b"AppRun") -> Needs:
    """Look at `start`, which is started of it, and the programs of an image. `glibc` is what its packer has found out,
    if he has."""
    apprun = find(files.root, start)
    programs = [apprun] if apprun and apprun.kind == FILE else []
    script = _script(files, programs[0]) if programs else ""
    programs += [node for node in below(files.root) if node.kind == FILE and node.first and node is not apprun]
    found: list[Facts] = []
    left = _MOST
    static = False
    for node in programs:
        left -= node.size
        facts = _facts(files, node) if left >= 0 else None
        static = static or (node is apprun and facts is not None and facts.kind in ("static", "static-pie"))
        if facts and facts.kind == "program":
            found.append(facts)
    loaders = Counter(facts.interpreter for facts in found)
    loader = max(loaders, key=lambda name: (loaders[name], name), default="")
    highest = max([glibc, *(facts.glibc for facts in found)])
    brought = frozenset(os.fsdecode(fixup.interpreter.path) for fixup in fixups)
    return Needs(
        loader=loader,
        glibc=highest,
        script=script,
        brought=brought,
        libraries=libraries_of(files, highest, _MOST) if _may_be_a_slices(loader) and loader not in brought else (),
        obstacle=_obstacle(files, start),
        static=static,
    )


def _may_be_a_slices(loader: str) -> bool:
    """Where there is no slice, and none is needed, a start does not look at libraries either."""
    known = os.path.basename(loader).encode() in GLIBC_LOADERS
    return known and (not os.access(loader, os.X_OK) or bool(slices()))


def needs_of_archive(image: Image, kind: Kind, tree: Tree, entry: Entry) -> Needs:
    """Look at the program of an archive that is started, which alone is unpacked for that; the others are not."""
    start = posixpath.join(entry.top, entry.path)
    program = tree.resolve(start) or start
    wanted, _ = tree.matching([os.fsdecode(program)])
    with tempfile.TemporaryDirectory(prefix="tmprun-") as folder:
        reading.unpack(image.fd, kind, folder, force=True, wanted=wanted)
        path = os.path.join(os.fsencode(folder), program)
        os.chmod(path, 0o755)
        with open(path, "rb") as file:
            script = _interpreter(file.read(_SCRIPT))
            facts = facts_of(file)
        return Needs(
            loader=facts.interpreter if facts else "",
            glibc=facts.glibc if facts else (),
            script=script,
            obstacle=_judged(folder, program),
            static=facts is not None and facts.kind in ("static", "static-pie"),
            missing=_missing(facts, tree) if facts else (),
        )


def _missing(program: Facts, tree: Tree) -> tuple[str, ...]:
    """The libraries that the program itself asks for and nobody has: of packages others bring them."""
    loader = program.interpreter
    here = SystemLibraries(program.machine)
    if os.path.basename(loader).encode() not in GLIBC_LOADERS or not os.access(loader, os.X_OK) or not here.known:
        return ()
    brought = {posixpath.basename(path) for path in tree.files}
    wanted = [name for name in program.needed if os.fsencode(name) not in brought]
    return tuple(name for name in wanted if not here.find(name, program.search))


def _judged(folder: str, start: bytes) -> str:
    """What the engine says of `start` in that directory; it judges what is called AppRun."""
    if start != b"AppRun":
        os.symlink(start, os.path.join(os.fsencode(folder), b"AppRun"))
    said = judge(folder)
    return said.replace("AppRun", one_line(start), 1) if said.startswith("AppRun") else said


def _obstacle(files: Opened, start: bytes) -> str:
    """What the engine, which judges a start, says of that and what leads to it, in a directory of their own."""
    passed: list[tuple[bytes, Node]] = []
    find(files.root, start, passed)
    with tempfile.TemporaryDirectory(prefix="tmprun-") as folder:
        for path, node in passed:
            _put(files, node, os.path.join(os.fsencode(folder), path))
        return _judged(folder, start)


def _put(files: Opened, node: Node, path: bytes) -> None:
    if os.path.lexists(path):
        return
    node = node.link if node.kind == HARD_LINK and node.link else node
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if node.kind == DIRECTORY:
        os.mkdir(path, 0o700)
    elif node.kind == SYMLINK:
        os.symlink(node.target, path)
    else:
        with open(path, "xb") as file:
            file.write(files.read(node, _APPRUN))
        os.chmod(path, node.mode & 0o777 | 0o400)


def verdict(needs: Needs) -> str:
    """One line: yes, or what is missing and what to do about it."""
    lacking, slice_ = _choice(needs) if needs.loader else ("", None)
    if needs.obstacle and not _brings_what_is_missing(needs, slice_):
        return f"no: {needs.obstacle}"
    if not lacking and needs.missing:
        names = ", ".join(one_line(name) for name in needs.missing)
        return f"no: needs {names}, neither in it nor on this machine; install the package that brings it"
    newer = _newer(needs, slice_)
    if not lacking:
        return f"yes{newer}"
    if needs.loader in needs.brought:
        return f"yes, with the C library that it brings ({lacking})"
    if slice_:
        return f"yes, with the C library of {one_line(slice_.path)} ({lacking}){newer}"
    there = f"{lacking}, and the image brings no C library; {REMEDY}"
    return f"yes, as AppRun is static; of its other programs: {there}" if needs.static else f"no: {there}"


def _choice(needs: Needs) -> tuple[str, Slice | None]:
    """What this machine lacks, and the slice that a start would take: for all libraries, or else for the programs."""
    if needs.loader in needs.brought:
        return _lacking(needs.loader, needs.glibc), None
    most = max([needs.glibc, *(each.glibc for each in needs.libraries)])
    lacking = _lacking(needs.loader, most)
    slice_ = _slice(needs.loader, most) if lacking else None
    if slice_ or not lacking:
        return lacking, slice_
    lacking = _lacking(needs.loader, needs.glibc)
    return lacking, _slice(needs.loader, needs.glibc) if lacking else None


def _newer(needs: Needs, slice_: Slice | None) -> str:
    """What is to be said of its libraries where a start does without what they require."""
    if not needs.libraries or needs.loader in needs.brought:
        return ""
    have = slice_.version if slice_ else libc_version(needs.loader)
    said = said_of(needs.libraries, have) if have else ""
    return said and f"; {said}"


def _slice(loader: str, glibc: Version) -> Slice | None:
    """The one that a start takes for that loader, if it is to have at least that version."""
    here = [each for each in slices() if not each.trouble and each.machine == os.uname().machine]
    if os.path.basename(loader).encode() not in GLIBC_LOADERS:
        return None
    fit = [each for each in here if each.version[:2] >= glibc[:2]]
    return max(fit, key=lambda each: each.version, default=None)


def _brings_what_is_missing(needs: Needs, slice_: Slice | None) -> bool:
    """Whether the obstacle is what the image, or a slice, has something in place of; a broken AppRun stays broken."""
    if needs.script:
        return needs.script in needs.brought
    return (
        needs.loader in needs.brought or slice_ is not None
    ) and f"needs the loader {needs.loader}," in needs.obstacle


def _lacking(loader: str, glibc: Version) -> str:
    """What of the C library this machine lacks; nothing when it has it."""
    name = os.path.basename(loader).encode()
    if name not in GLIBC_LOADERS:
        return "" if os.access(loader, os.X_OK) else f"needs {loader}, which this machine lacks"
    wanted = "glibc " + ".".join(map(str, glibc)) if glibc else "glibc"
    here = libc_version(loader)
    if here is None:
        musl = any(entry.startswith("ld-musl-") for entry in _listing("/lib"))
        return f"needs {wanted}, this is musl" if musl else f"needs {wanted}, this machine has none"
    if here[:2] < glibc[:2]:
        return f"needs {wanted}, this machine has {'.'.join(map(str, here))}"
    return ""


def libc_version(loader: str) -> Version | None:
    """The version in the banner of the C library beside the loader; None when there is none, or no glibc."""
    if not os.access(loader, os.X_OK):
        return None
    try:
        with open(os.path.join(os.path.dirname(os.path.realpath(loader)), "libc.so.6"), "rb") as file:
            return glibc_version(file.read())
    except OSError:
        return None


def _listing(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _facts(files: Opened, node: Node) -> Facts | None:
    try:
        if files.read(node, len(MAGIC)) != MAGIC:
            return None
        return facts_of(io.BytesIO(files.read(node, node.size)))
    except BadImage:
        return None


def _script(files: Opened, node: Node) -> str:
    return _interpreter(files.read(node, _SCRIPT))


def _interpreter(head: bytes) -> str:
    line, _, _ = head.partition(b"\n")
    words = line[2:].split() if line.startswith(b"#!") else []
    return os.fsdecode(words[0]) if words else ""
