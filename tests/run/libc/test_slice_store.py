"""Slices in a store: one tree for all apps, leased and verified, and what happens when slices come and go.

On this machine, whose C library says that it is older than it is: so that everything around it works.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.apps import SETTLED, noise, write
from kit.harness import Harness, Result, Word, wait_until
from kit.slices import appimage, compile_program, make_slice, place_of
from kit.surroundings import ALONE, unshare

from tmprun.pack.pack import pack

LIBC = Path("/lib/x86_64-linux-gnu/libc.so.6")
BANNER = b"stable release version 2."
PROGRAM = r"""
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char line[8192];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps))
        if (strchr(line, '/') && strstr(line, " r-xp "))
            printf("%s", strchr(line, '/'));
    printf("%s\n", dlsym(RTLD_DEFAULT, "gnu_get_libc_version") ? "has a C library" : "");
    fflush(stdout);
    for (int i = 1; i < argc; i++)
        pause();
    return 0;
}
"""
Start = Callable[..., Result]


@pytest.fixture(scope="session")
def slice_file(shared: Path) -> Path:
    make_slice(shared / "store.slice")
    return shared / "store.slice"


@pytest.fixture(scope="session")
def image(shared: Path) -> Path:
    """One program, which is AppRun itself."""
    appdir = shared / "Small.AppDir"
    compile_program(PROGRAM, appdir / "AppRun", "-ldl")
    return appimage(appdir, shared / "small.AppImage")


@pytest.fixture
def added(harness: Harness, slice_file: Path) -> Path:
    """The slice, added for the harness' user."""
    added = place_of(harness.base / "home" / ".local" / "share") / slice_file.name
    shutil.copy(slice_file, added)
    time.sleep(SETTLED)
    return added


def where_glibc_is(minor: int, forged: Path) -> list[str]:
    """What a command begins with that is to run where the C library calls itself 2.MINOR; `forged` becomes that."""
    content = LIBC.read_bytes()
    at = content.index(BANNER) + len(BANNER)
    end = content.index(b".", at)
    write(forged, content[:at] + str(minor).zfill(end - at).encode() + content[end:], 0o755)
    return [*unshare("-m"), "sh", "-c", f'mount --bind {forged} {LIBC.resolve()} && exec "$@"', "sh"]


@pytest.fixture
def old(harness: Harness, tmp_path: Path) -> list[str]:
    """A machine with glibc 2.1."""
    return where_glibc_is(1, tmp_path / "libc.so.6")


def libraries(result: Result) -> list[str]:
    return result.stdout.decode().splitlines()[:-1]


def trees(harness: Harness) -> dict[str, Path]:
    """The entries by what they were made of."""
    return {Path((entry / "source").read_text()).name: entry for entry in harness.shelf("tree").iterdir()}


def in_slice(harness: Harness, result: Result) -> bool:
    """Whether all libraries were the slice's; none were, else."""
    store = str(harness.shelf("tree"))
    places = {path.startswith(store) for path in libraries(result)[1:]}
    assert len(places) == 1, str(result)
    return places.pop()


def test_this_machine_does_not_use_it(harness: Harness, added: Path, image: Path) -> None:
    assert not in_slice(harness, harness.run(harness.door, image))
    assert trees(harness).keys() == {"small.AppImage"}


def test_an_older_machine_does(harness: Harness, added: Path, image: Path, old: list[str]) -> None:
    first, second = (harness.run(*old, harness.door, image) for _ in range(2))
    assert in_slice(harness, first) and first.stdout == second.stdout
    assert trees(harness).keys() == {"small.AppImage", "store.slice"}


def test_without_a_slice_an_older_machine_uses_its_own(harness: Harness, image: Path, old: list[str]) -> None:
    assert not in_slice(harness, harness.run(*old, harness.door, image))


def test_a_warm_start_reads_neither_image(harness: Harness, added: Path, image: Path, old: list[str]) -> None:
    harness.run(*old, harness.door, image)
    trace = harness.work / "trace"
    harness.run(*old, "strace", "-o", trace, "-y", "-e", "trace=read,pread64,mmap", harness.door, image)
    calls = trace.read_text().splitlines()
    assert calls and not [line for line in calls if f"<{added}>" in line or f"<{image}>" in line]


def test_a_cold_start_looks_once_at_each_way(harness: Harness, added: Path, image: Path, old: list[str]) -> None:
    """The store's and the disk cache's, which it opens several times, and that to the slices."""
    harness.run(*old, harness.door, image)
    harness.run("rm", "-r", trees(harness)["small.AppImage"])
    trace = harness.work / "trace"
    assert in_slice(harness, harness.run(*old, "strace", "-o", trace, "-e", "trace=openat", harness.door, image))
    assert len(re.findall(r'^openat\(AT_FDCWD, "/", .*O_PATH', trace.read_text(), re.MULTILINE)) == 3


