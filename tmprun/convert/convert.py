"""An image, archive or package of any kind becomes a bundle.

It is unpacked in a scratch directory of the disk cache, made an AppDir there, and packed like any other. So what is
held in memory does not grow with it, and what makes a bundle right makes this one right.
"""

from __future__ import annotations

import errno
import os
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tmprun.archives import appdir, kinds, reading
from tmprun.archives.kinds import Kind
from tmprun.elf.sections import SIGNATURE, UPDATE_INFORMATION, section
from tmprun.engine.programs import stub_for
from tmprun.errors import TmprunError
from tmprun.human import one_line
from tmprun.images import iso
from tmprun.images.image import Image
from tmprun.pack.levels import DEFAULT_LEVEL
from tmprun.store.scratch import scratch

# To load what packs takes a tenth of the time that a small archive takes. It is done where it is first needed: by then
# the child unpacks already.
if TYPE_CHECKING:
    from tmprun.pack.early import Early
    from tmprun.pack.pack import PackReport

# `stage` is "reading" or "packing"; `done` and `total` are bytes, and a total of 0 is not known.
Progress = Callable[[str, int, int], None]

_REFUSALS = {os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)}
_ENDINGS = re.compile(r"(\.tar)?\.[A-Za-z0-9]+$")


@dataclass
class Prepared:
    """An AppDir in the scratch directory `folder`: where, what it starts and why, and what is to be said.

    `lost` are things that a bundle cannot hold, a line each. `facts` go into the bundle's metadata.
    """

    folder: str
    path: str
    starts: str
    why: str
    lost: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)
    update_information: str = ""
    early: Early | None = None


@contextmanager
def prepared(
    image: Image,
    kind: Kind,
    *,
    entry: str = "",
    force: bool = False,
    progress: Progress | None = None,
    waiting: Callable[[], None] | None = None,
    behind: bool = False,
    level: int | None = None,
) -> Iterator[Prepared]:
    """The open image as an AppDir on disk, as long as the block lasts; errors about it say where they belong.

    `entry` is what is to be started of it, when the rules do not tell (docs/archives.md). `waiting` is called when
    somebody else is converting it just now; then that is waited for. `behind`: what is done with is removed by a
    process that nobody waits for. `level`: what is unpacked is packed at once, at that level.
    """
    with scratch(image.identity, waiting, behind=behind) as folder, _in_words(folder), ExitStack() as stack:
        made = _unpacked(image, kind, folder, entry, force, level, stack, progress)
        image.check_unchanged()
        _add_facts(image, kind, made)
        from tmprun.pack.appdir import PackError

        try:
            yield made
        except PackError as error:
            # What is wrong with the AppDir is wrong with the image that it came from.
            for each in (error, *error.also):
                each.where = each.where.replace(one_line(made.path), one_line(image.path), 1)
            raise


@contextmanager
def _in_words(folder: str) -> Iterator[None]:
    """What the system refuses in the scratch directory, which nobody knows by that name."""
    try:
        yield
    except OSError as error:
        raise _refused(folder, error.strerror or str(error)) from None
    except TmprunError as error:
        if error.where.startswith(folder) and error.what in _REFUSALS:
            raise _refused(folder, error.what) from None
        raise


def _refused(folder: str, why: str) -> TmprunError:
    remedy = "set XDG_CACHE_HOME to a directory of yours with room"
    return TmprunError(f"cannot be converted: {why} in {os.path.dirname(folder)}", remedy=remedy)


def convert(
    prepared: Prepared,
    out: str | os.PathLike[str],
    *,
    level: int = DEFAULT_LEVEL,
    threads: int = 0,
    with_libc: bool = False,
    hot: Sequence[bytes] = (),
    progress: Progress | None = None,
) -> PackReport:
    """Pack what was prepared into the bundle `out`; see `pack.pack`."""
    from tmprun.pack.pack import pack

    return pack(
        prepared.path, out, level=level, threads=threads, with_libc=with_libc, hot=hot, facts=prepared.facts,
        update_information=prepared.update_information,
        early=prepared.early,
        progress=(lambda done, total: progress("packing", done, total)) if progress else None,
    )  # fmt: skip


def names_of(path: str) -> tuple[str, ...]:
    """What an archive is called, without its ending."""
    name = posixpath.basename(path)
    return (_ENDINGS.sub("", name) or name,)


