"""Whom a path belongs to, as Python sees it; tests/run/store/test_chain.py has the engine, and another user at work."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tmprun.store import chain


def linked(place: Path) -> Path:
    (place / "link").symlink_to("../place/far")
    return place / "link"


def absolutely(place: Path) -> Path:
    (place / "link").symlink_to(place / "far")
    return place / "link"


FINE: dict[str, Callable[[Path], Path]] = {
    "directory": lambda place: place / "far",
    "dots and slashes": lambda place: Path(f"{place}/.//far/../far/"),
    "link": linked,
    "absolute link": absolutely,
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "place" / "far").mkdir(parents=True)
    return tmp_path / "place"


@pytest.mark.parametrize("case", FINE)
def test_leads_to_what_the_kernel_finds(place: Path, case: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    fd = chain.open_chain(str(FINE[case](place)))
    assert os.path.samestat(os.fstat(fd), (place / "far").stat())
    os.close(fd)
    assert len(os.listdir("/proc/self/fd")) == before


def test_circle(place: Path) -> None:
    (place / "link").symlink_to("link")
    with pytest.raises(PermissionError):
        chain.open_chain(str(place / "link"))


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o775])
def test_others_may_write(place: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    monkeypatch.setattr(chain, "_lines", lambda path: [])
    (place / "far").chmod(mode)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(PermissionError, match=r"others may write to \(far\)"):
        chain.open_chain(str(place / "far"))
    assert len(os.listdir("/proc/self/fd")) == before
    (place / "far").chmod(mode | 0o1000)
    os.close(chain.open_chain(str(place / "far")))


@pytest.mark.parametrize(
    ("users", "groups", "fine"),
    [
        (["joe:x:ME:4321"], ["joe:x:4321:"], True),
        (["joe:x:ME:4321", "root:x:0:0"], ["joe:x:4321:joe,root"], True),
        (["joe:x:ME:4321", "eve:x:77:4321"], ["joe:x:4321:"], False),
        (["joe:x:ME:4321", "eve:x:77:1"], ["joe:x:4321:joe,eve"], False),
        (["joe:x:ME:4321", "joe:x:77:1"], ["joe:x:4321:joe"], False),
        (["joe:x:ME:4321"], ["joe:x:4321:mallory"], False),
        (["joe:x:ME:4321"], ["root:x:0:"], False),
    ],
)
def test_group(monkeypatch: pytest.MonkeyPatch, users: list[str], groups: list[str], fine: bool) -> None:
    lists = {"/etc/passwd": users, "/etc/group": groups}
    text = {path: [line.replace("ME", str(os.geteuid())).encode() for line in lines] for path, lines in lists.items()}
    monkeypatch.setattr(chain, "_lines", lambda path: [line.split(b":") for line in text[path]])
    assert chain._is_ours_alone(4321) == fine


def test_nobody_is_a_user_like_any_other() -> None:
    if not chain._in_user_namespace():
        assert not chain._is_trusted(65534)
