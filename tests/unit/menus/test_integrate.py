"""What an app gets in the menus, and that nothing of it stays or harms."""

from __future__ import annotations

import hashlib
import os
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.apps import noise, write
from kit.menu_apps import ENTRY, MIME, as_bundle, as_type_2, menu_appdir, png
from kit.trees import below

from tmprun.desktop.entry import groups
from tmprun.desktop.exec_line import words_of
from tmprun.desktop.names import identifier
from tmprun.engine import programs
from tmprun.errors import BadImage, TmprunError
from tmprun.menus.integrate import NoMenu, integrate, integrated, refresh, remove

Make = Callable[[Path, Path], Path]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "data"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return as_type_2(menu_appdir(tmp_path), tmp_path / "sample.AppImage")


def files(home: Path) -> set[str]:
    return {str(path.relative_to(home)) for path in below(home) if path.is_file() and path.name != "menus.lock"}


def valid(entry: str | Path) -> None:
    done = subprocess.run(["desktop-file-validate", entry], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), Path(entry).read_text()


def entry_of(app: Path, **image: str) -> dict[str, dict[str, str]]:
    done = integrate(str(app))
    valid(done.entry)
    return groups(Path(done.entry).read_bytes())


@pytest.mark.parametrize("make", [as_bundle, as_type_2])
def test_an_app_is_all_there_and_all_gone(tmp_path: Path, home: Path, make: Make) -> None:
    app = make(menu_appdir(tmp_path), tmp_path / "sample.AppImage")
    owner = hashlib.md5(f"file://{app}".encode()).hexdigest()
    assert identifier(str(app)) == owner
    found = entry_of(app)
    ours = f"appimagekit_{owner}"
    assert files(home) == {
        f"applications/{ours}-Sample_App.desktop",
        *(f"icons/hicolor/{size}x{size}/apps/{ours}_sample.png" for size in (16, 48, 256)),
        f"icons/hicolor/scalable/apps/{ours}_sample.svg",
        f"icons/hicolor/symbolic/apps/{ours}_sample-symbolic.svg",
        f"mime/packages/{ours}_sample.xml",
        f"metainfo/{ours}_org.example.Sample.metainfo.xml",
    }
    keys = found["Desktop Entry"]
    assert keys["Name[de]"] == "Beispiel"
    assert words_of(keys["Exec"]) == [programs.door(), str(app), "--mode", "a b", "%F"]
    assert keys["Icon"] == f"{ours}_sample"
    assert (keys["TryExec"], keys["Categories"], keys["MimeType"]) == (str(app), "Graphics;", "image/x-sample;")
    assert (keys["X-AppImage-Identifier"], keys["X-AppImage-Version"]) == (owner, "7.3")
    assert "Version" not in keys
    assert keys["Actions"] == "New;"
    assert words_of(found["Desktop Action New"]["Exec"]) == [programs.door(), str(app), "--new", "%u"]
    (one,) = integrated()
    assert (one.app, one.name, one.there) == (str(app), "Sample App", True)
    refresh()
    assert remove(str(app))
    assert not remove(str(app))
    assert not [name for name in files(home) if owner in name]


