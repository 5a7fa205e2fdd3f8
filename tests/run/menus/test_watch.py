"""`tmprun integrate --watch`: the menus are as the directories are, whatever happens to these."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from kit.apps import SETTLED, noise, write
from kit.archives import deb
from kit.harness import Harness, wait_until
from kit.menu_apps import ENTRY, as_bundle, as_type_1, as_type_2, menu_appdir

from tmprun import menus

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("apps")
    appdir = menu_appdir(folder)
    write(appdir / "usr" / "noise", noise(2_000_000))
    return {
        "bundle": as_bundle(appdir, folder / "bundle"),
        "type 1": as_type_1(appdir, folder / "iso"),
        "type 2": as_type_2(appdir, folder / "foreign"),
    }


@pytest.fixture
def folder(harness: Harness, door_with_python: Path) -> Path:
    harness.door = door_with_python
    harness.settings["XDG_DATA_HOME"] = str(harness.base / "data")
    (harness.base / "Applications").mkdir()
    return harness.base / "Applications"


def listed(harness: Harness) -> set[str]:
    """The apps in the menus, told by their entries."""
    entries = (harness.base / "data" / "applications").glob("appimagekit_*.desktop")
    found = set()
    for entry in entries:
        for line in entry.read_text().splitlines() if entry.exists() else ():
            if line.startswith("X-Tmprun-App="):
                found.add(line.partition("=")[2])
    return found


@pytest.fixture
def watch(harness: Harness, folder: Path) -> Iterator[Start]:
    def watch(*directories: Path, options: tuple[str, ...] = (), ready: bool = True) -> subprocess.Popen[bytes]:
        words = [word for directory in directories or (folder,) for word in ("--watch", directory)]
        process = harness.start(harness.door, "integrate", *words, *options)
        if ready:
            wait_until(lambda: process.poll() is not None or "anon_inode:inotify" in descriptors(process), 20)
            assert process.poll() is None, harness.finish(process)
        return process

    yield watch
    for process in harness.started:
        process.send_signal(signal.SIGTERM)


def descriptors(process: subprocess.Popen[bytes]) -> list[str]:
    """What the process has open."""
    found = []
    for path in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            found.append(os.readlink(path))
        except OSError:  # closed by now
            pass
    return found


def soon(true: Callable[[], object], seconds: float = 10) -> float:
    """How long it took."""
    begun = time.monotonic()
    wait_until(true, seconds, 0.02)
    return time.monotonic() - begun


@pytest.mark.parametrize("kind", ["bundle", "type 1", "type 2"])
def test_it_comes_and_goes(harness: Harness, folder: Path, watch: Start, apps: dict[str, Path], kind: str) -> None:
    process = watch()
    app = folder / "an app"
    shutil.copy(apps[kind], folder / ".part")
    (folder / ".part").rename(app)
    assert soon(lambda: listed(harness) == {str(app)}) < 5
    assert process.stdout
    assert process.stdout.readline() == f"integrated {app}\n".encode()
    app.rename(folder / "renamed")
    soon(lambda: listed(harness) == {str(folder / "renamed")})
    (folder / "renamed").unlink()
    soon(lambda: not listed(harness))
    process.send_signal(signal.SIGTERM)
    result = harness.finish(process)
    assert result.status == 0
    assert result.stderr == b""
    assert f"removed {app}" in result.stdout.decode()


def test_what_is_half_copied_waits(harness: Harness, folder: Path, watch: Start, apps: dict[str, Path]) -> None:
    watch()
    content = apps["type 2"].read_bytes()
    with (folder / "slow").open("wb") as file:
        for at in range(0, len(content), len(content) // 4):
            assert not listed(harness)
            file.write(content[at:][: len(content) // 4])
            file.flush()
            time.sleep(0.3)
    soon(lambda: listed(harness) == {str(folder / "slow")})


def test_what_was_there_and_what_went_meanwhile(
    harness: Harness, folder: Path, watch: Start, apps: dict[str, Path]
) -> None:
    app = Path(shutil.copy(apps["bundle"], folder / "app"))
    write(folder / "notes.txt", "no app")
    shutil.copy("/bin/true", folder / "program")
    (folder / "folder").mkdir()
    (folder / "dangling").symlink_to("/none")
    first = watch()
    soon(lambda: listed(harness) == {str(app)})
    first.send_signal(signal.SIGTERM)
    harness.finish(first)
    app.rename(folder / "later")
    watch()
    soon(lambda: listed(harness) == {str(folder / "later")})


def test_a_directory_that_vanishes_and_comes_back(
    harness: Harness, folder: Path, watch: Start, apps: dict[str, Path]
) -> None:
    other = harness.base / "other"
    shutil.copy(apps["bundle"], folder / "app")
    watch(folder, other)
    soon(lambda: listed(harness) == {str(folder / "app")})
    folder.rename(harness.base / "away")
    soon(lambda: not listed(harness))
    (harness.base / "away").rename(folder)
    soon(lambda: listed(harness) == {str(folder / "app")})
    shutil.copytree(folder, other)
    soon(lambda: listed(harness) == {str(folder / "app"), str(other / "app")})
    shutil.rmtree(folder)
    soon(lambda: listed(harness) == {str(other / "app")})


def test_two_watchers(harness: Harness, folder: Path, watch: Start, apps: dict[str, Path]) -> None:
    two = [watch(), watch()]
    for number in range(6):
        shutil.copy(apps["bundle"], folder / f"app {number}")
    soon(lambda: len(listed(harness)) == 6, 20)
    for number in range(0, 6, 2):
        (folder / f"app {number}").unlink()
    soon(lambda: len(listed(harness)) == 3, 20)
    for process in two:
        assert process.poll() is None
    # update-desktop-database has one of its own for a moment.
    entries = harness.base / "data" / "applications"
    soon(lambda: not [name for name in os.listdir(entries) if name.startswith(".")], 10)


def test_a_shared_directory_that_cannot_be_written(
    harness: Harness, folder: Path, watch: Start, apps: dict[str, Path]
) -> None:
    shutil.copy(apps["type 2"], folder / "app")
    (folder / "app").chmod(0o444)
    folder.chmod(0o555)
    before = (folder / "app").stat()
    watch()
    soon(lambda: listed(harness) == {str(folder / "app")})
    folder.chmod(0o755)
    assert (folder / "app").stat().st_mode == before.st_mode


def test_names_of_all_kinds(harness: Harness, folder: Path, watch: Start, apps: dict[str, Path]) -> None:
    watch()
    names = ["a b", 'quo"te', "per%cent", "new\nline", "n" * 255, "it's", "ü", os.fsdecode(b"\xff")]
    for name in names:
        shutil.copy(apps["bundle"], folder / name)
    soon(lambda: len(listed(harness)) == len(names) - 1, 20)
    found = json.loads(harness.run(harness.door, "integrate", "list", "--json").stdout)
    assert {each["app"] for each in found} == {str(folder / name) for name in names[:-1]}


def test_nothing_is_done_where_nothing_happens(harness: Harness, folder: Path, watch: Start) -> None:
    """A directory that is not there is looked for, and that costs next to nothing."""
    process = watch(folder, harness.base / "none")
    before = cpu_ticks(process)
    time.sleep(3)
    assert cpu_ticks(process) - before <= 10, "of 300"


def cpu_ticks(process: subprocess.Popen[bytes]) -> int:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_what_hinders_is_said_once(harness: Harness, folder: Path, watch: Start, apps: dict[str, Path]) -> None:
    write(harness.base / "data", "a file")
    process = watch()
    for name in ("one", "two"):
        shutil.copy(apps["bundle"], folder / name)
    assert process.stdout
    assert b"set XDG_DATA_HOME" in process.stdout.readline()
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    assert harness.finish(process).stdout.count(b"XDG_DATA_HOME") == 0


def test_apps_are_unpacked_at_idle(harness: Harness, folder: Path, watch: Start, apps: dict[str, Path]) -> None:
    shutil.copy(apps["bundle"], folder / "app")
    watch(options=("--prefill",))
    soon(lambda: list(harness.shelf("tree").glob("*/tree/AppRun")), 20)


def test_five_hundred(harness: Harness, folder: Path, watch: Start, apps: dict[str, Path]) -> None:
    small = as_bundle(menu_appdir(harness.base), harness.base / "small")
    for number in range(500):
        os.link(small, folder / f"app {number}")
    watch()
    assert soon(lambda: len(listed(harness)) == 500, 60) < 60


def command(harness: Harness, *words: str | Path, status: int = 0) -> Any:
    return harness.run(harness.door, "integrate", *words, status=status)


def test_by_hand(harness: Harness, folder: Path, apps: dict[str, Path]) -> None:
    app = shutil.copy(apps["bundle"], folder / "app")
    assert b"Sample App" in command(harness, app).stdout
    assert str(app) in command(harness, "list").stdout.decode()
    schema = json.loads((Path(menus.__file__).parents[1] / "schemas" / "integrate-list.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(command(harness, "list", "--json").stdout))
    entry = next((harness.base / "data" / "applications").glob("*.desktop"))
    (exec_line,) = [line for line in entry.read_text().splitlines() if line.startswith("Exec=")][:1]
    assert harness.run("sh", "-c", exec_line.removeprefix("Exec=").removesuffix(" %F")).stdout == b"started\n"
    command(harness, "remove", app)
    assert b"not in the menus" in command(harness, "remove", app, status=127).stderr
    assert b"give APP" in command(harness, "add", status=127).stderr
    assert b"is text, no app" in command(harness, "/etc/passwd", status=126).stderr


def test_an_archive_gets_its_arguments_once(harness: Harness, folder: Path) -> None:
    """The AppRun that is made for it has those of its entry."""
    write(harness.base / "sample/bin/sample", "#!/bin/sh\nprintf '<%s>' \"$@\"\n", 0o755)
    write(harness.base / "sample/share/applications/sample.desktop", ENTRY)
    with tarfile.open(folder / "sample.tar.gz", "w:gz") as archive:
        archive.add(harness.base / "sample", "sample")
    time.sleep(SETTLED)
    command(harness, folder / "sample.tar.gz")
    (entry,) = (harness.base / "data" / "applications").glob("appimagekit_*.desktop")
    (line, _) = [line for line in entry.read_text().splitlines() if line.startswith("Exec=")]
    assert line.endswith(".tar.gz %F")
    assert harness.run("sh", "-c", line.removeprefix("Exec=").replace("%F", "file")).stdout == b"<--mode><a b><file>"


def archive(harness: Harness, path: Path, entry: str = ENTRY, programs: tuple[str, ...] = ("sample",)) -> Path:
    """An archive of a program for menus, which appears whole; without an entry when that is empty."""
    top = harness.base / f"of {path.name}" / path.name.partition(".")[0]
    write(top / "README", "x")
    for program in programs:
        write(top / "bin" / program, "#!/bin/sh\n", 0o755)
    if entry:
        write(top / "share" / "applications" / "sample.desktop", entry)
    with tarfile.open(path.with_name(".part"), "w:gz") as file:
        file.add(top, top.name)
    return path.with_name(".part").rename(path)


def test_archives_that_are_apps(harness: Harness, folder: Path, watch: Start, apps: dict[str, Path]) -> None:
    """With an entry that says what to start they come and go like others; without one nothing is said of them."""
    process = watch()
    app = archive(harness, folder / "sample.tar.gz")
    archive(harness, folder / "tool.tar.gz", "", ("tool",))
    archive(harness, folder / "data.tar.gz", "", ())
    write(folder / "half.tar.gz", app.read_bytes()[:300])
    soon(lambda: listed(harness) == {str(app)}, 30)
    shutil.copy(apps["bundle"], folder / "other")
    soon(lambda: listed(harness) == {str(app), str(folder / "other")}, 30)
    app.rename(folder / "renamed.tar.gz")
    soon(lambda: listed(harness) == {str(folder / "renamed.tar.gz"), str(folder / "other")}, 30)
    archive(harness, folder / "renamed.tar.gz", "", ("sample",))  # in its place one that is none for menus
    soon(lambda: listed(harness) == {str(folder / "other")}, 30)
    process.send_signal(signal.SIGTERM)
    said = harness.finish(process).stdout.decode()
    assert "tool" not in said and "data" not in said and "half" not in said, said


def test_packages_that_are_not_clear_are_said(harness: Harness, folder: Path, watch: Start) -> None:
    """Who puts a package there wants something of it."""
    process = watch()
    for name in ("one", "two"):
        write(harness.base / "root" / "usr" / "bin" / name, "#!/bin/sh\n", 0o755)
    deb(harness.base / "both.deb", harness.base / "root").rename(folder / "both.deb")
    assert process.stdout
    line = process.stdout.readline().decode()
    assert "both.deb: it is not clear which program to start; say which with --entry" in line
    write(harness.base / "root" / "usr/share/applications/one.desktop", ENTRY.replace("Exec=sample", "Exec=one"))
    deb(harness.base / "clear.deb", harness.base / "root").rename(folder / "clear.deb")
    soon(lambda: listed(harness) == {str(folder / "clear.deb")}, 30)


def test_a_large_archive_holds_nobody_up(harness: Harness, folder: Path, watch: Start, apps: dict[str, Path]) -> None:
    """What comes while it is read is there as soon as ever."""
    watch()
    large = harness.base / "large" / "usr"
    for number in range(30):
        write(large / str(number), noise(1_000_000) * 4)
    subprocess.run(["tar", "-C", large.parent, "-cJf", folder / "large.tar.xz", "usr"], check=True)
    shutil.copy(apps["bundle"], folder / "app")
    assert soon(lambda: listed(harness) == {str(folder / "app")}, 20) < 10


def test_a_squashfs_without_apprun(harness: Harness, folder: Path) -> None:
    """It has the name and the arguments of the entry that goes with what is started, also when it never was."""
    write(harness.base / "sample/usr/bin/sample", "#!/bin/sh\nprintf '<%s>' \"$@\"\n", 0o755)
    write(harness.base / "sample/usr/share/applications/sample.desktop", ENTRY)
    image = folder / "sample.squashfs"
    subprocess.run(["mksquashfs", harness.base / "sample", image, "-quiet", "-no-progress"], check=True)
    time.sleep(SETTLED)
    assert b"Sample App" in command(harness, image).stdout
    entry = next((harness.base / "data" / "applications").glob("*.desktop"))
    (exec_line,) = [line for line in entry.read_text().splitlines() if line.startswith("Exec=")][:1]
    started = harness.run("sh", "-c", exec_line.removeprefix("Exec=").removesuffix(" %F"))
    assert started.stdout == b"<--mode><a b>"
