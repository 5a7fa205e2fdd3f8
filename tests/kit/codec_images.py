"""Images of every codec that squashfs has, large enough to be gated, with content that each of them makes smaller."""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path

from kit.apps import SETTLED, write
from kit.foreign_images import mksquashfs, write_image
from kit.gating import Gated, gated_files
from kit.trees import below

BLOCKS = ("4K", "128K", "1M")


def code(size: int) -> bytes:
    """So much of the programs and libraries that this process runs."""
    lines = [line.split(maxsplit=5) for line in Path("/proc/self/maps").read_text().splitlines()]
    mapped = {line[5] for line in lines if line[1] == "r-xp" and line[5:] and line[5].startswith("/")}
    content = b"".join(Path(path).read_bytes() for path in sorted(mapped))[:size]
    assert len(content) == size
    return content


def codec_appdir(into: Path, reader: Path) -> Path:
    """An AppDir of 5 MB: a real program's code, text, a hole, and many small files that share blocks."""
    appdir = into / "Codec.AppDir"
    program = code(1_300_000)
    chance = random.Random(11)
    write(appdir / "AppRun", reader.read_bytes(), 0o755)
    write(appdir / "usr" / "bin" / "program", program[:200_000], 0o755)
    write(appdir / "usr" / "lib" / "libcode.so.1", program)
    write(appdir / "usr" / "share" / "text", b"".join(b"line %d of a text\n" % number for number in range(60_000)))
    write(appdir / "usr" / "share" / "sparse", program[:5000] + bytes(2_000_000) + program[5000:10_000])
    write(appdir / "usr" / "share" / "noise", chance.randbytes(140_000))
    for number in range(150):
        at = chance.randrange(1_290_000)
        write(appdir / "usr" / "small" / f"{number % 7}" / f"{number}", program[at : at + chance.randrange(1, 9000)])
    for number, path in enumerate(sorted(below(appdir))):
        os.utime(path, (1_500_000_000 + number, 1_500_000_000 + number), follow_symlinks=False)
    return appdir


def codec_image(appdir: Path, image: Path, *options: str) -> Gated:
    """The AppDir as an AppImage of type 2, made by mksquashfs with these options."""
    squashfs = image.with_suffix(".squashfs")
    write_image(image, mksquashfs(appdir, squashfs, "-all-root", *options), (appdir / "AppRun").read_bytes())
    squashfs.unlink()
    image.chmod(0o755)
    time.sleep(SETTLED)
    return Gated(image, appdir, gated_files(appdir))


def unsquashed(image: Gated, into: Path) -> Path:
    """The image's tree as unsquashfs extracts it."""
    offset = (image.appdir / "AppRun").stat().st_size
    command = ["unsquashfs", "-quiet", "-no-progress", "-no-xattrs", "-offset", str(offset), "-dest", into, image.image]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return into