def test_databases_are_made_anew_by_the_programs_that_are_there(
    app: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    integrate(str(app))
    refresh()
    for name in ("update-desktop-database", "update-mime-database", "gtk-update-icon-cache"):
        write(tmp_path / "bin" / name, f'#!/bin/sh\necho "{name} $*" >>"{tmp_path}/called"\n', 0o755)
    refresh()
    called = [f"update-desktop-database -q {home}/applications", f"update-mime-database {home}/mime"]
    assert (tmp_path / "called").read_text().splitlines() == called
    write(home / "icons/hicolor/icon-theme.cache", "old")
    refresh()
    last = f"gtk-update-icon-cache -q -t -f {home}/icons/hicolor"
    assert (tmp_path / "called").read_text().splitlines() == [*called, *called, last]


def test_what_an_appimage_tool_put_there_is_replaced(app: Path, home: Path) -> None:
    """Theirs has the same name, or another but the same identifier: there is one entry in the end."""
    theirs = f"applications/appimagekit_{identifier(str(app))}-Old_Name.desktop"
    write(home / theirs, "[Desktop Entry]\nName=Old\n")
    write(home / "applications/other.desktop", "[Desktop Entry]\nName=Other\n")
    integrate(str(app))
    assert theirs not in files(home)
    assert "applications/other.desktop" in files(home)


def test_an_update_leaves_nothing_of_the_old_one(app: Path, home: Path, tmp_path: Path) -> None:
    integrate(str(app))
    new = ENTRY.replace("Sample App", "Better App").replace("Icon=sample", "Icon=better")
    appdir = menu_appdir(tmp_path, new, name="New.AppDir")
    write(appdir / "better.png", png(64))
    as_type_2(appdir, app)
    integrate(str(app))
    owner = identifier(str(app))
    assert {name for name in files(home) if name.startswith(("app", "icons"))} == {
        f"applications/appimagekit_{owner}-Better_App.desktop",
        f"icons/hicolor/64x64/apps/appimagekit_{owner}_better.png",
    }


@pytest.mark.parametrize(
    "name",
    ["a b", 'quo"te', "do$lar `x`", "per%cent %f", "new\nline", "back\\slash", "it's", "ü", "=", ";", "n" * 255, "-x"],
)
def test_odd_names(tmp_path: Path, app: Path, name: str) -> None:
    odd = app.rename(tmp_path / name)
    keys = entry_of(odd)["Desktop Entry"]
    assert words_of(keys["Exec"])[1] == str(odd).replace("%", "%%")
    (one,) = integrated()
    assert one.app == str(odd)
    assert one.there
    assert remove(str(odd))


def test_a_name_that_is_no_text_is_refused(tmp_path: Path, app: Path) -> None:
    odd = app.rename(tmp_path / os.fsdecode(b"\xff"))
    with pytest.raises(TmprunError, match="UTF-8"):
        integrate(str(odd))


HOSTILE = """[Desktop Entry]
Name=../../../../.bashrc\x1b[31m
Name[x/../y]=no
Exec=env LD_PRELOAD=/tmp/x sh -c "rm -rf ~" %F %U %d
Icon=../../../../etc/passwd
TryExec=/bin/sh
Path=/
DBusActivatable=true
Hidden=true
NoDisplay=yes
Terminal=1
Type=Link
URL=http://example.org
X-KDE-SubstituteUID=true
X-Tmprun-App=/etc/passwd
OnlyShowIn=Nowhere;
Actions=A;B/../C;A;
Categories=;;;Game
MimeType=x;text/plain;a/b/c
Broken Key=1
StartupWMClass=a\\qb

[Desktop Action A]
Name=
Exec=rm

[Desktop Entry]
Exec=second
"""


def test_a_hostile_entry_is_made_harmless(tmp_path: Path, home: Path) -> None:
    app = as_type_2(menu_appdir(tmp_path, HOSTILE), tmp_path / "app")
    keys = entry_of(app)["Desktop Entry"]
    owner = identifier(str(app))
    assert words_of(keys["Exec"]) == [programs.door(), str(app), "-c", "rm -rf ~", "%F"]
    assert keys["Type"] == "Application"
    assert keys["TryExec"] == str(app)
    assert keys["X-Tmprun-App"] == str(app)
    assert (keys["Categories"], keys["MimeType"]) == ("Game;", "text/plain;")
    gone = {"Path", "DBusActivatable", "Hidden", "NoDisplay", "Terminal", "URL", "X-KDE-SubstituteUID", "Actions"}
    assert not gone & keys.keys()
    assert all(owner in name for name in files(home))
    assert not any(".." in Path(name).parts for name in files(home))


@pytest.mark.parametrize(
    "entry",
    [b"", b"\0" * 100, b"[Desktop Entry]\n" + b"Name=x\n" * 50_000, b"[Desktop Entry]\nName=\xff\xfe\n", b"[", b"=\n",
     b"[Desktop Entry]\nName=" + b"n" * 500_000, b"[Desktop Entry]\nName=\\\nComment=\\x\\\\\nKeywords=;\n"],
    ids=["empty", "zeros", "long", "not-utf-8", "bracket", "equals", "long-line", "escapes"],
)  # fmt: skip
def test_an_entry_that_is_none(tmp_path: Path, entry: bytes) -> None:
    """The file's name is the app's, then."""
    app = as_type_2(menu_appdir(tmp_path, entry), tmp_path / "thing.AppImage")
    keys = entry_of(app)["Desktop Entry"]
    assert keys["Name"]
    assert len(keys["Name"]) <= 2000


@pytest.mark.parametrize(
    "content",
    [b"", b"text", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\xff" * 8, b"<html>", png(8)[:20]],
)
def test_icons_that_are_none(tmp_path: Path, home: Path, content: bytes) -> None:
    appdir = menu_appdir(tmp_path)
    for path in below(appdir):
        if path.suffix in (".png", ".svg"):
            path.write_bytes(content)
    entry_of(as_type_2(appdir, tmp_path / "app"))
    assert not [name for name in files(home) if name.startswith("icons")]


def test_an_icon_of_an_odd_size_goes_where_it_is_found(tmp_path: Path, home: Path) -> None:
    appdir = menu_appdir(tmp_path, ENTRY.replace("Icon=sample", "Icon=/odd/other.png"))
    write(appdir / "other.png", png(300))
    entry_of(as_type_2(appdir, tmp_path / "app"))
    assert [name for name in files(home) if name.startswith("icons/hicolor/256x256/apps/")]


@pytest.mark.parametrize(
    "xml",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa">]><mime-info>&a;</mime-info>', "<component/>", "<mime-info>", "", "text",
        "<mime-info>" + zlib.compress(b"").hex() * 200_000 + "</mime-info>",
    ],
    ids=["entity", "another", "open", "empty", "text", "long"],
)  # fmt: skip
def test_descriptions_that_are_none(tmp_path: Path, home: Path, xml: str) -> None:
    appdir = menu_appdir(tmp_path)
    write(appdir / "usr/share/mime/packages/sample.xml", xml)
    integrate(str(as_type_2(appdir, tmp_path / "app")))
    assert not [name for name in files(home) if name.startswith("mime")]
    assert "mime-info" in MIME


def test_who_asks_not_to_be_in_menus(tmp_path: Path) -> None:
    app = as_type_2(
        menu_appdir(tmp_path, ENTRY.replace("Terminal=", "X-AppImage-Integrate=false\nTerminal=")), tmp_path / "a"
    )
    with pytest.raises(NoMenu):
        integrate(str(app), asked=False)
    entry_of(app)


def test_what_is_no_app(tmp_path: Path, home: Path) -> None:
    with pytest.raises(BadImage):
        integrate(str(write(tmp_path / "text", "text")))
    with pytest.raises(OSError):
        integrate(str(tmp_path / "none"))
    assert files(home) == set()


@pytest.mark.parametrize("share", [0.3, 0.9, 0.995])
def test_what_is_half_there_is_refused(tmp_path: Path, home: Path, share: float) -> None:
    appdir = menu_appdir(tmp_path)
    write(appdir / "usr" / "noise", noise(1_000_000))
    app = as_type_2(appdir, tmp_path / "app")
    app.write_bytes(app.read_bytes()[: int(app.stat().st_size * share)])
    with pytest.raises(BadImage):
        integrate(str(app))
    assert files(home) == set()


def test_what_cannot_be_executed_is_started_all_the_same(app: Path) -> None:
    """Through tmprun; TryExec would hide it."""
    app.chmod(0o644)
    if not os.access(app, os.X_OK):
        assert "TryExec" not in entry_of(app)["Desktop Entry"]


def test_a_data_home_that_is_a_file(app: Path, home: Path) -> None:
    write(home, "")
    with pytest.raises(TmprunError, match="XDG_DATA_HOME"):
        integrate(str(app))
