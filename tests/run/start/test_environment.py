"""argv and environment of the app: what is the caller's stays so byte for byte, and what an AppImage sets is set."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from kit.apps import App
from kit.exact import seen_with_exactly
from kit.harness import Harness, environ_of


def arguments_seen(harness: Harness, *command: str | bytes | Path) -> list[bytes]:
    return [word.encode("latin-1") for word in harness.run(*command).report()["argv"]]


@pytest.mark.parametrize("by_door", [False, True])
def test_arguments_arrive_byte_for_byte(harness: Harness, app: App, by_door: bool) -> None:
    arguments = [
        b"",
        b" ",
        b"two\nlines\n",
        b"\xff\xfe",
        b"--",
        b"-x",
        b"--appimage-offset",
        b"--appimage-extract",
        b"@run",
        b"$HOME",
    ]
    words = [harness.door, app.bundle] if by_door else [app.bundle]
    assert arguments_seen(harness, *words, "probe:report", *arguments) == [
        os.fsencode(app.bundle), b"probe:report", *arguments
    ]  # fmt: skip


@pytest.mark.parametrize(
    "first", ["", "-h", "--help", "--version", "--appimage", "-appimage-help", "--store", "run", "pack", "@roots"]
)
def test_a_first_argument_that_is_no_appimage_flag_is_the_apps(harness: Harness, app: App, first: str) -> None:
    seen = arguments_seen(harness, harness.door, app.bundle, first, "probe:report")
    assert seen[1:] == [first.encode(), b"probe:report"]
    assert arguments_seen(harness, app.bundle, first, "probe:report") == seen


@pytest.mark.parametrize("name", ["", "x", "/no/such/file", "two\nlines", "\x1b[31m", "a" * 3000])
def test_argv0_is_as_typed(harness: Harness, app: App, name: str) -> None:
    seen = harness.run(name, "probe:report", executable=app.bundle).report()
    assert seen["argv"][0] == name
    assert environ_of(seen)["ARGV0"] == name
    assert environ_of(seen)["APPIMAGE"] == str(app.bundle)


def test_the_callers_environment_stays_byte_for_byte(harness: Harness, app: App) -> None:
    """Also what no shell would write: no `=`, an empty name, names twice, bytes that are no text, what loaders read."""
    odd = [b"LD_LIBRARY_PATH=:.:", b"PYTHONPATH=/x", b"LC_ALL=xx_XX", b"B=\xff\n", b"LONG=" + b"x" * 100_000]
    odd += [b"NO_EQUALS", b"=empty name", b"TWICE=1", b"TWICE=2"]
    base = [os.fsencode(f"{name}={value}") for name, value in harness.settings.items()]
    for words in ([app.bundle], [harness.door, app.bundle]):
        assert seen_with_exactly(harness, [*words, "probe:report"], base + odd) == base + odd


def test_what_an_appimage_sets(harness: Harness, app: App) -> None:
    inherited = {"APPIMAGE": "/outer", "APPDIR": "/outer.dir", "ARGV0": "outer", "OWD": "/outer.cwd"}
    for words in ([app.bundle], [harness.door, app.bundle]):
        environ = environ_of(harness.run(*words, "probe:report", env=inherited).report())
        assert environ["APPIMAGE"] == str(app.bundle)
        assert environ["APPDIR"] == str(harness.shelf("tree") / app.key / "tree")
        assert environ["ARGV0"] == str(app.bundle)
        assert environ["OWD"] == str(harness.work)


def test_a_symlink_leads_to_the_file(harness: Harness, app: App) -> None:
    link = harness.work / "link"
    link.symlink_to(app.bundle)
    for words in (["./link"], [harness.door, "./link"], [harness.door, "link"]):
        seen = harness.run(*words, "probe:report").report()
        assert environ_of(seen)["APPIMAGE"] == str(app.bundle)
        assert environ_of(seen)["ARGV0"] == seen["argv"][0] == str(words[-1])


def test_a_relative_name_from_another_directory(harness: Harness, app: App) -> None:
    name = os.path.relpath(app.bundle, harness.work)
    seen = harness.run(name, "probe:report", executable=app.bundle).report()
    assert environ_of(seen)["APPIMAGE"] == str(app.bundle)
    assert environ_of(harness.run(harness.door, name, "probe:report").report())["APPIMAGE"] == str(app.bundle)


def test_found_on_path(harness: Harness, app: App) -> None:
    shutil.copy(app.bundle, harness.base / "home" / "my-app")
    path = {"PATH": f"{harness.base}/home:/usr/bin:/bin"}
    seen = harness.run("env", "my-app", "probe:report", env=path).report()
    assert seen["argv"][0] == "my-app"
    assert environ_of(seen)["APPIMAGE"] == str(harness.base / "home" / "my-app")


@pytest.mark.parametrize(
    ("suffix", "variable"),
    [(".home", "HOME"), (".config", "XDG_CONFIG_HOME"), (".share", "XDG_DATA_HOME"), (".cache", "XDG_CACHE_HOME")],
)
def test_portable_directories(harness: Harness, app: App, suffix: str, variable: str) -> None:
    bundle = harness.work / "app"
    shutil.copy(app.bundle, bundle)
    portable = Path(f"{bundle}{suffix}")
    before = harness.settings.get(variable)
    for words in ([bundle], [harness.door, bundle]):
        portable.mkdir(exist_ok=True)
        environ = environ_of(harness.run(*words, "probe:report").report())
        assert environ[variable] == str(portable)
        assert environ.get(f"REAL_{variable}") == before
        portable.rmdir()
        environ = environ_of(harness.run(*words, "probe:report").report())
        assert environ.get(variable) == before and f"REAL_{variable}" not in environ
    portable.write_bytes(b"a file, no directory")
    assert environ_of(harness.run(bundle, "probe:report").report()).get(variable) == before


def test_the_store_is_not_looked_for_in_a_portable_home(harness: Harness, app: App) -> None:
    bundle = harness.work / "app"
    shutil.copy(app.bundle, bundle)
    Path(f"{bundle}.cache").mkdir()
    harness.run(bundle)
    assert os.listdir(f"{bundle}.cache") == []


def test_target_appimage_is_what_runs(harness: Harness, app: App) -> None:
    """AppImage specification: a static runtime runs the file that TARGET_APPIMAGE names instead of its own."""
    other = harness.work / "other"
    shutil.copy(app.bundle, other)
    expected = str(other)
    for words in ([app.bundle], [harness.door, other]):
        seen = harness.run(*words, "probe:report", env={"TARGET_APPIMAGE": "other"}).report()
        assert environ_of(seen)["APPIMAGE"] == expected
        assert "TARGET_APPIMAGE" not in environ_of(seen)
    assert harness.run(harness.door, env={"TARGET_APPIMAGE": expected}).stdout == b""


def test_target_appimage_with_a_runtime_in_memory(harness: Harness, app: App) -> None:
    """AppImageLauncher starts a runtime from a memfd: /proc/self/exe is no image then."""
    script = (
        "import os, sys\nfd = os.memfd_create('runtime')\nos.write(fd, open(sys.argv[1], 'rb').read(1 << 20))\n"
        "os.execve(fd, ['launched', 'probe:report'], dict(os.environ))"
    )
    stub = harness.door.with_name("stub")
    seen = harness.run("python3", "-I", "-c", script, stub, env={"TARGET_APPIMAGE": str(app.bundle)}).report()
    assert environ_of(seen)["APPIMAGE"] == str(app.bundle)
    assert environ_of(seen)["ARGV0"] == "launched"


def test_a_huge_command_line_fits_as_far_as_the_kernel_allows(harness: Harness, app: App) -> None:
    arguments = ["x" * 100_000] * 18
    assert len(harness.run(app.bundle, "probe:report", *arguments).report()["argv"]) == 20


def test_a_command_line_that_only_just_fitted_is_refused_with_words(harness: Harness, app: App) -> None:
    """execve(2): arguments and environment share a quarter of the stack; APPIMAGE and the rest come on top."""
    low, high = 1, 3_000_000
    while high - low > 1:
        middle = (low + high) // 2
        try:
            harness.run(app.bundle, *["y" * 1000] * (middle // 1000), "z" * (middle % 1000), status=None)
            low = middle
        except OSError:
            high = middle
    result = harness.run(app.bundle, *["y" * 1000] * (low // 1000), "z" * (low % 1000), status=126)
    assert b"arguments and environment are too long" in result.stderr
