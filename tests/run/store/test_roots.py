"""Where a tree goes (docs/store.md, "Roots"): the order, and every reason against a root, with another user at work.

Inside the namespaces of these tests we are always root, that of the machine or that of a user namespace.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from kit import craft
from kit.apps import SETTLED, App, noise, packed, script_appdir, write
from kit.harness import Harness, Result, environ_of
from kit.namespaces import INSIDE, confined
from kit.places import PUBLISHED

DEBUG = {"TMPRUN_LOG": "debug"}


@pytest.fixture
def image(harness: Harness, app: App) -> str:
    """The small app, where the namespace sees it."""
    shutil.copy(app.bundle, harness.base / "app")
    time.sleep(SETTLED)
    return f"{INSIDE}/app"


def root_used(result: Result) -> str:
    """The root that the app's tree lies in."""
    return environ_of(result.report())["APPDIR"].partition(PUBLISHED)[0]


BY_HAND = "mount -t tmpfs -o mode=0755 none /run; mkdir -m 0700 -p /run/user/0; "
ORDER = [
    ({"APPIMAGE_TARGET_DIR": "/tmp/target"}, "/tmp/target/tmprun-UID"),
    ({"TMPDIR": "/tmp/mine", "APPIMAGE_EXTRACT_AND_RUN": "1"}, "/tmp/mine/tmprun-UID"),
    ({"XDG_RUNTIME_DIR": "/tmp/run"}, "/tmp/run/tmprun"),
    ({"XDG_RUNTIME_DIR": "/run/user/0", "setup": BY_HAND}, "/run/user/0/tmprun"),
    ({}, "/tmp/tmprun-UID"),
    ({"TMPDIR": "/tmp/mine"}, "/tmp/mine/tmprun-UID"),
    ({"setup": BY_HAND}, "/tmp/tmprun-UID"),
    ({"without": "/tmp", "setup": BY_HAND}, "/run/user/0/tmprun"),
    ({"without": "/tmp", "setup": BY_HAND, "XDG_RUNTIME_DIR": "/tmp/none"}, "/run/user/0/tmprun"),
    ({"without": "/tmp", "setup": BY_HAND.replace("-m 0700", "-m 0777")}, "/dev/shm/tmprun-UID"),
    ({"without": "/tmp", "setup": BY_HAND + "chown 1000:1000 /run/user/0 || rmdir /run/user/0"}, "/dev/shm/tmprun-UID"),
    ({"without": "/tmp"}, "/dev/shm/tmprun-UID"),
    ({"without": "/dev/shm /tmp"}, f"{INSIDE}/cache/tmprun"),
    ({"without": "/dev/shm /tmp", "XDG_CACHE_HOME": None}, f"{INSIDE}/home/.cache/tmprun"),
    ({"without": "/dev/shm /tmp", "XDG_CACHE_HOME": "relative"}, f"{INSIDE}/home/.cache/tmprun"),
    ({"without": "/dev/shm /tmp", "XDG_CACHE_HOME": None, "HOME": None}, "/var/tmp/tmprun-UID"),
    ({"without": "/dev/shm /tmp", "XDG_CACHE_HOME": None, "HOME": "/"}, "/var/tmp/tmprun-UID"),
    ({"without": "/dev/shm /tmp", "XDG_CACHE_HOME": None, "HOME": "/nowhere/at/all"}, "/var/tmp/tmprun-UID"),
    ({"without": "/dev/shm /tmp", "XDG_CACHE_HOME": "/proc/nowhere"}, "/var/tmp/tmprun-UID"),
]


@pytest.mark.parametrize(("settings", "root"), ORDER)
def test_the_order(harness: Harness, image: str, settings: dict[str, str | None], root: str) -> None:
    env = dict(settings)
    setup = "".join(f"mount -o remount,bind,noexec {place}\n" for place in (env.pop("without", "") or "").split())
    setup += "mkdir -m 0700 -p /tmp/target /tmp/mine /tmp/run\n" + (env.pop("setup", "") or "")
    result = confined(harness, setup, image, "probe:report", env=env)
    assert root_used(result) == root.replace("UID", "0")


def test_a_chosen_store_is_the_only_one(harness: Harness, image: str) -> None:
    for chosen in ("/tmp/mine", "/tmp/mine/deeper/", "relative"):
        result = confined(harness, "", image, "probe:report", env={"TMPRUN_STORE": chosen})
        assert root_used(result) == (chosen if chosen[0] == "/" else os.path.join(INSIDE, "work", "relative"))
    assert oct((harness.work / "relative").stat().st_mode) == oct(0o40700)
    result = confined(
        harness, "mount -o remount,bind,noexec /tmp", image, env={"TMPRUN_STORE": "/tmp/mine"}, status=None
    )
    harness.refused(result, "/tmp/mine", "noexec", status=127)


