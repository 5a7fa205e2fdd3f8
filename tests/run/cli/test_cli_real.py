"""The whole of it: the front door, the Python command line beside it, and the engine, on real images."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from kit.apps import SETTLED, App, packed, script_appdir, write
from kit.harness import Harness, Result, wait_until
from kit.places import VERSION
from kit.surroundings import ALONE
from kit.trees import below
from tmprun_bench.measure.installation import lay_out

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def whole(harness: Harness, door: Path, tmp_path: Path) -> Harness:
    """Both programs side by side, as an installation has them."""
    harness.door = lay_out(door, tmp_path)
    return harness


@pytest.fixture
def ask(whole: Harness) -> Callable[..., Any]:
    """Run a command with --json and return what it says."""

    def ask(*words: str | Path, status: int = 0) -> Any:
        return json.loads(whole.run(whole.door, *words, "--json", status=status).stdout)

    return ask


@pytest.fixture(scope="module")
def foreign(hello: dict[str, Path]) -> dict[str, Path]:
    """AppImages behind a real runtime, old enough to be remembered, by codec."""
    time.sleep(SETTLED)
    return {codec: hello[codec] for codec in ("gzip", "zstd", "xz")}


@pytest.fixture
def sleeper(tmp_path: Path) -> App:
    """An app that says "ready", waits for the end of its input, and reads a file of its own."""
    appdir = script_appdir(tmp_path, 'echo ready; read nothing; cat "$APPDIR/usr/data"')
    write(appdir / "usr" / "data", "still there\n")
    return packed(appdir, tmp_path / "sleeper")


def complaint(result: Result) -> str:
    text = result.stderr.decode()
    assert result.stdout == b"", str(result)
    assert text.startswith("tmprun: "), str(result)
    assert text.count("\n") == 1, str(result)
    return text


def trees(whole: Harness) -> list[str]:
    return sorted(os.listdir(whole.shelf("tree")))


class Started:
    """An app started through the front door, that is ready and waits."""

    def __init__(self, whole: Harness, image: Path, *arguments: str) -> None:
        self.process = whole.start(whole.door, image, *arguments, stdin=subprocess.PIPE)
        assert self.process.stdout
        assert self.process.stdout.readline() == b"ready\n"

    def finish(self) -> bytes:
        out, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0
        return out


# Path, list


@pytest.mark.parametrize("kind", ["bundle", "gzip", "zstd", "xz"])
def test_path_unpacks_once(
    whole: Harness, ask: Callable[..., Any], app: App, foreign: dict[str, Path], kind: str
) -> None:
    image = app.bundle if kind == "bundle" else foreign[kind]
    assert ask("cache", "list") == {"entries": [], "images": []}
    first = whole.run(whole.door, "cache", "path", image)
    appdir = Path(os.fsdecode(first.stdout.removesuffix(b"\n")))
    assert first.stderr == b""
    assert appdir.parent.parent == whole.shelf("tree")
    assert (appdir / "AppRun").exists()
    inode = appdir.stat().st_ino
    assert ask("cache", "path", image) == {"path": str(appdir)}
    assert appdir.stat().st_ino == inode
    (entry,) = ask("cache", "list")["entries"]
    assert entry["source"] == str(image)
    assert (entry["path"], entry["key"]) == (str(appdir), appdir.parent.name)
    assert entry["complete"]
    assert not entry["in_use"]
    assert entry["files"] == sum(not path.is_dir() or path.is_symlink() for path in below(appdir))
    assert abs(entry["last_use"] - time.time()) < 60
    known = ask("cache", "list")["images"]
    assert [item["kind"] for item in known] == ([] if kind == "bundle" else ["index"])
    assert ask("info", image)["key"] == entry["key"]
    assert ask("info", image)["cached"] == str(appdir)


def test_list_for_people(whole: Harness, app: App, sleeper: App) -> None:
    whole.run(whole.door, "cache", "path", app.bundle)
    running = Started(whole, sleeper.bundle)
    heading, *lines = whole.run(whole.door, "cache", "list").stdout.decode().splitlines()
    assert heading.split() == ["KEY", "SIZE", "FILES", "LAST", "USE", "STATE", "STORE", "SOURCE"]
    by_key = {line.split()[0]: line for line in lines}
    for image, state in ((app, "idle"), (sleeper, "in use")):
        assert f"just now  {state} " in by_key[image.key[:12]]
        assert by_key[image.key[:12]].endswith(f"  {image.bundle}")
    running.finish()


def test_path_of_what_is_no_image(whole: Harness, tmp_path: Path) -> None:
    write(tmp_path / "text", "text")
    result = whole.run(whole.door, "cache", "path", tmp_path / "text", status=126)
    assert "is text, no app" in complaint(result)
    assert "no such file" in complaint(whole.run(whole.door, "cache", "path", tmp_path / "none", status=127))


def test_engine_says_itself_what_went_wrong(whole: Harness, app: App) -> None:
    env = {"TMPRUN_STORE": "/proc/nowhere"}
    result = whole.run(whole.door, "cache", "path", app.bundle, env=env, status=127)
    assert "nowhere to unpack it" in complaint(result)


# Prune, clear


def test_app_in_use_stays_and_goes_on(whole: Harness, ask: Callable[..., Any], app: App, sleeper: App) -> None:
    whole.run(whole.door, "cache", "path", app.bundle)
    running = Started(whole, sleeper.bundle)
    assert {entry["key"]: entry["in_use"] for entry in ask("cache", "list")["entries"]} == {
        app.key: False,
        sleeper.key: True,
    }
    report = ask("cache", "clear", *ALONE)
    assert [entry["key"] for entry in report["removed"]] == [app.key]
    assert [(entry["key"], entry["reason"]) for entry in report["kept"]] == [(sleeper.key, "in use")]
    assert trees(whole) == [sleeper.key]
    assert running.finish() == b"still there\n"
    assert ask("cache", "clear", *ALONE)["kept"] == []
    assert whole.left() == []


def test_app_that_gave_its_lease_away_stays(whole: Harness, ask: Callable[..., Any], tmp_path: Path) -> None:
    """Its descriptors are closed, it has left the session, it runs a program of the host in the root directory."""
    appdir = script_appdir(tmp_path, "")
    script = """#!/bin/bash
