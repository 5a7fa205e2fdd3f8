"""Room: a store's share of its file system, idle trees that give way, and what is asked for on demand."""

from __future__ import annotations

import os

import pytest
from kit.apps import noise, script_appdir, write
from kit.harness import Harness, Result
from kit.namespaces import INSIDE, confined
from kit.places import PUBLISHED
from kit.surroundings import needs_root

from tmprun.pack.pack import pack

pytestmark = needs_root

SCRIPT = 'echo "APPDIR=$APPDIR"; cat "$APPDIR"/data/* | wc -c; exec "$@"'


def app(harness: Harness, name: str, megabytes: int, *, hole: int = 0) -> str:
    """An app with data in files of 1 MB, and a hole; its path inside."""
    appdir = script_appdir(harness.base / name, SCRIPT)
    for number in range(megabytes):
        write(appdir / "data" / f"{number:03}", noise(1_000_000, len(name) + ord(name[-1]) * 1000 + number))
    if hole:
        (appdir / "hole").touch()
        os.truncate(appdir / "hole", hole)
    pack(appdir, harness.base / f"{name}.app", level=1)
    return f"{INSIDE}/{name}.app"


def tmpfs(size: str, place: str = "/tmp") -> str:
    return f"mkdir -p {place}; mount -t tmpfs -o mode=1777,size={size} none {place}\n"


def places(result: Result) -> list[str]:
    """The root that each start used, in order."""
    lines = [line for line in result.stdout.decode().splitlines() if line.startswith("APPDIR=")]
    return [line.removeprefix("APPDIR=").split(PUBLISHED)[0] for line in lines]


LONG_AGO = f"find {{store}}{PUBLISHED} -name lease -exec touch -d '10 days ago' {{{{}}}} +; "


def idle(store: str) -> str:
    """In a container, where other users may be hidden, only what was not used for a week is idle."""
    return LONG_AGO.format(store=store)


@pytest.mark.parametrize("mode", ["eager", "background", "demand", "auto"])
def test_half_of_a_small_tmpfs_is_the_apps_own(harness: Harness, mode: str) -> None:
    """A container's 64 MB of shared memory: an app of 48 MB goes elsewhere, and has them."""
    image = app(harness, "large", 48)
    words = ["fallocate", "-l", "32M", "/tmp/of-the-app"]
    result = confined(harness, tmpfs("64m"), image, *words, env={"TMPRUN_FILL": mode})
    assert places(result) == ["/dev/shm/tmprun-0"] and b"48000000" in result.stdout


def test_twelve_apps_leave_half_of_the_runtime_directory(harness: Harness) -> None:
    images = [app(harness, f"app{number}", 8 + number % 3) for number in range(12)]
    run = "/tmp/mine/run"
    setup = f"mkdir -m 0700 -p /tmp/mine {run}; mount -t tmpfs -o mode=0700,size=100m none {run}\n"
    script = f'for image; do "$image" || exit; {idle(f"{run}/tmprun")} done; df --output=avail -m {run} | tail -1'
    result = confined(
        harness, setup, "sh", "-c", script, "sh", *images, env={"XDG_RUNTIME_DIR": run, "TMPRUN_FILL": "eager"}
    )
    assert places(result) == [f"{run}/tmprun"] * 12
    assert int(result.stdout.split()[-1]) >= 50


def test_an_idle_tree_gives_way(harness: Harness) -> None:
    """The one that was not used for the longest time; one in use stays, whatever its age."""
    first, second, third = (app(harness, f"app{number}", 20 + number) for number in range(3))
    store = "/tmp/narrow/store"
    script = f"""
    "$1" sleep 30 > /dev/null & app=$!
    while ! ls -d {store}{PUBLISHED}*; do sleep 0.1; done > /dev/null 2>&1; sleep 0.5
    "$2"; {idle(store)} "$3"; ls {store}{PUBLISHED} | wc -l; "$1" true; kill $app
    """
    env = {"TMPRUN_STORE": store, "TMPRUN_FILL": "eager", "TMPRUN_LOG": "debug"}
    result = confined(harness, tmpfs("60m", "/tmp/narrow"), "sh", "-c", script, "sh", first, second, third, env=env)
    assert places(result) == [store] * 3
    assert result.stdout.split()[-3] == b"2" and result.stderr.count(b"removed an idle tree") == 1
    assert result.stderr.count(b"unpacked into") == 3


def test_nothing_gives_way_in_vain(harness: Harness) -> None:
    small, large = app(harness, "small", 5), app(harness, "large", 40)
    store = "/tmp/narrow/store"
    script = f'"$1"; {idle(store)} "$2"; echo $?; ls {store}{PUBLISHED} | wc -l'
    env = {"TMPRUN_STORE": store, "TMPRUN_FILL": "eager"}
    result = confined(harness, tmpfs("30m", "/tmp/narrow"), "sh", "-c", script, "sh", small, large, env=env)
    assert result.stdout.split()[-2:] == [b"127", b"1"] and b"too little space" in result.stderr


def test_without_another_root_an_app_may_have_all(harness: Harness) -> None:
    image = app(harness, "large", 40)
    elsewhere = "for place in /dev/shm /var/tmp; do mount -o remount,bind,noexec $place; done\n"
    env = {"XDG_CACHE_HOME": None, "HOME": "/", "TMPRUN_FILL": "eager"}
    assert places(confined(harness, elsewhere + tmpfs("64m"), image, env=env)) == ["/tmp/tmprun-0"]


def test_on_demand_asks_for_what_must_be_there(harness: Harness) -> None:
    appdir = script_appdir(harness.base / "huge", 'echo "APPDIR=$APPDIR"; cat "$APPDIR"/data/00[0-9] | wc -c')
    for number in range(60):
        write(appdir / "data" / f"{number:03}", noise(1_000_000, number))
    pack(appdir, harness.base / "huge.app", level=1)
    env = {"TMPRUN_STORE": "/tmp/narrow/store", "TMPRUN_FILL": "demand"}
    result = confined(harness, tmpfs("30m", "/tmp/narrow"), f"{INSIDE}/huge.app", env=env)
    assert places(result) == ["/tmp/narrow/store"] and b"10000000" in result.stdout


def test_holes_take_no_room(harness: Harness) -> None:
    image = app(harness, "hollow", 5, hole=200 << 20)
    env = {"TMPRUN_STORE": "/tmp/narrow/store", "TMPRUN_FILL": "eager"}
    assert places(confined(harness, tmpfs("30m", "/tmp/narrow"), image, env=env)) == ["/tmp/narrow/store"]