def test_a_tree_is_found_in_any_root(harness: Harness, image: str) -> None:
    """Built when /dev/shm was full, used from there still when it is not."""
    without = "for place in /dev/shm /tmp; do mount -o remount,bind,noexec $place; done"
    first = confined(harness, without, image, "probe:report")
    assert root_used(first) == f"{INSIDE}/cache/tmprun"
    second = confined(harness, "", image, "probe:report", env=DEBUG)
    assert root_used(second) == f"{INSIDE}/cache/tmprun" and b"unpacked" not in second.stderr


# What is in the way, made in a shell inside the namespace, and the words of the reason against /tmp.
IN_THE_WAY: dict[str, tuple[str, str | tuple[str, str]]] = {
    "open to others": ("mkdir -m 0777 $OURS", "is open to others"),
    "readable for others": ("mkdir -m 0755 $OURS", "is open to others"),
    "a symlink to a directory of ours": ("mkdir -m 0700 /tmp/other; ln -s /tmp/other $OURS", "symlink"),
    "a dangling symlink": ("ln -s /tmp/nowhere $OURS", "symlink"),
    "a file": (": > $OURS", "not a directory"),
    "a fifo": ("mkfifo -m 0700 $OURS", "not a directory"),
    "a directory of another": ("plant mkdir -m 0755 $OURS", "belongs to another user"),
    "a closed directory of another": ("plant mkdir -m 0700 $OURS", ("belongs to another user", "permission denied")),
    "a symlink of another": ("plant ln -s $HOME $OURS", "symlink"),
    "an open directory of another": ("plant mkdir -m 0777 $OURS", "belongs to another user"),
    "a file system without exec": ("mount -o remount,bind,noexec /tmp", "mounted noexec"),
    "a read-only file system": ("mount -o remount,bind,ro /tmp", "read-only file system"),
    "a read-only store": ("mkdir -m 0700 $OURS; mount -o remount,bind,ro /tmp", "read-only file system"),
    "no such directory": ("export TMPDIR=/tmp/none", "no such file"),
}


def words(reason: str | tuple[str, str]) -> tuple[str, ...]:
    """A reason; or the two that it may be, root being able to look into what is closed."""
    return (reason,) if isinstance(reason, str) else reason


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_a_root_is_refused_with_its_reason(harness: Harness, nobody: int, image: str, what: str) -> None:
    setup, reason = IN_THE_WAY[what]
    env = {"OURS": "/tmp/tmprun-0", "TMPRUN_LOG": "debug"}
    result = confined(harness, setup, image, "probe:report", env=env)
    assert root_used(result) == "/dev/shm/tmprun-0"
    lines = [line for line in result.stderr.decode().splitlines() if "/tmprun-0: " in line]
    assert lines and any(word in lines[0] for word in words(reason)), result


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_and_so_it_is_for_an_ordinary_user(harness: Harness, nobody: int, image: str, what: str) -> None:
    if "another" in IN_THE_WAY[what][0] or "plant" in IN_THE_WAY[what][0]:
        setup, reason = IN_THE_WAY[what][0].replace("plant ", ""), IN_THE_WAY[what][1]  # root is the other one here
    else:
        setup, reason = IN_THE_WAY[what]
        setup = "\n".join(
            part if part.startswith(("mount", "export")) else f"plant sh -c '{part}'" for part in setup.split("; ")
        )
    env = {"OURS": f"/tmp/tmprun-{nobody}", "TMPRUN_LOG": "debug"}
    result = confined(harness, setup, image, "probe:report", env=env, user=nobody)
    assert root_used(result) == f"/dev/shm/tmprun-{nobody}"
    line = result.stderr.decode().split("/tmprun-", 1)[1].splitlines()[0]
    assert any(word in line for word in words(reason)), result


def test_a_whole_store_planted_by_another_is_not_used(harness: Harness, nobody: int, image: str) -> None:
    """The right names, the right key, a complete entry, a program that is not ours."""
    setup = f"""
    TMPRUN_STORE=$OURS {image} && chmod -R u+w $OURS
    for program in $OURS{PUBLISHED}*/tree/AppRun; do printf '#!/bin/sh\\necho evil\\n' > "$program"; done
    chown -R 1000:1000 $OURS
    """
    env = {"OURS": "/tmp/tmprun-0", "TMPRUN_LOG": "debug"}
    result = confined(harness, setup, image, "probe:report", env=env)
    assert root_used(result) == "/dev/shm/tmprun-0" and b"belongs to another user" in result.stderr


