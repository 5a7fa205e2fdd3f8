"""Images that unpack themselves: which flag they are asked with, what they may do, and for how long."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest
from kit.apps import SETTLED
from kit.harness import wait_until
from kit.own_runtimes import GOOD, KEEPS_AN_ATTRIBUTE, unpacks_itself
from kit.places import shelf

from tmprun.archives import kinds
from tmprun.convert import convert, own_runtime
from tmprun.errors import UnsupportedImage
from tmprun.images.image import Image


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return shelf(tmp_path / "cache" / "tmprun", "scratch")


def prepare(path: Path) -> list[str]:
    """Have it unpack itself: the names in its AppDir."""
    with Image(str(path)) as image, convert.prepared(image, kinds.kind_of(image.fd)) as made:
        return sorted(os.listdir(made.path))


def flag_of(path: Path) -> bytes | None:
    with path.open("rb") as file:
        return own_runtime.flag_of(file.fileno(), kinds.kind_of(file.fileno()).payload)


def test_flags_that_stand_in_it(tmp_path: Path) -> None:
    assert flag_of(unpacks_itself(tmp_path)) == b"--appimage-extract"
    assert flag_of(unpacks_itself(tmp_path, sign="--pbundle_extract")) == b"--pbundle_extract"


def test_a_flag_that_is_put_together(tmp_path: Path) -> None:
    """uruntime's; and it works."""
    image = unpacks_itself(tmp_path, sign="APPIMAGE")
    assert b"appimage-extract" not in image.read_bytes()
    assert flag_of(image) == b"--appimage-extract" and prepare(image) == ["AppRun"]


def test_a_payload_of_nobody_and_no_flag(tmp_path: Path) -> None:
    """Such a program is not executed to see what it does with a flag."""
    assert flag_of(unpacks_itself(tmp_path, sign="APPIMAGE", payload=b"unknown!" * 100)) is None


def test_a_run_image(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedImage, match=r"is a RunImage.*start it without tmprun"):
        prepare(unpacks_itself(tmp_path, f"touch {tmp_path}/executed; {GOOD}", sign="RUNIMAGE"))
    assert not (tmp_path / "executed").exists()


def test_one_that_writes_an_attribute_to_itself(tmp_path: Path) -> None:
    """AppBundle's does, and would change the file that is being read."""
    probe = tmp_path / "probe"
    probe.touch()
    try:
        os.setxattr(probe, "user.RuntimeConfig", b"x")
    except OSError as error:
        assert error.errno == errno.ENOTSUP  # noqa: PT017 - then it could not do it, either
        return
    image = unpacks_itself(tmp_path, sign="--pbundle_extract --appimage-extract", first=KEEPS_AN_ATTRIBUTE)
    time.sleep(SETTLED)  # one that may still be written gets a copy anyway
    before = image.stat()
    assert prepare(image) == ["AppRun"] and image.stat().st_ctime_ns == before.st_ctime_ns


HANGS = {"sleeps": "sleep 1000", "computes": "while :; do :; done"}
LIMITS = {"sleeps": 0.5, "computes": 1.5}


@pytest.mark.parametrize("name", HANGS)
def test_one_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path, name: str) -> None:
    """It ends by one line, soon after the limit, and nothing is left of it."""
    monkeypatch.setattr(own_runtime, "SILENCE", 0.5)
    monkeypatch.setattr(own_runtime, "COMPUTES", 3)
    image = unpacks_itself(tmp_path, f"mkdir a; {HANGS[name]}")
    begun = time.monotonic()
    with pytest.raises(UnsupportedImage, match=r"its own program hangs when it unpacks \(.* so far\); get another"):
        prepare(image)
    assert LIMITS[name] < time.monotonic() - begun < LIMITS[name] + 10
    assert os.listdir(cache) == []
    here = f"{cache}/".encode()
    # A killed one may need its time until it is none.
    wait_until(lambda: not [each for each in Path("/proc").glob("[0-9]*/environ") if here in _content(each)])


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_one_that_is_slow_and_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_runtime, "SILENCE", 0.6)
    slow = "; ".join(f"head -c 9000 /dev/zero > squashfs-root/{n}; sleep 0.3" for n in range(5))
    image = unpacks_itself(tmp_path, f"{GOOD.replace('AppDir', 'squashfs-root').rpartition(' && ')[0]}; {slow}")
    assert prepare(image) == ["0", "1", "2", "3", "4", "AppRun"]
