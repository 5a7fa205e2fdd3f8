"""What is typed as an application and is no file: an AppDir, an address."""

from __future__ import annotations

import pytest
from kit.apps import App, script_appdir, write
from kit.harness import Harness, environ_of


def test_an_appdir_starts_where_it_is(harness: Harness, app: App) -> None:
    seen = harness.run(harness.door, app.appdir, "probe:report", "--x", env={"APPIMAGE": "/another"}).report()
    assert seen["argv"] == [f"{app.appdir}/AppRun", "probe:report", "--x"]
    settings = environ_of(seen)
    assert settings["APPDIR"] == str(app.appdir) and settings["OWD"] == str(harness.work)
    assert settings["ARGV0"] == str(app.appdir) and "APPIMAGE" not in settings
    assert harness.left() == []


@pytest.mark.parametrize("typed", ["a.AppDir", "./a.AppDir", "a.AppDir/", "link"])
def test_however_it_is_named(harness: Harness, typed: str) -> None:
    script_appdir(harness.work, 'echo "$APPDIR" "$@"', "a.AppDir")
    (harness.work / "link").symlink_to("a.AppDir")
    expected = f"{harness.work}/a.AppDir x\n".encode()
    assert harness.run(harness.door, typed, "x").stdout == expected
    assert harness.run(harness.door, "run", typed, "x").stdout == expected


def test_a_directory_that_is_none(harness: Harness) -> None:
    (harness.work / "empty").mkdir()
    harness.refused(harness.run(harness.door, "empty", status=None), "empty: is a directory without AppRun")
    write(harness.work / "plain" / "AppRun", "#!/bin/sh\n")
    harness.refused(harness.run(harness.door, "plain", status=None), "no permission to be executed")


def test_an_address(harness: Harness) -> None:
    result = harness.run(harness.door, "https://example.org/a.AppImage", status=None)
    harness.refused(result, "download it first: curl -LO 'https://example.org/a.AppImage'", status=127)