exec 3<&0
cd /
for fd in /proc/$$/fd/*; do n=${fd##*/}; ((n > 3 && n != 255)) && eval "exec $n<&-"; done
setsid sh -c 'echo ready; read nothing <&3' &
"""
    write(appdir / "AppRun", script, 0o755)
    image = packed(appdir, tmp_path / "daemon")
    running = Started(whole, image.bundle)
    running.process.wait(timeout=30)
    assert [entry["reason"] for entry in ask("cache", "clear", *ALONE)["kept"]] == ["in use"]
    assert running.process.stdin
    running.process.stdin.close()
    wait_until(lambda: ask("cache", "clear", *ALONE)["kept"] == [])
    assert whole.left() == []


def test_prune_by_size_takes_the_oldest(whole: Harness, ask: Callable[..., Any], app: App, sleeper: App) -> None:
    for image in (app, sleeper):
        whole.run(whole.door, "cache", "path", image.bundle)
    lease = whole.shelf("tree") / app.key / "lease"
    os.utime(lease, (1_000_000_000, 1_000_000_000))
    sizes = {entry["key"]: entry["size"] for entry in ask("cache", "list")["entries"]}
    limit = str(sum(sizes.values()) - 1)
    wanted = ask("cache", "prune", "--max-size", limit, *ALONE, "--dry-run")
    assert [entry["key"] for entry in wanted["removed"]] == [app.key]
    assert trees(whole) == sorted(sizes)
    report = ask("cache", "prune", "--max-size", limit, *ALONE)
    assert [entry["key"] for entry in report["removed"]] == [app.key]
    assert report["freed"] == sizes[app.key]
    assert trees(whole) == [sleeper.key]


def test_prune_by_age_and_without_options(whole: Harness, ask: Callable[..., Any], app: App, sleeper: App) -> None:
    for image in (app, sleeper):
        whole.run(whole.door, "cache", "path", image.bundle)
    os.utime(whole.shelf("tree") / app.key / "lease", (time.time() - 7200,) * 2)
    assert ask("cache", "prune", *ALONE)["removed"] == []
    assert ask("cache", "prune", "--older-than", "3h", *ALONE)["removed"] == []
    assert [entry["key"] for entry in ask("cache", "prune", "--older-than", "1h", *ALONE)["removed"]] == [app.key]


def test_clear_forgets_images_and_they_start_again(
    whole: Harness, ask: Callable[..., Any], foreign: dict[str, Path]
) -> None:
    for image in foreign.values():
        whole.run(whole.door, "cache", "path", image)
    text = whole.run(whole.door, "cache", "clear", *ALONE).stdout.decode()
    assert re.search(r"^removed 6, [0-9.]+ kB, [0-9]+ leftovers$", text, re.MULTILINE)
    cache = whole.base / "cache" / "tmprun" / VERSION
    assert [os.listdir(cache / part) for part in ("image", "known")] == [[], []]
    assert whole.left() == []
    for image in foreign.values():
        assert b"Hello world" in whole.run(whole.door, image).stdout


def test_starts_while_everything_is_cleared_again_and_again(whole: Harness, app: App, tmp_path: Path) -> None:
    """Each start succeeds and sees all its files, whatever is cleared meanwhile."""
    files = "\n".join(f'[ "$(cat "$APPDIR/usr/{number}")" = {number} ] || exit 9' for number in range(30))
    appdir = script_appdir(tmp_path, files + "\nsleep 0.0$(($$ % 10))\n" + files + "\necho fine")
    for number in range(30):
        write(appdir / "usr" / str(number), str(number))
    image = packed(appdir, tmp_path / "image").bundle
    loop = 'while [ ! -e stop ]; do "$0" cache clear --json "$@"; done'
    clearing = [whole.start("sh", "-c", loop, whole.door, *ALONE) for _ in range(2)]
    try:
        for _ in range(10):
            starts = [whole.start(whole.door, image) for _ in range(8)]
            for result in map(whole.finish, starts):
                assert (result.status, result.stdout) == (0, b"fine\n"), str(result)
            time.sleep(0.4)
    finally:
        (whole.work / "stop").touch()
        done = [whole.finish(process) for process in clearing]
    assert all(result.status == 0 for result in done)
    removed = sum(result.stdout.count(b'"not in use"') for result in done)
    assert removed, "nothing was cleared: the test shows nothing"


# Verify


@pytest.fixture
def damage(whole: Harness) -> Iterator[Callable[[str, str], None]]:
    """Change a file of a published tree in place, as only its owner can."""

    def damage(key: str, path: str) -> None:
        file = whole.shelf("tree") / key / "tree" / path
        mode, times = file.stat().st_mode, (file.stat().st_atime, file.stat().st_mtime)
        file.chmod(0o644)
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        file.chmod(mode)
        os.utime(file, times)

    return damage  # type: ignore[return-value]


def test_verify(whole: Harness, ask: Callable[..., Any], app: App, foreign: dict[str, Path], damage: Any) -> None:
    images = [app.bundle, *foreign.values()]
    for image in images:
        whole.run(whole.door, "cache", "path", image)
    assert {found["source"]: found["result"] for found in ask("cache", "verify")} == dict.fromkeys(
        map(str, images), "intact"
    )
    damage(app.key, "usr/share/noise")
    (found,) = ask("cache", "verify", app.bundle, status=1)
    assert (found["key"], found["result"], found["removed"]) == (app.key, "damaged", False)
    assert found["differences"] == ["usr/hard: other content"]  # another name of the same file
    text = whole.run(whole.door, "cache", "verify", status=1)
    assert text.stdout.decode().count("intact") == 3
    assert b"--repair" in text.stderr
    (found,) = ask("cache", "verify", app.bundle, "--repair", status=1)
    assert found["removed"]
    assert app.key not in trees(whole)
    whole.run(whole.door, "cache", "path", app.bundle)
    assert [found["result"] for found in ask("cache", "verify")] == ["intact"] * 4


def test_verify_does_not_remove_what_is_in_use(
    whole: Harness, ask: Callable[..., Any], sleeper: App, damage: Any
) -> None:
    running = Started(whole, sleeper.bundle)
    damage(sleeper.key, "AppRun")
    (found,) = ask("cache", "verify", "--repair", status=1)
    assert (found["removed"], found["reason"]) == (False, "not removed: in use")
    running.process.kill()
    running.process.wait()


def test_verify_without_the_image(whole: Harness, ask: Callable[..., Any], app: App, sleeper: App) -> None:
    whole.run(whole.door, "cache", "path", sleeper.bundle)
    copy = sleeper.bundle.with_name("copy")
    sleeper.bundle.rename(copy)
    (found,) = ask("cache", "verify")
    assert (found["result"], "no such file" in found["reason"]) == ("unverified", True)
    shutil.copy(app.bundle, sleeper.bundle)
    (found,) = ask("cache", "verify")
    assert (found["result"], "another image now" in found["reason"]) == ("unverified", True)
    assert [found["result"] for found in ask("cache", "verify", copy)] == ["intact"]
    result = whole.run(whole.door, "cache", "verify", app.bundle, status=127)
    assert "not unpacked anywhere" in complaint(result)


# Extract


@pytest.mark.parametrize("codec", ["gzip", "zstd", "xz"])
def test_extract(whole: Harness, ask: Callable[..., Any], foreign: dict[str, Path], tmp_path: Path, codec: str) -> None:
    image = foreign[codec]
    result = whole.run(whole.door, "extract", image)
    offset = whole.run(whole.door, image, "--appimage-offset").stdout.decode().strip()
    subprocess.run(
        ["unsquashfs", "-quiet", "-no-progress", "-offset", offset, "-dest", tmp_path / "theirs", image], check=True
    )
    subprocess.run(["diff", "-r", "--no-dereference", tmp_path / "theirs", whole.work / "squashfs-root"], check=True)
    printed = {os.fsdecode(line) for line in result.stdout.splitlines()}
    assert printed == {str(path.relative_to(whole.work)) for path in below(whole.work / "squashfs-root")}
    found = ask("extract", image, "usr/*", "-C", "part")
    assert found["directory"] == str(whole.work / "part")
    assert sorted(os.listdir(whole.work / "part")) == ["usr"]
    assert "part/usr/bin" in found["paths"]
    assert whole.left() == []


def test_extract_of_what_is_no_image(whole: Harness) -> None:
    result = whole.run(whole.door, "extract", "/etc/passwd", status=126)
    assert "/etc/passwd: is text, no app" in complaint(result)
    assert os.listdir(whole.work) == []


# Doctor, sections


def test_doctor(whole: Harness, ask: Callable[..., Any]) -> None:
    found = ask("doctor")
    (store,) = found["stores"]
    assert (store["path"], store["ok"], store["reason"]) == (str(whole.store), True, "")
    assert store["free"] > 0
    assert found["engine"]["door"]
    assert os.uname().machine in found["engine"]["stubs"]
    text = whole.run(whole.door, "doctor").stdout.decode()
    for name in (
        "kernel",
        "memory",
        "open files",
        "C library",
        "loaders",
        "FUSE",
        "user namespaces",
        "leases",
        "engine",
    ):
        assert f"\n{name} " in f"\n{text}"


def test_doctor_tells_why_a_store_is_refused(whole: Harness) -> None:
    whole.run(whole.door, "cache", "list")
    whole.store.chmod(0o755)
    result = whole.run(whole.door, "doctor", status=1)
    assert "open to others" in result.stdout.decode()
    env = {"TMPRUN_STORE": None, "XDG_RUNTIME_DIR": "/proc"}
    stores = json.loads(whole.run(whole.door, "doctor", "--json", env=env).stdout)["stores"]
    assert len(stores) >= 4
    assert [store["ok"] for store in stores if store["path"] == "/proc/tmprun"] == [False]
    assert all(store["ok"] or store["reason"] for store in stores)


def test_flags_that_python_answers(whole: Harness, foreign: dict[str, Path]) -> None:
    for image in foreign.values():
        for flag in ("--appimage-updateinformation", "--appimage-signature", "--appimage-offset"):
            assert whole.run(whole.door, image, flag).stdout == whole.run(image, flag).stdout != b""


def test_help_and_mistakes_through_the_front_door(whole: Harness) -> None:
    assert whole.run(whole.door, "--help").stdout == whole.run(whole.door, "help").stdout
    assert b"--fill" in whole.run(whole.door, "run", "--help").stdout
    assert "no such option" in complaint(whole.run(whole.door, "--nosuch", status=127))
    assert whole.run(whole.door, status=127).stderr.startswith(b"Usage: ")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("infoo", "info"), ("ifno", "info"), ("Doctor", "doctor"), ("rn", "run"), ("chace", "cache"), ("pakc", "pack")],
)
def test_a_mistyped_command(whole: Harness, typed: str, meant: str) -> None:
    words = complaint(whole.run(whole.door, typed, "--json", "x", status=127))
    assert words == f"tmprun: {typed}: no such file, and no such command; did you mean {meant}?\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--verfy", "x"], "unknown option --verfy; did you mean --verify?"),
        (["--store", "--verfy", "--flil", "x"], "unknown option --flil; did you mean --fill?"),
        (["--nothing-like-it", "x"], "unknown option --nothing-like-it; see tmprun --help"),
        (["--fil=eager", "x"], "unknown option --fil=eager; see tmprun --help"),
        (["--", "--verfy"], "--verfy: no such file or directory; check the name"),
        (["--store"], "no value given for --store; see tmprun --help"),
    ],
)
def test_a_mistyped_option_of_run(whole: Harness, words: list[str], said: str) -> None:
    assert complaint(whole.run(whole.door, "run", *words, status=127)) == f"tmprun: {said}\n"


@pytest.mark.parametrize("typed", ["./infoo", "nothing-like-it", "a", "", "x" * 200])
def test_what_is_like_no_command_is_a_missing_file(whole: Harness, typed: str) -> None:
    assert "did you mean" not in complaint(whole.run(whole.door, typed, status=127))


def test_a_file_that_is_named_almost_like_a_command_is_an_app(whole: Harness, app: App) -> None:
    shutil.copy(app.bundle, whole.work / "infoo")
    assert whole.run(whole.door, "infoo", "probe:report").stdout


# What is printed for programs


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    """By the command that prints it."""
    found = [json.loads(path.read_text()) for path in (REPOSITORY / "tmprun" / "schemas").glob("*.json")]
    return {
        title.removeprefix("tmprun ").removesuffix(" --json"): each
        for each in found
        for title in each["title"].split("; ")
    }


def test_json_is_what_the_schemas_say(
    whole: Harness, ask: Callable[..., Any], schemas: dict[str, Any], app: App, foreign: dict[str, Path], damage: Any
) -> None:
    def check(command: str, *words: str | Path, status: int = 0) -> None:
        jsonschema.Draft202012Validator(schemas[command]).validate(ask(*command.split(), *words, status=status))

    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for image in (app.bundle, *foreign.values()):
        check("cache path", image)
        check("info", image)
        check("extract", image)
    check("cache list")
    check("doctor")
    check("libc list")
    check("cache verify")
    damage(app.key, "usr/share/noise")
    check("cache verify", app.bundle, status=1)
    check("cache prune", "--max-size", "1", "--dry-run", *ALONE)
    check("cache clear", *ALONE)
    broken = {"TMPRUN_STORE": "/proc/nowhere"}
    found = json.loads(whole.run(whole.door, "doctor", "--json", env=broken, status=1).stdout)
    jsonschema.Draft202012Validator(schemas["doctor"]).validate(found)
