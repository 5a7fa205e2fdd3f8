"""How long packing takes, and how small the image gets: the same AppDir, the same level, all cores but for EROFS.

Everybody reads the AppDir from the page cache and writes to tmpfs. mksquashfs with zlib is at zlib's own best level,
its default. mkfs.erofs packs on one core (corpora/erofs.py says why). Ours also looks for everything that could be
wrong with the AppDir and hashes every frame. A squashfs here has no runtime in front of it (0.7 MB), a bundle has its
stub (0.15 MB). Each image is unpacked after each run by the tool that belongs to it, and the tree compared with the
AppDir.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tmprun_bench import subjects
from tmprun_bench.corpora import erofs, neovim, node, peers, tarball
from tmprun_bench.corpora.app import App
from tmprun_bench.corpora.cache import describe, remove
from tmprun_bench.corpora.images import squashfs_options
from tmprun_bench.errors import WrongAnswer
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import Subject, measure
from tmprun_bench.measure.results import Amount, Result
from tmprun_bench.measure.trees import digest
from tmprun_bench.subjects.parts import missing, skipped

ROUNDS, LONG_ROUNDS = 11, 3
OURS = "tmprun pack"


def packing(context: Context) -> Result:
    """Packing neovim and node: time and size of bundle, squashfs, EROFS and tar, same level."""
    peers.fetch()
    result = Result("packing", f"Packing at level {context.packing.level}, and the size of what comes out")
    result.facts |= subjects.facts()
    for app, usual in ((neovim.app(with_libc=False), ROUNDS), (node.app(), LONG_ROUNDS)):
        prefix = f"{app.name}: "
        packers = _packers(context, app)
        result.add(measure(packers, context.rounds(usual), context.work.root), prefix)
        amount = Amount(describe(app.appdir)["bytes"], "bytes")
        for name in [packer.name for packer in packers if not packer.absent]:
            result.amounts[prefix + name] = amount
            result.sizes[prefix + name] = _image(context, name).stat().st_size
            remove(_image(context, name))
            if name != OURS:
                result.compare(f"{prefix}time", prefix + OURS, prefix + name)
    return result


def _packers(context: Context, app: App) -> list[Subject]:
    expected = digest(app.appdir)
    return [
        _ours(context, app, expected),
        _squashfs(context, app, expected, "zstd"),
        _squashfs(context, app, expected, "gzip"),
        _erofs(context, app, expected),
        _tar(context, app, expected),
    ]


def _ours(context: Context, app: App, expected: str) -> Subject:
    image = _image(context, OURS)
    pack: tuple[str | Path, ...] = ("pack", app.appdir, "-o", image, "--level", str(context.packing.level), "--quiet")
    unpack = (context.door, "extract", image, "-C", context.work.tree)
    return _packer(context, OURS, (context.door, *pack), unpack, expected)


def _squashfs(context: Context, app: App, expected: str, codec: str) -> Subject:
    name = f"mksquashfs, {'zlib' if codec == 'gzip' else codec}"
    absent = missing("mksquashfs", "unsquashfs")
    if absent:
        return skipped(name, absent)
    image = _image(context, name)
    unpack = ("unsquashfs", "-quiet", "-no-progress", "-force", "-d", context.work.tree, image)
    pack: tuple[str | Path, ...] = ("mksquashfs", app.appdir, image, *squashfs_options(context.packing, codec))
    return _packer(context, name, pack, unpack, expected)


def _erofs(context: Context, app: App, expected: str) -> Subject:
    found, checker = erofs.maker(), peers.command("fsck.erofs")
    name = f"mkfs.erofs, {found.codec}" if found else "mkfs.erofs"
    if found is None or checker is None:
        return skipped(name, "erofs-utils not installed")
    image = _image(context, name)
    unpack: tuple[str | Path, ...] = (*checker, f"--extract={context.work.tree}", "--overwrite", "--preserve", image)
    return _packer(context, name, erofs.command(found, app.appdir, image, context.packing), unpack, expected)


def _tar(context: Context, app: App, expected: str) -> Subject:
    name = "tar, zstd"
    absent = missing("tar", "zstd")
    if absent:
        return skipped(name, absent)
    image = _image(context, name)
    unpack = ("tar", "--zstd", "-xf", image, "-C", context.work.tree)
    return _packer(context, name, tarball.command(app.appdir, image, context.packing), unpack, expected)


def _packer(
    context: Context, name: str, pack: Sequence[str | Path], unpack: Sequence[str | Path], expected: str
) -> Subject:
    work = context.work
    steps = (work.step("rm", "-f", _image(context, name)), work.step(*pack, timed=True))
    return Subject(name, steps, check_of(context, unpack, expected), alone=True)


def _image(context: Context, name: str) -> Path:
    return context.work.root / f"packed by {name}".replace(" ", "-").replace(",", "")


def check_of(context: Context, unpack: Sequence[str | Path], expected: str) -> Callable[[bytes], None]:
    """That what `unpack` makes of an image, in the tree's directory, is the tree with that digest."""

    def check(_output: bytes) -> None:
        work = context.work
        remove(work.tree)
        work.tree.mkdir(mode=0o700)
        done = subprocess.run(unpack, env=work.environment(), capture_output=True, text=True, check=False)
        if done.returncode or digest(work.tree) != expected:
            raise WrongAnswer(f"the image does not hold the AppDir {done.stderr[-200:].strip()}".rstrip())

    return check