def test_two_apps_share_one_tree(harness: Harness, added: Path, image: Path, old: list[str], tmp_path: Path) -> None:
    appdir = tmp_path / "Other.AppDir"
    compile_program(PROGRAM.replace("has a C", "has another C"), appdir / "AppRun", "-ldl")
    other = appimage(appdir, tmp_path / "other.AppImage")
    one, two = (libraries(harness.run(*old, harness.door, app))[1:] for app in (image, other))
    assert sorted(one) == sorted(two)
    assert trees(harness).keys() == {"small.AppImage", "other.AppImage", "store.slice"}


def test_the_slice_is_leased_as_long_as_the_app_lives(
    harness: Harness, added: Path, image: Path, old: list[str], door_with_python: Path
) -> None:
    for _ in range(2):  # cold, and warm
        app = harness.start(*old, harness.door, image, "wait")
        assert app.stdout
        while b"has a C library" not in app.stdout.readline():
            pass
        entry = trees(harness)["store.slice"]
        leased = [os.readlink(f"/proc/{app.pid}/fd/{name}") for name in os.listdir(f"/proc/{app.pid}/fd")]
        assert str(entry / "lease") in leased
        harness.run(door_with_python, "cache", "clear", *ALONE)
        assert trees(harness).keys() == {"small.AppImage", "store.slice"}
        app.send_signal(signal.SIGTERM)
        app.wait()
    harness.run(door_with_python, "cache", "clear", *ALONE)
    assert trees(harness) == {}


def test_verify_knows_what_was_changed(
    harness: Harness, added: Path, image: Path, old: list[str], door_with_python: Path
) -> None:
    harness.run(*old, harness.door, image)
    found = json.loads(harness.run(door_with_python, "cache", "verify", "--json").stdout)
    assert [each["result"] for each in found] == ["intact", "intact"], found
    harness.run(*old, harness.door, "run", "--verify", image)
    for path in ("lib/ld-linux-x86-64.so.2", "ld.so.cache"):
        changed = trees(harness)["store.slice"] / "tree" / path
        content = changed.read_bytes()
        changed.chmod(0o755)
        changed.write_bytes(content[:-30] + b"x" + content[-29:])
        found = json.loads(harness.run(door_with_python, "cache", "verify", "--json", status=1).stdout)
        assert f"{path}: other content" in [line for each in found for line in each["differences"]], found
        changed.write_bytes(content)
    program = trees(harness)["small.AppImage"] / "tree" / "AppRun"
    program.chmod(0o755)
    program.write_bytes(program.read_bytes().replace(b"store", b"stora"))
    found = json.loads(harness.run(door_with_python, "cache", "verify", "--json", status=1).stdout)
    assert "AppRun: other content" in [line for each in found for line in each["differences"]], found


def test_a_slice_that_goes_and_comes(harness: Harness, added: Path, image: Path, old: list[str]) -> None:
    away = added.with_suffix(".away")
    assert in_slice(harness, harness.run(*old, harness.door, image))
    added.rename(away)
    assert not in_slice(harness, harness.run(*old, harness.door, image))
    assert not in_slice(harness, harness.run(*old, harness.door, image))
    away.rename(added)
    assert in_slice(harness, harness.run(*old, harness.door, image))


def test_a_slice_whose_tree_was_pruned(
    harness: Harness, added: Path, image: Path, old: list[str], door_with_python: Path
) -> None:
    before = harness.run(*old, harness.door, image)
    shutil.rmtree(trees(harness)["store.slice"])
    assert harness.run(*old, harness.door, image).stdout == before.stdout
    assert trees(harness).keys() == {"small.AppImage", "store.slice"}


def test_a_slice_that_is_started_itself(harness: Harness, added: Path, image: Path, old: list[str]) -> None:
    """Its tree is another one, by whomever it is started: an app never gets one without a cache."""
    program = shutil.copy(added, harness.work / "runnable")
    Path(program).chmod(0o755)
    os.link(program, added.with_name("again.slice"))
    added.unlink()
    Path(program).chmod(0o755)
    time.sleep(SETTLED)
    done = harness.run(*old, program, status=127)
    assert b"this is a C library for other apps" in done.stderr
    assert in_slice(harness, harness.run(*old, harness.door, image))


