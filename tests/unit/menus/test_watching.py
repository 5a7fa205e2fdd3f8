"""What a watcher knows without the kernel's help."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.menu_apps import as_bundle, menu_appdir

from tmprun.menus import watch
from tmprun.menus.inotify import Change, Inotify
from tmprun.menus.integrate import integrated


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("data", "cache", "store"):
        variable = {"data": "XDG_DATA_HOME", "cache": "XDG_CACHE_HOME", "store": "TMPRUN_STORE"}[name]
        monkeypatch.setenv(variable, str(tmp_path / name))


def settle(watcher: watch.Watcher, seconds: float = 1.5) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        watcher.step(0.1)


def silent(self: Inotify) -> Iterator[Change]:
    """What comes of a change that another machine has made."""
    return iter(())


def refused(self: Inotify, directory: str) -> int:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("without", ["news", "watches"])
def test_what_nobody_tells_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: str) -> None:
    """On a network file system, and where the kernel's watches are used up (fs.inotify.max_user_watches)."""
    if without == "news":
        monkeypatch.setattr(watch, "is_remote", lambda directory: True)
        monkeypatch.setattr(Inotify, "changes", silent)
    else:
        monkeypatch.setattr(Inotify, "add", refused)
    app = as_bundle(menu_appdir(tmp_path), tmp_path / "app")
    folder = tmp_path / "share"
    folder.mkdir()
    watcher = watch.Watcher([str(folder)], lambda line: None)
    settle(watcher, 0.5)
    shutil.copy(app, folder / "app")
    settle(watcher)
    assert [each.app for each in integrated()] == [str(folder / "app")]
    (folder / "app").unlink()
    settle(watcher)
    assert integrated() == []


def test_changes_that_were_lost_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = as_bundle(menu_appdir(tmp_path), tmp_path / "app")
    folder = tmp_path / "share"
    folder.mkdir()
    watcher = watch.Watcher([str(folder)], lambda line: None)
    settle(watcher, 0.3)
    shutil.copy(app, folder / "app")
    real = Inotify.changes
    lost: list[Change] = []

    def overflowing(self: Inotify) -> Iterator[Change]:
        lost.extend(real(self))
        if lost:
            lost.clear()
            yield Change(-1, 0x4000, b"")

    monkeypatch.setattr(Inotify, "changes", overflowing)
    settle(watcher)
    assert [each.app for each in integrated()] == [str(folder / "app")]


@pytest.mark.parametrize(("kind", "remote"), [("nfs4", True), ("fuse.sshfs", True), ("9p", True), ("ext4", False)])
def test_file_systems_of_other_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, remote: bool
) -> None:
    device = os.stat(tmp_path).st_dev
    row = f"36 35 {os.major(device)}:{os.minor(device)} / /mnt rw - {kind} source rw\n"
    (tmp_path / "mountinfo").write_text("1 2 0:0 / / rw - ext4 x rw\n" + row)
    real = open
    monkeypatch.setattr(
        "builtins.open",
        lambda path, *a, **k: real(tmp_path / "mountinfo" if path == "/proc/self/mountinfo" else path, *a, **k),
    )
    assert watch.is_remote(str(tmp_path)) == remote


def test_filling_takes_only_what_nobody_wants(tmp_path: Path) -> None:
    app = as_bundle(menu_appdir(tmp_path), tmp_path / "app")
    process = watch.fill_at_idle(str(app))
    assert os.sched_getscheduler(process.pid) == os.SCHED_IDLE
    assert process.wait(60) == 0
    assert subprocess.run(["find", tmp_path / "store", "-name", "AppRun"], capture_output=True, check=True).stdout
