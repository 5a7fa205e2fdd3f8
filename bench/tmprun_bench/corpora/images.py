"""AppDirs as images: the world's type-2 AppImage and our bundle, with the same compressor at the same level."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tmprun.bundle import copies, footer, tar_frames, write
from tmprun.bundle.footer import ALIGN, FOOTER, read_footer, read_index
from tmprun.engine.programs import stub_for
from tmprun.images.image import Image
from tmprun.images.opened import Opened
from tmprun.index import encode, impatient, nodes, rules
from tmprun.index.decode import decode
from tmprun.pack import appdir, pack, pyc
from tmprun_bench.corpora import linuxdeploy
from tmprun_bench.corpora.app import App
from tmprun_bench.corpora.cache import make
from tmprun_bench.errors import BenchError
from tmprun_bench.places import PACKAGE

# An AppImage with the static runtime, where somebody has put it beside the checkout.
STATIC = PACKAGE.parents[2] / "shared" / "images" / "Hello_World-x86_64.zstd.AppImage"
# What the runtime of linuxdeploy's AppImage reads, as mksquashfs calls it.
OLDER_CODECS = ("gzip", "xz")
# What decides a bundle's payload, beside the AppDir and the level.
PACKER = (appdir, copies, encode, footer, impatient, nodes, pack, pyc, rules, tar_frames, write)


@dataclass(frozen=True)
class Packing:
    """How images are packed. `level` is zstd's, for both kinds; `block` is mksquashfs' -b; zlib is always at its
    level 9."""

    level: int = 9
    block: str = "128K"


def type2(app: App, packing: Packing, *, codec: str = "zstd") -> Path:
    """The app as a type-2 AppImage: a runtime, then a squashfs (`codec` zstd, gzip or xz). Or the one it came
    as."""
    if app.image is not None:
        return make(app.folder / f"{app.name}.AppImage", app.image)
    name = f"{app.name}-{codec}{packing.level if codec == 'zstd' else ''}-{packing.block}.AppImage"
    return make(
        app.folder / name,
        lambda path: append_squashfs(path, _runtime(codec), app.appdir, squashfs_options(packing, codec)),
    )


def offset(image: Path) -> int:
    """Where the squashfs begins in a type-2 AppImage: behind the program in front of it, which is not asked, since it
    may be of another machine. A tmprun error when there is none."""
    with Image(str(image)) as file, Opened(file) as opened:
        payload: int = opened.payload
    return payload


def bundled(app: App, packing: Packing) -> Path:
    """The app as a bundle, behind the stub that is built now. Packed again only when the packer has
    changed; what was made of an older packer or stub is deleted."""
    sources = b"".join(Path(str(module.__file__)).read_bytes() for module in PACKER)
    payload = f"{app.name}-zstd{packing.level}-{hashlib.sha256(sources).hexdigest()[:12]}"
    packed = make(app.folder / f"{payload}.payload", lambda path: pack.pack(app.appdir, path, level=packing.level))
    stub = stub_for(os.uname().machine)
    name = f"{payload}-{hashlib.sha256(stub).hexdigest()[:12]}.bundle"
    image = make(app.folder / name, lambda path: _with_stub(packed, stub, path))
    for older in app.folder.glob(f"{app.name}-zstd{packing.level}-*"):
        if older.suffix in (".payload", ".bundle") and older not in (packed, image):
            older.unlink()
    return image


def frames(image: Path) -> list[tuple[int, int, int]]:
    """The zstd frames of a bundle: offset in the file, stored and plain size in bytes."""
    with image.open("rb") as file:
        found = read_footer(file.fileno())
        if found is None:
            raise BenchError(f"{image} is no bundle")
        table = decode(read_index(file.fileno(), found))
    return [(found.offset + frame.offset, frame.stored, frame.plain) for frame in table.frames]


def _with_stub(packed: Path, stub: bytes, out: Path) -> None:
    """The same payload behind another stub: only the payload's offset, in the footer, depends on it
    (docs/format.md)."""
    with packed.open("rb") as source, out.open("wb") as target:
        found = read_footer(source.fileno())
        if found is None:
            raise BenchError(f"{packed} is no bundle")
        offset = len(stub) + -len(stub) % ALIGN
        target.write(stub.ljust(offset, b"\0"))
        source.seek(found.offset)
        shutil.copyfileobj(source, target, 1 << 20)
        target.seek(-FOOTER.size, os.SEEK_END)
        target.write(_moved_footer(packed, offset))
    out.chmod(0o755)


def _moved_footer(packed: Path, offset: int) -> bytes:
    with packed.open("rb") as file:
        file.seek(-FOOTER.size, os.SEEK_END)
        fields = list(FOOTER.unpack(file.read()))
    fields[4] = offset
    return FOOTER.pack(*fields)


def no_runtime(app: App, codec: str) -> str:
    """Why the app's image with that codec cannot start by its own runtime; empty when it can."""
    if app.image is not None or STATIC.exists() or codec in OLDER_CODECS:
        return ""
    return f"linuxdeploy's runtime, the only one here, reads no {codec}"


def _runtime(codec: str) -> bytes:
    """A type-2 runtime: the static one, or else that of linuxdeploy's AppImage. That one for xz in any case: it is
    older, wants libfuse 2, and reads xz, which the static one does not."""
    image = STATIC if STATIC.exists() and codec != "xz" else type2(linuxdeploy.app(), Packing())
    with image.open("rb") as file:
        return file.read(offset(image))


def squashfs_options(packing: Packing, codec: str) -> tuple[str, ...]:
    """mksquashfs' options; it packs on all cores."""
    level = ("-Xcompression-level", str(packing.level)) if codec == "zstd" else ()
    return (
        "-comp", codec, *level, "-b", packing.block,
        "-root-owned", "-noappend", "-mkfs-time", "0", "-no-progress", "-quiet",
    )  # fmt: skip


def append_squashfs(path: Path, runtime: bytes, source: Path, options: tuple[str, ...]) -> None:
    """Make a type-2 AppImage at `path` as appimagetool does: mksquashfs, behind the runtime."""
    program = shutil.which("mksquashfs")
    if program is None:
        raise BenchError("mksquashfs is missing; install squashfs-tools")
    path.write_bytes(runtime)
    start = ("-offset", str(len(runtime)))
    done = subprocess.run([program, source, path, *options, *start], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"mksquashfs failed:\n{done.stderr}")
    # mksquashfs -offset leaves what stands before its squashfs alone or zeroes it, depending on the version.
    with path.open("r+b") as file:
        file.write(runtime)
    path.chmod(0o755)