RUNTIME = {
    "of another user": ("plant mkdir -m 0700 /tmp/run", "belongs to another user"),
    "open to others": ("mkdir -m 0755 /tmp/run", "open to others"),
    "a symlink": ("mkdir -m 0700 /tmp/real; ln -s /tmp/real /tmp/run", "symlink"),
    "missing": (":", "no such file"),
    "a file": (": > /tmp/run", "not a directory"),
}


@pytest.mark.parametrize("what", RUNTIME)
def test_a_runtime_directory_that_is_not_ours_is_not_used(harness: Harness, nobody: int, image: str, what: str) -> None:
    setup, reason = RUNTIME[what]
    setup = setup.replace("/tmp/run", "/tmp/plants/run") if "plant" in setup else setup
    runtime = "/tmp/plants/run" if "plants" in setup else "/tmp/run"
    setup = "mkdir -m 0777 /tmp/plants\n" + setup
    result = confined(harness, setup, image, "probe:report", env={"XDG_RUNTIME_DIR": runtime, "TMPRUN_LOG": "debug"})
    assert root_used(result) == "/tmp/tmprun-0"
    assert reason in result.stderr.decode().split(f"{runtime}/tmprun: ", 1)[1].splitlines()[0]


def test_a_relative_runtime_directory_is_ignored(harness: Harness, image: str) -> None:
    result = confined(harness, "mkdir -m 0700 run", image, "probe:report", env={"XDG_RUNTIME_DIR": "run"})
    assert root_used(result) == "/tmp/tmprun-0"


@pytest.fixture
def megabytes(harness: Harness) -> str:
    """An app of 3 MB in 40 files."""
    appdir = script_appdir(harness.base, 'echo "APPDIR=$APPDIR"; cat "$APPDIR"/data/* | cksum')
    for number in range(40):
        write(appdir / "data" / f"{number:02}", noise(75_000, number))
    packed(appdir, harness.base / "app")
    return f"{INSIDE}/app"


NARROW = {
    "a megabyte": "mount -t tmpfs -o mode=1777,size=1m none /tmp",
    "twenty inodes": "mount -t tmpfs -o mode=1777,nr_inodes=20 none /tmp",
    "two inodes": "mount -t tmpfs -o mode=1777,nr_inodes=2 none /tmp",
    "hardly enough": "mount -t tmpfs -o mode=1777,size=3040k none /tmp",
    "nearly enough inodes": "mount -t tmpfs -o mode=1777,nr_inodes=60 none /tmp",
}


@pytest.mark.parametrize("what", NARROW)
def test_where_there_is_no_room_the_next_root_is_tried(harness: Harness, megabytes: str, what: str) -> None:
    result = confined(harness, NARROW[what], "sh", "-c", '"$0" && find /tmp -type f -size +0', megabytes, env=DEBUG)
    first, checksum, *left = result.stdout.decode().splitlines()
    assert checksum.split() == cksum(harness)
    assert first.startswith("APPDIR=/dev/shm/tmprun-0/") and left == [], result


def cksum(harness: Harness) -> list[str]:
    """What the forty files are, by the same program."""
    script = "cat Script.AppDir/data/* | cksum"
    return harness.run("sh", "-c", script, cwd=harness.base).stdout.decode().split()


@pytest.mark.parametrize("what", NARROW)
def test_where_there_is_no_room_at_all_it_is_said(harness: Harness, megabytes: str, what: str) -> None:
    place = "/tmp/narrow"
    setup = f"mkdir {place}\n" + NARROW[what].replace("none /tmp", f"none {place}")
    script = 'if "$0"; then exit 99; else status=$?; find $TMPRUN_STORE -type f -size +0; exit $status; fi'
    result = confined(harness, setup, "sh", "-c", script, megabytes, env={"TMPRUN_STORE": f"{place}/s"}, status=None)
    harness.refused(result, "nowhere to unpack it", f"{place}/s: ", "TMPRUN_STORE", status=127)


def test_all_reasons_are_said_when_there_is_no_root_at_all(harness: Harness, image: str) -> None:
    setup = "for place in /dev/shm /tmp /var/tmp; do mount -o remount,bind,noexec $place; done"
    env = {"XDG_CACHE_HOME": None, "HOME": "/"}
    result = confined(harness, setup, image, env=env, status=None)
    harness.refused(
        result, *(f"{place}/tmprun-0: mounted noexec" for place in ("/dev/shm", "/tmp", "/var/tmp")), status=127
    )


