"""AppImages of others that bring their own glibc, where there is none: from an index that was compiled elsewhere."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from kit.apps import SETTLED, write
from kit.harness import Harness
from kit.musl_root import in_musl, make_root
from tmprun_bench.corpora import neovim

DIRECT = """#!/bin/sh
here=$(cd "${0%/*}" && pwd)
export VIM="$here/usr/share/nvim" VIMRUNTIME="$here/usr/share/nvim/runtime"
export LD_LIBRARY_PATH="$here/usr/lib/x86_64-linux-gnu:$here/lib/x86_64-linux-gnu"
exec "$here/usr/bin/nvim" "$@"
"""
SAY = "lua io.write(vim.v.progpath .. ' ' .. vim.fn.filereadable(vim.env.VIMRUNTIME .. '/syntax/c.vim'))"


@pytest.fixture(scope="session")
def root(shared: Path) -> Path:
    return make_root(shared / "musl for foreign")


def appimage(folder: Path, codec: str, apprun: str | None) -> Path:
    """Neovim with its own glibc as a type-2 AppImage; `apprun` takes the place of its script."""
    appdir = folder / "Nvim.AppDir"
    shutil.copytree(neovim.app(with_libc=True).appdir, appdir, symlinks=True)
    if apprun:
        (appdir / "AppRun").unlink()
        write(appdir / "AppRun", apprun, 0o755)
    squashfs = folder / "squashfs"
    command = ["mksquashfs", appdir, squashfs, "-quiet", "-no-progress", "-comp", codec, "-root-owned"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    image = folder / "nvim.AppImage"
    image.write_bytes(Path("/usr/bin/busybox").read_bytes() + squashfs.read_bytes())
    image.chmod(0o755)
    time.sleep(SETTLED)
    return image


@pytest.mark.parametrize("codec", ["zstd", "gzip", "xz"])
@pytest.mark.parametrize("apprun", [None, DIRECT], ids=["its own script", "the program itself"])
def test_neovim(
    harness: Harness, root: Path, door_with_python: Path, tmp_path: Path, codec: str, apprun: str | None
) -> None:
    apps = tmp_path / "apps"
    apps.mkdir()
    image = appimage(apps, codec, apprun)
    harness.door = door_with_python
    words = ["--headless", "-u", "NONE", "-c", SAY, "-c", "qa!"]
    here = harness.run(harness.door, image, *words, env={"XDG_CACHE_HOME": str(apps / "cache")})
    shutil.copy(door_with_python, apps / "tmprun")
    there = in_musl(
        harness, root, apps, "/apps/tmprun", "/apps/nvim.AppImage", *words, env={"XDG_CACHE_HOME": "/apps/cache"}
    )
    for result in (here, there):
        progpath, readable = result.stdout.decode().split()
        assert readable == "1"
        if apprun:
            assert progpath.endswith("/tree/usr/bin/nvim")
