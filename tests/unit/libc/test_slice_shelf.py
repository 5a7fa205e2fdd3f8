"""Where slices lie: `tmprun libc add`, `list` and `remove`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kit.slices import make_slice

from tmprun.cli.app import main
from tmprun.errors import TmprunError
from tmprun.libc import shelf


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slice") / "glibc"
    make_slice(path)
    return path


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(shelf, "SYSTEM", str(tmp_path / "system"))
    return tmp_path


def test_added_listed_removed(made: Path, places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["libc", "add", str(made)]) == 0
    target = places / "data" / "tmprun" / "libc" / "glibc.slice"
    assert target.read_bytes() == made.read_bytes() and target.stat().st_mode & 0o777 == 0o644
    assert main(["libc", "add", "--system", str(made)]) == 0
    capsys.readouterr()
    assert main(["libc", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [each["path"] for each in listed] == [str(target), str(places / "system" / "glibc.slice")]
    assert listed[0]["machine"] == "x86_64" and listed[0]["glibc"].startswith("2.") and not listed[0]["trouble"]
    assert main(["libc", "list"]) == 0 and str(target) in capsys.readouterr().out
    assert main(["libc", "remove", "glibc"]) == 0
    assert not target.exists() and len(shelf.slices()) == 1
    assert main(["libc", "remove", str(places / "system" / "glibc.slice")]) == 0
    assert shelf.slices() == [] and main(["libc", "remove", "glibc"]) == 127
    assert "is not added here" in capsys.readouterr().err


def test_what_is_no_slice_is_not_added(made: Path, places: Path) -> None:
    content = made.read_bytes()
    for bad in (b"", b"text", content[: len(content) // 2], content[:-1]):
        (places / "bad").write_bytes(bad)
        with pytest.raises(TmprunError, match="no slice"):
            shelf.add(str(places / "bad"))
    with pytest.raises(TmprunError, match="No such file"):
        shelf.add(str(places / "missing"))
    assert shelf.slices() == []


def test_adding_again_replaces_in_one_step(made: Path, places: Path) -> None:
    target = shelf.add(str(made))
    before = target.stat().st_ino
    assert shelf.add(str(made)) == target and target.stat().st_ino != before
    assert [path.name for path in target.parent.iterdir()] == ["glibc.slice"]


def test_without_a_home(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.delenv("HOME")
    assert shelf.places() == [shelf.SYSTEM]
    with pytest.raises(TmprunError, match="no home"):
        shelf.add(str(made))


def test_doctor_tells_of_slices(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = shelf.add(str(made))
    main(["doctor"])
    assert f"glibc {shelf.look(str(made)).glibc} in {target}" in capsys.readouterr().out
    target.write_bytes(b"")
    main(["doctor"])
    assert f"{target}: it is no slice, or not whole" in capsys.readouterr().out


def test_the_command_says_what_it_made(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["libc", "make", "-o", str(places / "x.slice"), "--level", "1"]) == 0
    assert "glibc 2." in capsys.readouterr().out
    assert main(["libc"]) == 127
