"""What is started of an archive, and what is made of it so that it starts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from kit.apps import write

from tmprun.archives import appdir, entry
from tmprun.archives.entry import Unclear
from tmprun.archives.tree import on_disk
from tmprun.errors import UnsupportedImage

SCRIPT = '#!/bin/sh\necho "$0" "$@"\n'


def made(base: Path, *paths: str, desktop: dict[str, str] | None = None) -> Path:
    """A directory with programs, and desktop entries by path with the given lines."""
    for path in paths:
        write(base / path, SCRIPT, 0o755)
    for path, lines in (desktop or {}).items():
        write(base / path, f"[Desktop Entry]\nType=Application\nName=X\n{lines}\n")
    return base


def starts(base: Path, wanted: str = "", *names: str) -> str:
    found = entry.find_entry(on_disk(str(base)), wanted, names)
    return f"{found.top.decode()}:{found.path.decode()}"


def test_app_run_comes_first(tmp_path: Path) -> None:
    made(tmp_path, "AppRun", "bin/a", "bin/b", desktop={"x.desktop": "Exec=a"})
    assert starts(tmp_path) == ":AppRun"


def test_the_one_directory_is_the_appdir(tmp_path: Path) -> None:
    assert starts(made(tmp_path, "app-1.0/bin/a")) == "app-1.0:bin/a"


def test_a_layout_is_no_such_directory(tmp_path: Path) -> None:
    assert starts(made(tmp_path, "usr/bin/a")) == ":usr/bin/a"


@pytest.mark.parametrize("line", ["a", "/usr/bin/a %F", "env X=1 a", "a --new %u"])
def test_the_desktop_entry_says(tmp_path: Path, line: str) -> None:
    made(tmp_path, "usr/bin/a", "usr/bin/b", desktop={"usr/share/applications/a.desktop": f"Exec={line}"})
    assert starts(tmp_path) == ":usr/bin/a"


def test_arguments_of_the_desktop_entry_are_given(tmp_path: Path) -> None:
    made(tmp_path, "bin/a", "bin/b", desktop={"a.desktop": 'Exec=a --class "two words" %U'})
    found = entry.find_entry(on_disk(str(tmp_path)))
    assert found.arguments == ("--class", "two words")
    top, _, _ = appdir.make(str(tmp_path))
    said = subprocess.run([f"{top}/AppRun", "x"], capture_output=True, text=True, check=True).stdout
    assert said == f"{top}/bin/a --class two words x\n"


def test_of_several_desktop_entries(tmp_path: Path) -> None:
    folder = "usr/share/applications"
    entries = {f"{folder}/{name}.desktop": f"Exec={name}" for name in "ab"}
    made(tmp_path, "usr/bin/a", "usr/bin/b", desktop=entries)
    assert starts(tmp_path, "", "b") == ":usr/bin/b"
    with pytest.raises(Unclear, match="--entry: usr/bin/a, usr/bin/b"):
        starts(tmp_path)
    made(tmp_path, desktop={f"{folder}/b.desktop": "Exec=b\nNoDisplay=true"})
    assert starts(tmp_path) == ":usr/bin/a"


def test_the_one_program(tmp_path: Path) -> None:
    assert starts(made(tmp_path, "a/bin/x", "a/lib/y.sh")) == "a:bin/x"


def test_other_names_of_a_program_do_not_count(tmp_path: Path) -> None:
    made(tmp_path, "bin/x")
    (tmp_path / "bin" / "y").symlink_to("x")
    assert starts(tmp_path) == ":bin/x"


@pytest.mark.parametrize("name", ["node-v20.1-linux-x64", "node", "node_20"])
def test_a_program_that_is_called_as_the_archive(tmp_path: Path, name: str) -> None:
    made(tmp_path, "bin/node", "bin/npm", "bin/npx")
    assert starts(tmp_path, "", name) == ":bin/node"


@pytest.mark.parametrize("name", ["nodes-1.0", "other"])
def test_a_program_that_is_called_otherwise(tmp_path: Path, name: str) -> None:
    made(tmp_path, "bin/node", "bin/npm")
    with pytest.raises(Unclear, match="bin/node, bin/npm"):
        starts(tmp_path, "", name)


def test_asked_for(tmp_path: Path) -> None:
    made(tmp_path, "x/bin/a", "x/bin/b", "x/c")
    (tmp_path / "x" / "text").write_text("x")
    for wanted in ("bin/b", "/bin/b", "./bin/b", "x/bin/b"):
        assert starts(tmp_path, wanted) == "x:bin/b"
    with pytest.raises(UnsupportedImage, match="is not in it"):
        starts(tmp_path, "bin/c")
    with pytest.raises(UnsupportedImage, match="text: is no program"):
        starts(tmp_path, "text")


def test_nothing_to_start(tmp_path: Path) -> None:
    write(tmp_path / "a" / "text", b"x")
    with pytest.raises(Unclear, match="no program"):
        starts(tmp_path)


def test_an_archive_from_windows_knows_no_x_bit(tmp_path: Path) -> None:
    write(tmp_path / "run.sh", SCRIPT)
    write(tmp_path / "text", "x")
    _, found, notes = appdir.make(str(tmp_path))
    assert found.path == b"run.sh" and "may be executed" in notes[0]
    assert (tmp_path / "run.sh").stat().st_mode & 0o777 == 0o755 and not (tmp_path / "text").stat().st_mode & 0o100


def test_links_of_a_package(tmp_path: Path) -> None:
    made(tmp_path, "opt/app/app")
    (tmp_path / "usr" / "bin").mkdir(parents=True)
    (tmp_path / "usr" / "bin" / "app").symlink_to("/opt/app/app")
    (tmp_path / "usr" / "bin" / "sh").symlink_to("/bin/sh")
    top, found, notes = appdir.make(str(tmp_path), package=True, names=("app",), time=5)
    assert os.readlink(tmp_path / "usr" / "bin" / "app") == "../../opt/app/app"
    assert found.path == b"usr/bin/app" and notes == [
        "1 absolute links lead to what it does not bring: usr/bin/sh -> /bin/sh"
    ]
    assert subprocess.run([f"{top}/AppRun"], capture_output=True, check=True).stdout
    assert int((tmp_path / "AppRun").stat().st_mtime) == 5


def test_where_a_package_looks_for_its_own(tmp_path: Path) -> None:
    write(tmp_path / "usr/bin/app", '#!/bin/sh\necho "$LD_LIBRARY_PATH|$XDG_DATA_DIRS|${PATH%%:*}"\n', 0o755)
    write(tmp_path / "usr/lib/x86_64-linux-gnu/libx.so.1", b"x")
    write(tmp_path / "usr/share/app/x", b"x")
    top, _, _ = appdir.make(str(tmp_path), package=True)
    said = subprocess.run([f"{top}/AppRun"], capture_output=True, text=True, check=True, env={"PATH": "/bin"}).stdout
    own = f"{top}/usr"
    assert said == f"{own}/lib/x86_64-linux-gnu|{own}/share:/usr/local/share:/usr/share|{own}/bin\n"


def test_desktop_entry_and_icon_are_at_the_top(tmp_path: Path) -> None:
    made(tmp_path, "usr/bin/a", desktop={"usr/share/applications/a.desktop": "Exec=a\nIcon=a"})
    write(tmp_path / "usr/share/icons/hicolor/64x64/apps/a.png", b"large" * 10)
    write(tmp_path / "usr/share/icons/hicolor/16x16/apps/a.png", b"small")
    appdir.make(str(tmp_path), package=True)
    assert os.readlink(tmp_path / "a.desktop") == "usr/share/applications/a.desktop"
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / ".DirIcon").read_bytes() == b"large" * 10


@pytest.mark.parametrize("odd", ["with space", "quo'te", "dol$lar", "-dash"])
def test_odd_names(tmp_path: Path, odd: str) -> None:
    top, _, _ = appdir.make(str(made(tmp_path, f"bin/{odd}")))
    assert subprocess.run([f"{top}/AppRun", "a b"], capture_output=True, text=True, check=True).stdout == (
        f"{top}/bin/{odd} a b\n"
    )
