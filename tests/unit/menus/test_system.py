"""What a system is told about tmprun, and what a thumbnail is made of."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from kit.apps import write
from kit.menu_apps import ENTRY, SVG, as_bundle, as_type_2, menu_appdir, png
from kit.surroundings import FOR_WANT_OF_A_RIGHT, unshare

from tmprun.errors import TmprunError
from tmprun.menus import system
from tmprun.menus.icon_file import RASTERIZERS, write_icon

ODD = "/opt/my tmprun/tmprun"


@pytest.mark.parametrize("program", ["tmprun", ODD])
def test_the_handler_is_valid(tmp_path: Path, program: str) -> None:
    file = write(tmp_path / "tmprun.desktop", system.handler(program))
    done = subprocess.run(["desktop-file-validate", file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    "before",
    [
        None,
        "",
        "[Added Associations]\nimage/png=gimp.desktop;\n",
        "[Default Applications]\nimage/png=gimp.desktop\napplication/vnd.appimage=other.desktop\n\n[Other]\n",
    ],
)
def test_the_default_is_ours_and_then_no_more(tmp_path: Path, before: str | None) -> None:
    home, config = tmp_path / "data", tmp_path / "config"
    if before is not None:
        write(config / "mimeapps.list", before)
    system.open_by_us(home, config, ODD)
    system.open_by_us(home, config, ODD)
    text = (config / "mimeapps.list").read_text()
    assert text.count("application/vnd.appimage=tmprun.desktop\n") == 1
    assert "other.desktop" not in text
    assert "gimp" in text or "gimp" not in (before or "")
    assert (home / "thumbnailers" / "tmprun.thumbnailer").exists()
    system.open_by_others(home, config)
    assert "tmprun" not in (config / "mimeapps.list").read_text()
    assert not (home / "applications" / "tmprun.desktop").exists()


def test_the_default_of_somebody_else_is_not_taken_away(tmp_path: Path) -> None:
    text = "[Default Applications]\napplication/vnd.appimage=other.desktop\n"
    write(tmp_path / "mimeapps.list", text)
    system.open_by_others(tmp_path, tmp_path)
    assert (tmp_path / "mimeapps.list").read_text() == text


def test_the_rule_for_the_kernel() -> None:
    assert system.binfmt("/bin/tmprun", 2, (6, 1)) == r":tmprun-appimage2:M:8:AI\x02::/bin/tmprun:P"
    assert system.binfmt("/bin/tmprun", 2, (5, 10)) == r":tmprun-appimage2:M:8:AI\x02::/bin/tmprun:"


def test_the_kernel_takes_it_and_gives_it_back(tmp_path: Path) -> None:
    """In a user namespace of its own (Linux 6.7), whose rules nobody else sees."""
    inside = [*unshare("--user", "--map-root-user", "--mount", "--propagation", "private"), "sh", "-ec"]
    mount = "mount -t binfmt_misc none /proc/sys/fs/binfmt_misc"
    if subprocess.run([*inside, mount], capture_output=True, check=False).returncode:
        pytest.skip(f"{FOR_WANT_OF_A_RIGHT}binfmt_misc in a user namespace")
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from pathlib import Path
from tmprun.menus import system
file, rules = Path("binfmt.d/tmprun.conf"), [system.binfmt("/bin/true", kind, (6, 1)) for kind in system.MAGIC]
there = lambda: sorted(p.name for p in system.KERNEL.iterdir() if p.name.startswith("tmprun"))
system.tell_kernel([], system.KERNEL, file)
system.tell_kernel(rules, system.KERNEL, file)
print(there(), len(file.read_text().splitlines()))
system.tell_kernel([], system.KERNEL, file)
print(there(), file.exists())
"""
    write(tmp_path / "code.py", code)
    done = subprocess.run(
        [*inside, f"{mount}; python3 code.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "['tmprun-appimage1', 'tmprun-appimage2'] 2\n[] False\n"


def test_where_the_kernel_may_not_be_told(tmp_path: Path) -> None:
    with pytest.raises(TmprunError, match="only root"):
        system.tell_kernel(["x"], tmp_path / "none", tmp_path / "binfmt.d" / "file")


def test_the_unit_starts_what_lies_in_the_users_own_folder(tmp_path: Path) -> None:
    """By its ExecStart and its PATH, as systemd does, for which %h is the home."""
    text = system.unit("tmprun").replace("%h", str(tmp_path))
    settings = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    write(tmp_path / ".local" / "bin" / "tmprun", '#!/bin/sh\necho "$@"\n', 0o755)
    environment = dict([settings["Environment"].split("=", 1)])
    done = subprocess.run(settings["ExecStart"].split(), env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"integrate --watch {tmp_path}/Applications\n"


# Icons


@pytest.mark.parametrize("make", [as_bundle, as_type_2])
@pytest.mark.parametrize(("size", "got"), [(16, 16), (20, 48), (128, 256), (256, 256)])
def test_an_icon_of_a_size(tmp_path: Path, make, size: int, got: int) -> None:  # type: ignore[no-untyped-def]
    app = make(menu_appdir(tmp_path), tmp_path / "app")
    write_icon(str(app), tmp_path / "out.png", size)
    assert (tmp_path / "out.png").read_bytes() == png(got)
    write_icon(str(app), tmp_path / "out.svg", size)
    assert (tmp_path / "out.svg").read_text() == SVG


def test_an_icon_that_is_only_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a program that stands for all that there are; where there is none, that is said."""
    appdir = menu_appdir(tmp_path, ENTRY.replace("Icon=sample", "Icon=drawn"))
    (appdir / ".DirIcon").unlink()
    write(appdir / "drawn.svg", SVG)
    app = as_type_2(appdir, tmp_path / "app")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(TmprunError, match="rsvg-convert"):
        write_icon(str(app), tmp_path / "out.png", 64)
    write(
        tmp_path / "bin" / RASTERIZERS[0][0], '#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\necho PNG >"$2"\n', 0o755
    )
    write_icon(str(app), tmp_path / "out.png", 64)
    assert (tmp_path / "out.png").read_text() == "PNG\n"


def test_no_icon(tmp_path: Path) -> None:
    appdir = menu_appdir(tmp_path, "[Desktop Entry]\nName=x\n")
    (appdir / ".DirIcon").unlink()
    app = as_type_2(appdir, tmp_path / "app")
    with pytest.raises(TmprunError, match="no icon"):
        write_icon(str(app), tmp_path / "out.png", 64)