def test_a_store_that_became_noexec_is_no_dead_end(harness: Harness, image: str) -> None:
    setup = f"{image} && mount -o remount,bind,noexec /tmp"
    assert root_used(confined(harness, setup, image, "probe:report")) == "/dev/shm/tmprun-0"


MEMORY = """
mount -t tmpfs none /sys/fs/cgroup
group=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
mkdir -p "$group"
echo {limit} > "$group/memory.max"
echo {used} > "$group/memory.current"
printf 'anon 1\\ninactive_file {cache}\\nactive_file 0\\n' > "$group/memory.stat"
"""


@pytest.mark.parametrize(
    ("limit", "used", "cache", "in_memory"),
    [
        ("max", 0, 0, True),
        (1 << 30, 1 << 20, 0, True),
        (64 << 20, 60 << 20, 0, False),
        (64 << 20, 60 << 20, 50 << 20, True),
    ],
)
def test_the_limit_of_a_control_group_counts(
    harness: Harness, image: str, limit: int | str, used: int, cache: int, in_memory: bool
) -> None:
    """Pages on tmpfs are charged to who writes them; page cache of files can be dropped (cgroup-v2.rst)."""
    if "0::" not in Path("/proc/self/cgroup").read_text():
        pytest.skip("no control group of version 2 here")
    result = confined(harness, MEMORY.format(limit=limit, used=used, cache=cache), image, "probe:report", env=DEBUG)
    assert (root_used(result) == "/tmp/tmprun-0") == in_memory
    assert (b"too little memory" in result.stderr) != in_memory


def test_roots_for_python(harness: Harness, door: Path) -> None:
    env = {"XDG_RUNTIME_DIR": "/tmp/run", "TMPDIR": None}
    shutil.copy(door, harness.base / "tmprun")
    setup = "mkdir -m 0755 /tmp/run\nmount -o remount,bind,noexec /tmp"
    result = confined(harness, setup, f"{INSIDE}/tmprun", "@roots", env=env)
    lines = [line.split("\t") for line in result.stdout.decode().splitlines()]
    assert [line[:3] for line in lines] == [
        ["/tmp/run/tmprun", "", "refused"],
        ["/tmp/tmprun-0", "tmpfs", "refused"],
        ["/run/user/0/tmprun", lines[2][1], lines[2][2]],
        ["/dev/shm/tmprun-0", "tmpfs", "ok"],
        [f"{INSIDE}/cache/tmprun", lines[4][1], "ok"],
        ["/var/tmp/tmprun-0", "tmpfs", "ok"],
    ]
    assert "open to others" in lines[0][3] and lines[1][3] == "mounted noexec" and lines[3][3] == ""


def test_nothing_is_made_in_the_home_of_another(harness: Harness, nobody: int, image: str) -> None:
    """After `sudo -E`: a ~/.cache/tmprun of root would be in the user's way for ever, and the user in control of it."""
    setup = "for place in /dev/shm /tmp; do mount -o remount,bind,noexec $place; done\nchown 1000:1000 /mnt/base/home"
    for cache in (None, f"{INSIDE}/home/other"):
        env = {"TMPRUN_LOG": "debug", "XDG_CACHE_HOME": cache}
        result = confined(harness, setup, image, "probe:report", env=env)
        assert root_used(result) == "/var/tmp/tmprun-0" and b"directory of another user" in result.stderr
        assert os.listdir(harness.base / "home") == []


def test_nothing_is_made_where_it_could_not_be_used(harness: Harness, image: str) -> None:
    """/tmp on disk is no root; that we looked must not show. Where there is no /dev/shm, root makes none."""
    setup = "mount -t tmpfs none /dev\nmount --bind /mnt/base/home /tmp"
    if not is_disk(harness.base):
        pytest.skip("the tests run on tmpfs: set --basetemp to a directory on disk")
    result = confined(harness, setup, "sh", "-c", '"$0" probe:report && ls -A /dev /tmp >&2', image)
    assert root_used(result) == f"{INSIDE}/cache/tmprun"
    assert result.stderr == b"/dev:\n\n/tmp:\n"


def is_disk(path: Path) -> bool:
    kind = subprocess.run(["stat", "-f", "-c", "%T", path], check=True, capture_output=True, text=True).stdout
    return kind.strip() != "tmpfs"


def test_a_tree_larger_than_what_it_says_is_never_written(harness: Harness) -> None:
    """The room is asked for before; a frame that holds more than its size is refused."""
    table, payload = craft.index_of({"AppRun": craft.SCRIPT, "hole": craft.File(b"")})
    write(harness.base / "app", craft.bundle(table, payload))
    assert harness.run(harness.door, harness.base / "app").stdout == b"ran\n"
