"""AppImages that take the C library for granted, and slices that bring it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from kit.apps import SETTLED
from kit.foreign_images import mksquashfs
from tmprun.bundle.footer import read_footer, read_index
from tmprun.host.libraries import SystemLibraries
from tmprun.index.decode import decode
from tmprun.libc.make import Made, make

BUSYBOX = Path("/usr/bin/busybox")


def appimage(appdir: Path, image: Path, codec: str = "zstd") -> Path:
    """The AppDir as an AppImage of type 2, behind some static program."""
    squashfs = image.with_name(f"{image.name}.squashfs")
    image.write_bytes(
        BUSYBOX.read_bytes()
        + mksquashfs(
            appdir, squashfs, "-comp", codec, "-root-owned", *(("-Xcompression-level", "1") if codec == "zstd" else ())
        )
    )
    squashfs.unlink()
    image.chmod(0o755)
    time.sleep(SETTLED)
    return image


def make_slice(path: Path, *add: str) -> Made:
    """A slice of this machine, quickly."""
    made = make(str(path), add=add, level=1)
    time.sleep(SETTLED)
    return made


def place_of(data: Path) -> Path:
    """Where a start with XDG_DATA_HOME `data` looks for slices."""
    place = data / "tmprun" / "libc"
    place.mkdir(parents=True, exist_ok=True)
    return place


def compile_program(source: str, out: Path, *flags: str, compiler: str = "cc") -> Path:
    """A program, or with -shared a library, of that C or C++ source."""
    out.parent.mkdir(parents=True, exist_ok=True)
    language = "c++" if compiler == "c++" else "c"
    command = [compiler, "-x", language, "-", "-x", "none", "-o", out, *flags]
    subprocess.run(command, input=source.encode(), check=True)
    return out


def needed_of(program: Path) -> list[str]:
    """The libraries that the program needs, itself and by others, as this machine's loader finds them."""
    done = subprocess.run(
        ["ldd", program], capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}
    )
    return [line.split()[0] for line in done.stdout.splitlines() if "=>" in line]


def copy_door(door: Path, apps: Path) -> str:
    """The front door as it is called in the root that has `apps`."""
    shutil.copy(door, apps / "tmprun")
    return "/apps/tmprun"


def library(name: str) -> Path:
    """Where this machine has that library: linking with it needs no headers' package."""
    path = SystemLibraries(os.uname().machine).find(name)
    assert path, f"{name} is missing: .ci/packages installs it"
    return Path(path)


def libraries_of(slice_: Path) -> set[str]:
    """The names of the libraries in a slice."""
    with slice_.open("rb") as file:
        footer = read_footer(file.fileno())
        assert footer
        paths = decode(read_index(file.fileno(), footer)).paths()
    return {os.fsdecode(path.removeprefix(b"lib/")) for path in paths if path.startswith(b"lib/")}