def test_a_second_file_of_the_same_slice(harness: Harness, added: Path, image: Path, old: list[str]) -> None:
    assert in_slice(harness, harness.run(*old, harness.door, image))
    shutil.copy(added, added.with_name("copy.slice"))
    added.unlink()
    time.sleep(SETTLED)
    assert in_slice(harness, harness.run(*old, harness.door, image))


# What a cold start need not find out again.


def reads(harness: Harness, path: Path, *command: Word) -> int:
    """How often the command reads of the file at `path`."""
    trace = harness.work / "trace"
    harness.run("strace", "-f", "-o", trace, "-y", "-e", "trace=read,pread64,mmap", *command)
    return sum(f"<{path}>" in line for line in trace.read_text().splitlines())


def records(harness: Harness) -> list[Path]:
    return list(harness.kept("image").glob("*.programs"))


def test_what_programs_ask_for_is_remembered(harness: Harness, added: Path, image: Path, old: list[str]) -> None:
    harness.run(harness.door, image)
    (record,) = records(harness)
    harness.run("rm", "-r", harness.store)
    again = reads(harness, image, harness.door, image)
    harness.run("rm", "-r", harness.store)
    record.unlink()
    assert again < reads(harness, image, harness.door, image)
    harness.run("rm", "-r", harness.store)
    assert records(harness) == [record] and in_slice(harness, harness.run(*old, harness.door, image))


@pytest.mark.parametrize(
    "how", ["empty", "cut", "long", "magic", "number", "node", "order", "loader", "kind", "asked", "place"]
)
def test_a_damaged_record_is_none(harness: Harness, added: Path, image: Path, old: list[str], how: str) -> None:
    harness.run(harness.door, image)
    (record,) = records(harness)
    content = record.read_bytes()
    fixup = struct.pack("<IIQQII", 0xFFFF, 1, 0, 0, 0, 0)
    damaged = {
        "empty": b"",
        "cut": content[:-1],
        "long": content + b"\0",
        "magic": b"x" + content[1:],
        "number": content[:12] + b"\xff\xff\xff\xff" + content[16:],
        "node": content[:-32] + fixup,
        "order": content[:12] + struct.pack("<I", 2) + content[16:] + content[-32:],
        "loader": content.replace(b"/ld-linux", b"/ld-linus"),
        "kind": content[:-28] + struct.pack("<I", 2) + content[-24:],
        "asked": content[:-4] + struct.pack("<I", 7),
        "place": content[:-16] + struct.pack("<Q", struct.unpack("<Q", content[-16:-8])[0] ^ 0x40) + content[-8:],
    }[how]
    assert damaged != content
    record.write_bytes(damaged)
    harness.run("rm", "-r", harness.store)
    assert in_slice(harness, harness.run(*old, harness.door, image))
    assert [path.read_bytes() for path in records(harness)] == [content]


def test_a_slice_that_is_unpacked_is_not_read(
    harness: Harness, added: Path, image: Path, large_image: Path, old: list[str]
) -> None:
    assert in_slice(harness, harness.run(*old, harness.door, image))
    assert reads(harness, added, *old, harness.door, large_image) == 0
    assert in_slice(harness, harness.run(*old, harness.door, large_image))
    assert reads(harness, added, *old, harness.door, "run", "--verify", image) > 0


# What libraries require.


@pytest.fixture
def with_library(tmp_path: Path) -> Callable[[bytes], Path]:
    """An AppImage that has a library, too, which requires that version."""

    def with_library(version: bytes) -> Path:
        appdir = tmp_path / f"{version.decode()}.AppDir"
        compile_program(PROGRAM, appdir / "AppRun", "-ldl")
        source = "unsigned arc4random(void); unsigned any(void) { return arc4random(); }"
        library = compile_program(source, appdir / "lib" / "libnew.so.1", "-shared", "-fPIC")
        content = library.read_bytes()
        assert b"GLIBC_2.36" in content and b"GLIBC_2.36" not in (appdir / "AppRun").read_bytes()
        library.write_bytes(content.replace(b"GLIBC_2.36", version))
        return appimage(appdir, tmp_path / f"{version.decode()}.AppImage")

    return with_library


def runs_here(harness: Harness, *command: Word) -> str:
    return str(json.loads(harness.run(*command).stdout)["runs_here"])