def _unpacked(
    image: Image, kind: Kind, folder: str, entry: str, force: bool, level: int | None, stack: ExitStack,
    progress: Progress | None,
) -> Prepared:  # fmt: skip
    tree = os.path.join(folder, "tree")
    os.mkdir(tree)
    if kind.format:
        beginning = None if level is None else _Beginning(os.path.join(folder, "begun"), tree, level, stack)
        return _from_archive(image, kind, folder, tree, entry, force, beginning, progress)
    if kinds.unpacks_itself(kind):
        from tmprun.convert import own_runtime

        told = (lambda size: progress("unpacking itself", size, 0)) if progress else None
        path = own_runtime.unpack(image, kind.payload, folder, told)
        facts = {"unpacked_by": own_runtime.version_of(image.fd, kind.payload) or "its own program"}
        return _with_entry(Prepared(folder, path, "", "", facts=dict(facts)), path, entry, (), False, 0)
    from tmprun.start import ask_engine

    ask_engine.extract(image.path, tree, (), force=force)
    return _with_entry(Prepared(folder, tree, "", ""), tree, entry, names_of(image.path), False, 0)


class _Beginning:
    """Packing what is unpacked into `tree` at once: when there is a first file, its packer comes, in `path`."""

    def __init__(self, path: str, tree: str, level: int, stack: ExitStack) -> None:
        self._arguments = path, tree, level, stack
        self._packs = True
        self.early: Early | None = None

    def made(self, path: bytes, kind: str) -> None:
        if self._packs and self.early is None:
            self._begin(*self._arguments)
        if self.early:
            self.early.made(path, kind)

    def _begin(self, path: str, tree: str, level: int, stack: ExitStack) -> None:
        from tmprun.pack.early import early
        from tmprun.pack.pack import source_date_epoch

        self._packs = source_date_epoch() is None
        if self._packs:
            self.early = stack.enter_context(early(path, tree, stub_for(os.uname().machine), level))


def _from_archive(
    image: Image, kind: Kind, folder: str, tree: str, entry: str, force: bool, beginning: _Beginning | None,
    progress: Progress | None,
) -> Prepared:  # fmt: skip
    read = reading.unpack(
        image.fd, kind, tree, force=force, made=beginning.made if beginning else None,
        progress=(lambda done, total: progress("reading", done, total)) if progress else None,
    )  # fmt: skip
    package = read.package
    names = (package.name,) if package else names_of(image.path)
    made = Prepared(folder, tree, "", "", read.lost, read.notes, early=beginning.early if beginning else None)
    if package:
        made.facts["package"] = {"name": package.name, "version": package.version, "machine": package.machine}
        if package.depends:
            made.notes.append(f"it depends on packages that it does not bring: {one_line(package.depends)}")
    return _with_entry(made, tree, entry, names, package is not None, read.newest)


def _with_entry(made: Prepared, root: str, entry: str, names: tuple[str, ...], package: bool, time: int) -> Prepared:
    made.path, found, notes = appdir.make(root, wanted=entry, names=names, package=package, time=time)
    made.starts, made.why = os.fsdecode(found.path), found.why
    made.notes += notes
    return made


def _add_facts(image: Image, kind: Kind, made: Prepared) -> None:
    made.facts |= {"converted": kind.what, "starts": one_line(made.starts)}
    if made.lost:
        made.facts["left_out"] = [one_line(line) for line in made.lost]
    if section(image.fd, SIGNATURE):
        made.facts["signature"] = "the original was signed; that does not cover this file"
        made.notes.append("its signature does not cover the bundle")
    raw = iso.update_information(image.fd) if kind.format == "iso" else section(image.fd, UPDATE_INFORMATION)
    made.update_information = (raw or b"").decode("utf-8", "surrogateescape")
    if kind == kinds.BUNDLE:
        made.facts.pop("converted")


def starts_of(bundle: str) -> str:
    """What the converted bundle at `bundle` starts, as it was found when it was made."""
    from tmprun.bundle.footer import read_footer, read_index
    from tmprun.index.decode import decode, metadata_of

    with open(bundle, "rb") as file:
        footer = read_footer(file.fileno())
        if footer is None:
            return ""
        try:
            raw = decode(read_index(file.fileno(), footer)).metadata
        except TmprunError:
            return ""
    return str(metadata_of(raw).get("starts", ""))
