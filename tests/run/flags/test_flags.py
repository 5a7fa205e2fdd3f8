"""The --appimage-* flags, in the stub and in the front door alike, as the first argument only."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from kit.apps import App, write
from kit.foreign_images import head
from kit.harness import Harness, environ_of
from kit.places import PUBLISHED
from kit.trees import below

from tmprun.bundle.footer import read_footer
from tmprun.pack.pack import pack


def test_help_goes_to_stdout(harness: Harness, words: list[Path]) -> None:
    result = harness.run(*words, "--appimage-help")
    for flag in ("extract", "list", "mount", "offset", "portable-home", "updateinformation", "signature", "version"):
        assert f"--appimage-{flag}".encode() in result.stdout
    assert result.stderr == b"" and harness.left() == []


def test_version(harness: Harness, words: list[Path]) -> None:
    assert re.fullmatch(rb"tmprun \d+\.\d+\S*\n", harness.run(*words, "--appimage-version").stdout)


def test_offset_is_where_the_payload_begins(harness: Harness, app: App, words: list[Path]) -> None:
    offset = int(harness.run(*words, "--appimage-offset").stdout)
    with app.bundle.open("rb") as file:
        footer = read_footer(file.fileno())
        assert footer is not None and offset == footer.offset
    plain = harness.run("sh", "-c", 'tail -c +$(($2 + 1)) "$1" | zstd -d | tar t', "sh", app.bundle, str(offset))
    assert b"AppRun\n" in plain.stdout
    assert harness.left() == []


def test_list_names_everything(harness: Harness, app: App, words: list[Path]) -> None:
    paths = b"\n".join(os.fsencode(path.relative_to(app.appdir)) for path in below(app.appdir))
    listed = harness.run(*words, "--appimage-list").stdout
    assert sorted(listed.split(b"\n")) == sorted([*paths.split(b"\n"), b""])
    assert harness.left() == []


def test_mount_keeps_the_tree_until_it_is_killed(harness: Harness, app: App, words: list[Path]) -> None:
    process = harness.start(*words, "--appimage-mount")
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.endswith(b"\n") and (Path(os.fsdecode(line[:-1])) / "AppRun").is_file()
    lease = harness.shelf("tree") / app.key / "lease"
    assert subprocess.run(["flock", "-xn", lease, "true"], check=False).returncode == 1
    process.send_signal(signal.SIGINT)
    assert harness.finish(process).status == -signal.SIGINT
    subprocess.run(["flock", "-xn", lease, "true"], check=True)


@pytest.mark.parametrize("kind", ["home", "config", "share", "cache"])
def test_portable_directories_are_made_beside_the_file(
    harness: Harness, app: App, words: list[Path], kind: str
) -> None:
    bundle = Path(shutil.copy(app.bundle, harness.work / "my app"))
    by_door = words[:-1]
    for _ in range(2):
        result = harness.run(*by_door, bundle, f"--appimage-portable-{kind}")
        assert os.fsencode(f"{bundle}.{kind}") in result.stdout
    assert oct(Path(f"{bundle}.{kind}").stat().st_mode & 0o7777) == oct(0o700)
    assert sorted(os.listdir(harness.work)) == ["my app", f"my app.{kind}"]
    assert harness.left() == []


def test_a_portable_directory_that_cannot_be_made(harness: Harness, app: App, words: list[Path]) -> None:
    bundle = Path(shutil.copy(app.bundle, harness.work / "app"))
    write(Path(f"{bundle}.home"), b"in the way")
    harness.run(*words[:-1], bundle, "--appimage-portable-home", status=None)
    assert Path(f"{bundle}.home").is_file()


@pytest.mark.parametrize("flag", ["--appimage-updateinformation", "--appimage-updateinfo"])
def test_update_information(harness: Harness, app: App, flag: str) -> None:
    bundle = harness.work / "updated"
    text = "zsync|https://example.org/app.zsync"
    pack(app.appdir, bundle, level=1, update_information=text)
    assert harness.run(bundle, flag).stdout == text.encode() + b"\n"
    assert harness.run(app.bundle, flag).stdout.strip() == b""


def test_signature_of_an_unsigned_bundle_is_empty(harness: Harness, app: App) -> None:
    assert harness.run(app.bundle, "--appimage-signature").stdout.strip(b"\0\n") == b""


def test_what_the_program_at_the_head_says_is_printed_as_its_runtime_does(harness: Harness, linuxdeploy: Path) -> None:
    lonely = Path(shutil.copy(harness.door, harness.base / "tmprun"))  # without Python
    for flag in ("offset", "updateinformation", "signature"):
        theirs = subprocess.run([linuxdeploy, f"--appimage-{flag}"], capture_output=True, check=True).stdout
        assert harness.run(lonely, linuxdeploy, f"--appimage-{flag}").stdout == theirs


def test_update_information_of_a_type_1_image(harness: Harness, tmp_path: Path, type_1_images: list[Path]) -> None:
    for image in type_1_images:
        assert harness.run(harness.door, image, "--appimage-updateinformation").stdout == b"\n"
    told = Path(shutil.copy(type_1_images[0], tmp_path / "told"))
    with told.open("r+b") as file:
        file.seek(0x8373)
        file.write(b"zsync|https://example.org/app.zsync\n\0")
    said = harness.run(harness.door, told, "--appimage-updateinfo").stdout
    assert said == b"zsync|https://example.org/app.zsync\n"


def test_a_program_without_such_a_section(harness: Harness, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    for content in (head(), head()[:40], head(bits=32, big=True), b"text", b"\x7fELF" + b"\xff" * 200):
        bare.write_bytes(content)
        said = harness.run(harness.door, bare, "--appimage-updateinformation", status=None)
        harness.refused(said, "has no .upd_info section", status=127)


def test_an_unknown_flag_is_refused(harness: Harness, words: list[Path]) -> None:
    harness.refused(harness.run(*words, "--appimage-fly", status=None), "--appimage-fly", "--appimage-help", status=127)


def test_extract_and_run_is_taken_and_the_rest_is_the_apps(harness: Harness, words: list[Path]) -> None:
    seen = harness.run(*words, "--appimage-extract-and-run", "--appimage-extract", "probe:report").report()
    assert seen["argv"][1:] == ["--appimage-extract", "probe:report"]


@pytest.mark.parametrize("how", ["--appimage-extract-and-run", "APPIMAGE_EXTRACT_AND_RUN"])
def test_extract_and_run_unpacks_where_tmpdir_says(harness: Harness, words: list[Path], how: str) -> None:
    temporary = harness.base / "tmp"
    temporary.mkdir()
    env = {"TMPRUN_STORE": None, "TMPDIR": str(temporary), "XDG_RUNTIME_DIR": None}
    if how.startswith("--"):
        seen = harness.run(*words, how, "probe:report", env=env).report()
    else:
        seen = harness.run(*words, "probe:report", env=env | {how: "1"}).report()
    assert environ_of(seen)["APPDIR"].startswith(f"{temporary}/tmprun-{os.geteuid()}{PUBLISHED}")


@pytest.mark.parametrize(
    "flag",
    [
        "--appimage-help",
        "--appimage-offset",
        "--appimage-extract",
        "--appimage-extract-and-run",
        "--appimage-mount",
        "--appimage-fly",
    ],
)
def test_later_arguments_are_the_apps_even_when_they_look_like_ours(
    harness: Harness, words: list[Path], flag: str
) -> None:
    assert harness.run(*words, "file", flag, "probe:report").report()["argv"][1:] == ["file", flag, "probe:report"]


@pytest.mark.parametrize("flag", ["help", "version", "offset", "list"])
def test_output_that_cannot_be_written_is_an_error(harness: Harness, words: list[Path], flag: str) -> None:
    with open("/dev/full", "wb") as full:
        process = harness.start(*words, f"--appimage-{flag}", stdout=full)
        result = harness.finish(process)
    assert result.status == 127 and b"cannot print" in result.stderr and result.stderr.count(b"\n") == 1


@pytest.mark.parametrize("flag", ["--appimage-offset", "--appimage-list", "--appimage-extract", "--appimage-mount"])
def test_flags_of_a_damaged_bundle(harness: Harness, app: App, flag: str) -> None:
    bundle = harness.work / "damaged"
    data = bytearray(app.bundle.read_bytes())
    data[-100] ^= 1  # in the index, which no digest but the key covers
    write(bundle, bytes(data), 0o755)
    for words in ([bundle], [harness.door, bundle]):
        result = harness.run(*words, flag, status=None)
        harness.refused(result, "damaged", status=1 if "extract" in flag else 126)
    assert os.listdir(harness.work) == ["damaged"]


@pytest.mark.parametrize("flag", ["--appimage-offset", "--appimage-list", "--appimage-extract", "--appimage-mount"])
@pytest.mark.parametrize("missing", [1, 64, 1000])
def test_flags_of_a_bundle_that_lost_its_footer(harness: Harness, app: App, flag: str, missing: int) -> None:
    """It is no bundle any more: the stub can say nothing of it, least of all an empty line and that all is well."""
    bundle = write(harness.work / "cut", app.bundle.read_bytes()[:-missing], 0o755)
    status = 1 if "extract" in flag else 126
    harness.refused(harness.run(bundle, flag, status=None), "damaged bundle", "no footer", status=status)
    by_door = harness.run(harness.door, bundle, flag, status=None)
    harness.refused(by_door, status=status)
    assert os.listdir(harness.work) == ["cut"]