def test_a_library_that_needs_a_newer_glibc_than_the_machines(
    harness: Harness, added: Path, with_library: Callable[[bytes], Path], tmp_path: Path, door_with_python: Path
) -> None:
    image = with_library(b"GLIBC_2.36")
    between = where_glibc_is(35, tmp_path / "libc.so.6")
    for _ in range(2):
        assert in_slice(harness, harness.run(*between, harness.door, image))
    said = runs_here(harness, *between, door_with_python, "info", "--json", image)
    assert said == f"yes, with the C library of {added} (needs glibc 2.36, this machine has 2.35)"
    found = json.loads(harness.run(*between, door_with_python, "cache", "verify", "--json").stdout)
    assert [each["result"] for each in found] == ["intact", "intact"], found
    added.unlink()
    assert not in_slice(harness, harness.run(*between, harness.door, image))


def test_a_library_that_nothing_satisfies_is_perhaps_not_loaded(
    harness: Harness, added: Path, with_library: Callable[[bytes], Path], old: list[str], door_with_python: Path
) -> None:
    """As AppImages bring a newer libstdc++ that they use on newer machines only. It is named."""
    image = with_library(b"GLIBC_2.99")
    assert not in_slice(harness, harness.run(harness.door, image))
    harness.run("rm", "-r", harness.store)
    done = harness.run(*old, harness.door, image)
    assert in_slice(harness, done) and done.stderr == b""
    said = runs_here(harness, *old, door_with_python, "info", "--json", image)
    assert said.startswith(f"yes, with the C library of {added} (")
    assert said.endswith("; lib/libnew.so.1 in it requires up to glibc 2.99, so what loads that may fail")


# Slices that are of no use.


