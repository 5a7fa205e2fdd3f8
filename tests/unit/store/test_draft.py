"""Files written beside their place under a lock: `tmprun.store.draft`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tmprun.store import draft
from tmprun.store.draft import begin

REPO = str(Path(__file__).resolve().parents[3])
HOLD = f"""
import os, sys, time
sys.path.insert(0, {REPO!r})
from tmprun.store.draft import begin
held = begin(os.open(sys.argv[1], os.O_RDONLY), "name")
os.write(held.fd, b"half of")
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "folder").mkdir()
    fd = os.open(tmp_path / "folder", os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.fixture
def holder(tmp_path: Path, folder: int) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that is writing the file."""
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "folder"], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def write(folder: int, content: bytes) -> bool:
    held = begin(folder, "name")
    if held is None:
        return False
    with held:
        os.write(held.fd, content)
        held.publish()
    return True


def test_published(tmp_path: Path, folder: int) -> None:
    assert write(folder, b"one")
    assert write(folder, b"two")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["name"]
    assert (tmp_path / "folder" / "name").read_bytes() == b"two"


def test_unpublished_leaves_nothing(tmp_path: Path, folder: int) -> None:
    held = begin(folder, "name")
    assert held
    with held:
        os.write(held.fd, b"half")
    assert not list((tmp_path / "folder").iterdir())


def test_symlink_in_its_place_is_not_followed(tmp_path: Path, folder: int) -> None:
    (tmp_path / "outside").write_bytes(b"untouched")
    (tmp_path / "folder" / "name.tmp").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError):
        begin(folder, "name")
    assert (tmp_path / "outside").read_bytes() == b"untouched"


def test_one_writer_at_a_time(folder: int, holder: subprocess.Popen[bytes]) -> None:
    assert begin(folder, "name") is None


def test_killed_writer_is_no_hindrance(tmp_path: Path, folder: int, holder: subprocess.Popen[bytes]) -> None:
    holder.kill()
    holder.wait()
    assert (tmp_path / "folder" / "name.tmp").read_bytes() == b"half of"
    assert write(folder, b"all")
    assert (tmp_path / "folder" / "name").read_bytes() == b"all"
    assert not (tmp_path / "folder" / "name.tmp").exists()


def test_lock_on_what_was_published_meanwhile_is_none(
    tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B opens NAME.tmp, A publishes it, B gets the lock: B must not write into the published file."""
    held = begin(folder, "name")
    assert held
    lock = draft._lock_now
    published: list[int] = []

    def late(fd: int) -> bool:
        if not published:
            published.append(os.fstat(held.fd).st_ino)
            with held:
                os.write(held.fd, b"from A")
                held.publish()
            published.append(os.open("name", os.O_RDONLY, dir_fd=folder))
        return lock(fd)

    monkeypatch.setattr(draft, "_lock_now", late)
    assert write(folder, b"from B")
    inode, copy = published
    assert os.pread(copy, 100, 0) == b"from A"
    os.close(copy)
    assert (tmp_path / "folder" / "name").read_bytes() == b"from B"
    assert (tmp_path / "folder" / "name").stat().st_ino != inode
