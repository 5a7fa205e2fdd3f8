"""A root with nothing in it but busybox: no glibc, no /dev/fuse, no /proc/sys, and no /proc at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.apps import App, packed, script_appdir, write
from kit.harness import Harness, Result, environ_of, remove
from kit.surroundings import require_root, unshare

BUSYBOX = "/bin/busybox"

SHM = "mount -t tmpfs -o mode=1777 none $ROOT/dev/shm"

# What is there of /proc and /dev/shm. `full` is what a container has; in the others things are missing.
ROOTS = {
    "full": f"mount -t proc proc $ROOT/proc; {SHM}",
    "no /proc/sys": f"mount -t proc proc $ROOT/proc; mount -t tmpfs -o ro none $ROOT/proc/sys; {SHM}",
    "no /proc": SHM,
    "no /proc, no /dev/shm": "rm -rf $ROOT/dev/shm; mount -t tmpfs -o mode=1777 none $ROOT/tmp",
    "nothing but disk": "rm -rf $ROOT/dev/shm",
    "read-only": f"{SHM}; mount -o remount,bind,ro $ROOT",
}


@pytest.fixture(params=ROOTS)
def root(request: pytest.FixtureRequest, in_memory: Harness) -> Iterator[str]:
    """The commands that complete the bare root, whose directories are there already."""
    for name in ("bin", "proc", "dev/shm", "tmp", "var/tmp", "home"):
        (in_memory.base / "root" / name).mkdir(parents=True)
    for name in ("tmp", "var/tmp", "dev/shm"):
        (in_memory.base / "root" / name).chmod(0o1777)
    shutil.copy(BUSYBOX, in_memory.base / "root" / "bin" / "busybox")
    for applet in ("sh", "echo", "cat", "ls"):
        (in_memory.base / "root" / "bin" / applet).symlink_to("busybox")
    yield ROOTS[request.param]
    remove(in_memory.base / "root")


@pytest.fixture(params=[0, 1000])
def user(request: pytest.FixtureRequest) -> int:
    """Root of a machine or of a user namespace; an ordinary user."""
    if request.param:
        require_root()
    return int(request.param)


def enter(harness: Harness, setup: str, user: int, *command: str, status: int | None = 0) -> Result:
    """Run `command` inside, with no environment but PATH."""
    inside = "chroot ${ASUSER:+--userspec=$ASUSER} $ROOT /bin/busybox env -i PATH=/bin"
    script = f'set -e\nmount --bind $ROOT $ROOT\n{setup}\nexec {inside} "$@"'
    env: dict[str, str | None] = dict.fromkeys(harness.settings)
    env |= {"ROOT": str(harness.base / "root"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    if user:
        env["ASUSER"] = f"{user}:{user}"
    return harness.run(*unshare("-mpf"), "sh", "-c", script, "sh", *command, env=env, status=status)


def test_a_static_program(in_memory: Harness, root: str, user: int, app: App) -> None:
    shutil.copy(app.bundle, in_memory.base / "root" / "app")
    for _ in range(2):
        report = enter(in_memory, root, user, "/app", "probe:report", "probe:sum").report()
        environ = environ_of(report)
        assert app.sums_seen(report, environ["APPDIR"])
        assert environ["APPIMAGE"] == "/app" and environ["ARGV0"] == report["argv"][0] == "/app"
        assert [fd[0] for fd in report["fd"]] == [0, 1, 2, 60]
        assert report["uid"] == user


def test_a_script_of_busybox(in_memory: Harness, root: str, user: int) -> None:
    appdir = script_appdir(in_memory.base, 'echo "ran in $PWD with $*"; cat "$APPDIR/text"; exit 5')
    write(appdir / "text", b"a text\n")
    packed(appdir, in_memory.base / "root" / "app")
    result = enter(in_memory, root, user, "/app", "some", "arguments", status=5)
    assert result.stdout == b"ran in / with some arguments\na text\n" and result.stderr == b""


def test_a_relative_name_without_proc(in_memory: Harness, root: str, user: int, app: App) -> None:
    (in_memory.base / "root" / "bin" / "app").write_bytes(app.bundle.read_bytes())
    (in_memory.base / "root" / "bin" / "app").chmod(0o755)
    seen = enter(in_memory, root, user, "sh", "-c", "cd bin && exec ./app probe:report").report()
    assert os.path.normpath(environ_of(seen)["APPIMAGE"]) == "/bin/app"
    seen = enter(in_memory, root, user, "app", "probe:report").report()
    assert environ_of(seen)["APPIMAGE"] == "/bin/app" and seen["argv"][0] == "app"


def test_the_flags_work_there_too(in_memory: Harness, root: str, user: int, app: App) -> None:
    shutil.copy(app.bundle, in_memory.base / "root" / "app")
    assert b"--appimage-extract" in enter(in_memory, root, user, "/app", "--appimage-help").stdout
    listed = enter(in_memory, root, user, "/app", "--appimage-list").stdout
    assert b"usr/share/text\n" in listed
    if "ro " not in root:
        script = (
            "busybox mkdir /tmp/x && cd /tmp/x && /app --appimage-extract usr/share/text && ls squashfs-root/usr/share"
        )
        listed = enter(in_memory, root, user, "sh", "-c", script).stdout
        assert listed.endswith(b"text\n")


def test_a_missing_loader_is_said_in_words(in_memory: Harness, root: str, user: int) -> None:
    appdir = in_memory.base / "Dynamic.AppDir"
    write(appdir / "AppRun", Path("/bin/ls").read_bytes(), 0o755)
    packed(appdir, in_memory.base / "root" / "app")
    result = enter(in_memory, root, user, "/app", status=127)
    assert b"does not exist on this machine" in result.stderr and result.stderr.count(b"\n") == 1


def test_the_front_door_alone_starts_an_appimage(
    in_memory: Harness, root: str, user: int, app: App, foreign: App
) -> None:
    """One file beside the image: no Python, no library, no tool."""
    shutil.copy(foreign.bundle, in_memory.base / "root" / "image")
    shutil.copy(in_memory.door, in_memory.base / "root" / "bin" / "tmprun")
    seen = enter(in_memory, root, user, "tmprun", "/image", "probe:report", "probe:sum").report()
    environ = environ_of(seen)
    assert foreign.sums_seen(seen, environ["APPDIR"]) and environ["APPIMAGE"] == "/image"


def test_the_front_door_runs_there(in_memory: Harness, root: str, user: int, app: App) -> None:
    shutil.copy(app.bundle, in_memory.base / "root" / "image")
    shutil.copy(in_memory.door, in_memory.base / "root" / "bin" / "tmprun")
    seen = enter(in_memory, root, user, "tmprun", "/image", "probe:report").report()
    assert environ_of(seen)["APPIMAGE"] == "/image"
    result = enter(in_memory, root, user, "tmprun", "doctor", status=127)
    assert b"tmprun-py" in result.stderr and result.stderr.count(b"\n") == 1