def test_damaged_half_and_foreign_files(harness: Harness, added: Path, image: Path, old: list[str]) -> None:
    content = added.read_bytes()
    place = added.parent
    write(place / "half.slice", content[: len(content) // 2])
    write(place / "empty.slice", b"")
    write(place / "text.slice", b"no slice\n")
    shutil.copy(image, place / "image.slice")
    (place / "folder.slice").mkdir()
    (place / "dangling.slice").symlink_to("nowhere")
    assert in_slice(harness, harness.run(*old, harness.door, image))
    added.unlink()
    assert not in_slice(harness, harness.run(*old, harness.door, image))


def test_a_damaged_frame(harness: Harness, added: Path, image: Path, old: list[str]) -> None:
    """The index is whole, so it looks good: the next best one is taken."""
    good = shutil.copy(added, added.with_name("z.slice"))
    content = bytearray(added.read_bytes())
    content[len(content) // 2] ^= 1
    write(added.with_name("a.slice"), bytes(content))
    added.unlink()
    time.sleep(SETTLED)
    assert in_slice(harness, harness.run(*old, harness.door, image))
    Path(good).unlink()
    harness.run("rm", "-r", harness.store)  # what is unpacked there is what the damaged one holds, and may be used
    assert not in_slice(harness, harness.run(*old, harness.door, image))


def test_one_that_others_may_write_to(harness: Harness, added: Path, image: Path, old: list[str]) -> None:
    added.chmod(0o666)
    assert not in_slice(harness, harness.run(*old, harness.door, image))
    added.chmod(0o644)
    assert in_slice(harness, harness.run(*old, harness.door, image))
    added.parent.chmod(0o777)
    harness.run("rm", "-r", harness.store)
    assert not in_slice(harness, harness.run(*old, harness.door, image))


# Starts that are filled while they run, at the same time, and with other stores.


@pytest.fixture(scope="module")
def large_image(shared: Path) -> Path:
    appdir = shared / "Large.AppDir"
    compile_program(PROGRAM, appdir / "AppRun", "-ldl")
    for number in range(64):
        write(appdir / "data" / str(number), noise(200_000, number))
    return appimage(appdir, shared / "large.AppImage")


def test_the_first_start_ever_keeps_what_the_image_is(
    harness: Harness, added: Path, large_image: Path, old: list[str], door_with_python: Path
) -> None:
    """It is hashed behind the app. What is remembered on disk is the image's own index, for every machine."""
    fill = {"TMPRUN_FILL": "background"}
    assert in_slice(harness, harness.run(*old, harness.door, large_image, env=fill))
    known = harness.kept("image")
    wait_until(lambda: {path.suffix for path in known.glob("*")} == {".index", ".programs"})
    index = harness.run(harness.door, "@index", large_image).stdout
    assert [path.read_bytes() for path in known.glob("*.index")] == [index]
    wait_until(lambda: (trees(harness)["large.AppImage"] / "watch").exists())
    before = trees(harness).keys()
    assert in_slice(harness, harness.run(*old, harness.door, large_image, env=fill))
    assert trees(harness).keys() == before
    assert (trees(harness)["large.AppImage"] / "index").read_bytes() == index
    found = json.loads(harness.run(door_with_python, "cache", "verify", "--json").stdout)
    assert [each["result"] for each in found] == ["intact", "intact"], found
    assert json.loads(harness.run(door_with_python, "info", "--json", large_image).stdout)["cached"]


@pytest.mark.parametrize("fill", ["background", "eager"])
def test_the_first_start_ever_keeps_what_the_programs_ask_for(
    harness: Harness, added: Path, large_image: Path, old: list[str], fill: str
) -> None:
    """It is under the name that the image has once it is hashed, and what a start says that finds the image hashed."""
    run = [*old, harness.door, large_image]
    assert in_slice(harness, harness.run(*run, env={"TMPRUN_FILL": fill}))
    wait_until(lambda: [*harness.kept("image").glob("*.programs")] != [])
    (record,) = harness.kept("image").glob("*.programs")
    content = record.read_bytes()
    record.unlink()
    harness.run("rm", "-r", harness.store)
    assert in_slice(harness, harness.run(*run))
    assert record.read_bytes() == content


def reads_of(harness: Harness, image: Path, *command: Word) -> int:
    trace = harness.work / "trace"
    harness.run("strace", "-f", "-y", "-e", "trace=pread64", "-o", trace, *command)
    return trace.read_text().count(f"<{image}>")


def test_comparing_a_tree_does_not_look_at_all_programs_again(
    harness: Harness, added: Path, large_image: Path, old: list[str]
) -> None:
    assert in_slice(harness, harness.run(*old, harness.door, large_image, env={"TMPRUN_FILL": "eager"}))
    verify = [harness.door, "@verify", "--tree", trees(harness)["large.AppImage"] / "tree", "--", large_image]
    known = reads_of(harness, large_image, *verify)
    (record,) = harness.kept("image").glob("*.programs")
    record.unlink()
    assert known < reads_of(harness, large_image, *verify)
    assert known == reads_of(harness, large_image, *verify)


def test_many_starts_at_once(harness: Harness, added: Path, image: Path, large_image: Path, old: list[str]) -> None:
    apps = [harness.start(*old, harness.door, each) for each in (image, large_image) * 6]
    for app in apps:
        done = harness.finish(app)
        assert done.status == 0 and in_slice(harness, done), str(done)
    assert trees(harness).keys() == {"small.AppImage", "large.AppImage", "store.slice"}


def test_on_demand(harness: Harness, added: Path, large_image: Path, old: list[str]) -> None:
    done = harness.run(*old, harness.door, "run", "--fill", "demand", large_image)
    assert in_slice(harness, done)


def test_a_store_whose_path_is_too_long(harness: Harness, added: Path, image: Path, old: list[str]) -> None:
    """The path of a tree has 255 bytes in an index; the app starts as if there were no slice, and it is said why."""
    store = harness.base / ("long" * 50)
    done = harness.run(*old, harness.door, image, env={"TMPRUN_STORE": str(store)})
    assert not in_slice(harness, done) and b"longer than 255 bytes" in done.stderr


def test_a_slice_whose_name_has_a_line_break(harness: Harness, added: Path, image: Path, old: list[str]) -> None:
    added.rename(added.with_name("line\nbreak.slice"))
    time.sleep(SETTLED)
    done = harness.run(*old, harness.door, image)
    assert not in_slice(harness, done) and b"has a line break" in done.stderr


def test_the_slice_may_go_while_an_app_uses_it(harness: Harness, added: Path, image: Path, old: list[str]) -> None:
    app = harness.start(*old, harness.door, image, "wait")
    assert app.stdout
    while b"has a C library" not in app.stdout.readline():
        pass
    added.unlink()
    assert not in_slice(harness, harness.run(*old, harness.door, image))
    assert app.poll() is None and (trees(harness)["store.slice"] / "tree" / "lib").is_dir()
    app.terminate()
    app.wait()


def test_a_bundle_that_is_started_by_itself_knows_none(
    harness: Harness, added: Path, old: list[str], tmp_path: Path
) -> None:
    compile_program(PROGRAM, tmp_path / "AppDir" / "AppRun", "-ldl")
    pack(tmp_path / "AppDir", tmp_path / "bundle", level=1)
    time.sleep(SETTLED)
    assert not in_slice(harness, harness.run(*old, tmp_path / "bundle"))
    assert in_slice(harness, harness.run(*old, harness.door, tmp_path / "bundle"))


def test_with_a_small_stack(harness: Harness, added: Path, image: Path, old: list[str]) -> None:
    script = 'ulimit -s 128 && exec "$0" "$@"'
    for _ in range(2):
        assert in_slice(harness, harness.run(*old, "sh", "-c", script, harness.door, image))
