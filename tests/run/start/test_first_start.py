"""The first start of an AppImage: what is kept of it on disk, under which names, and when nothing is."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.apps import SETTLED
from kit.engine_index import engine_says
from kit.foreign_images import head, mksquashfs, sample_tree, write_image
from kit.harness import Harness, Result
from kit.places import VERSION, shelf
from kit.surroundings import needs_root
from kit.trees import below

from tmprun.images.identity import identity
from tmprun.index.decode import decode


@pytest.fixture(scope="module")
def payload(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    top = tmp_path_factory.mktemp("payload")
    return mksquashfs(sample_tree(top / "tree"), top / "squashfs", "-comp", "zstd")


@pytest.fixture
def image(harness: Harness, payload: bytes) -> Path:
    path = write_image(harness.base / "image", payload)
    time.sleep(SETTLED)
    return path


def build(harness: Harness, image: Path | str, **settings: str | None) -> Result:
    """Unpack the image, of which nobody may know anything yet."""
    return harness.run(harness.door, "@build", image, env={"TMPRUN_LOG": "debug"} | settings)


def read_anew(result: Result) -> bool:
    return b"nothing is known about this image yet" in result.stderr


def cache(harness: Harness) -> Path:
    return harness.base / "cache" / "tmprun" / VERSION


def kept(harness: Harness) -> list[str]:
    top = harness.base / "cache"
    return sorted(str(path.relative_to(top)) for path in below(top) if not path.is_dir() or path.is_symlink())


def index_of(harness: Harness, image: Path) -> bytes:
    table = engine_says(image, harness.door)
    assert isinstance(table, bytes), table
    return table


def test_what_is_kept(harness: Harness, image: Path) -> None:
    assert read_anew(build(harness, image))
    table = index_of(harness, image)
    sha256, name = decode(table).image_sha256.hex(), identity(image.stat())
    assert kept(harness) == [f"tmprun/{VERSION}/image/{sha256}.index", f"tmprun/{VERSION}/known/{name}"]
    assert (cache(harness) / "image" / f"{sha256}.index").read_bytes() == table
    assert os.readlink(cache(harness) / "known" / name) == f"{sha256}.index"
    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in below(cache(harness).parent)}
    assert {modes[each] for each in (VERSION, "image", "known")} == {0o700} and modes[f"{sha256}.index"] == 0o600


def test_a_fresh_file_is_not_remembered(harness: Harness, image: Path) -> None:
    os.utime(image)
    build(harness, image)
    assert [name.split("/")[2] for name in kept(harness)] == ["image"]


def test_another_image_of_the_same_size(harness: Harness, image: Path) -> None:
    build(harness, image)
    content = bytearray(image.read_bytes())
    content[1000] ^= 1  # in the head, where nothing is
    other = harness.base / "other"
    other.write_bytes(content)
    time.sleep(SETTLED)
    assert read_anew(build(harness, other))
    assert len(list((cache(harness) / "image").iterdir())) == 2


@pytest.mark.parametrize("damage", ["empty", "cut", "other", "nodes", "gone", "directory"])
def test_a_damaged_index_is_made_again(harness: Harness, image: Path, damage: str) -> None:
    build(harness, image)
    (index,) = (cache(harness) / "image").iterdir()
    first = index.read_bytes()
    contents = {
        "empty": b"",
        "cut": first[:-1],
        "other": first[:48] + bytes(8) + first[56:],
        "nodes": first[:700] + b"\xff" * 200 + first[900:],
    }
    index.unlink()
    if damage in contents:
        index.write_bytes(contents[damage])
    elif damage == "directory":
        index.mkdir()
    harness.clear()
    assert read_anew(build(harness, image))
    if damage != "directory":
        assert index.read_bytes() == first


def test_a_stale_identity_is_replaced(harness: Harness, image: Path) -> None:
    build(harness, image)
    (name,) = (cache(harness) / "known").iterdir()
    before = os.readlink(name)
    name.unlink()
    name.symlink_to("0" * 64 + ".index")
    harness.clear()
    assert read_anew(build(harness, image))
    assert os.readlink(name) == before


@pytest.mark.parametrize("text", ["/etc/passwd", "x.index", "0" * 64, "0" * 64 + ".tar", "../" + "0" * 61 + ".index"])
def test_an_identity_that_names_something_else(harness: Harness, image: Path, text: str) -> None:
    build(harness, image)
    (name,) = (cache(harness) / "known").iterdir()
    before = os.readlink(name)
    name.unlink()
    name.symlink_to(text)
    harness.clear()
    assert read_anew(build(harness, image))
    assert os.readlink(name) == before


@pytest.mark.parametrize("home", [None, "", "relative", "/", "/nowhere/at/all", "/proc"])
def test_no_place_for_it(harness: Harness, image: Path, home: str | None) -> None:
    assert build(harness, image, XDG_CACHE_HOME=None, HOME=home).stdout
    assert kept(harness) == []


def test_a_cache_in_the_home_directory(harness: Harness, image: Path) -> None:
    build(harness, image, XDG_CACHE_HOME=None)
    assert len(list(shelf(harness.base / "home" / ".cache" / "tmprun", "known").iterdir())) == 1


@pytest.mark.parametrize("planted", ["open", "symlink", "file", "fifo", "inner symlink"])
def test_a_planted_cache_is_not_used(harness: Harness, image: Path, planted: str) -> None:
    outside = harness.base / "outside"
    outside.mkdir(mode=0o700)
    ours = harness.base / "cache" / "tmprun"
    plant: dict[str, Callable[[], object]] = {
        "open": lambda: (ours.mkdir(), ours.chmod(0o777)),
        "symlink": lambda: ours.symlink_to(outside),
        "file": lambda: ours.write_text("x"),
        "fifo": lambda: os.mkfifo(ours),
        "inner symlink": lambda: (
            (ours / VERSION).mkdir(parents=True, mode=0o700),
            shelf(ours, "image").symlink_to(outside),
        ),
    }
    plant[planted]()
    if planted.startswith("inner"):
        ours.chmod(0o700)
    build(harness, image)
    assert not list(outside.iterdir())
    assert [name for name in kept(harness) if name.endswith(".index")] == []


@needs_root
def test_a_cache_of_another_user_is_not_used(harness: Harness, image: Path) -> None:
    ours = harness.base / "cache" / "tmprun"
    ours.mkdir(mode=0o700)
    os.chown(ours, 1000, 1000)
    build(harness, image)
    assert kept(harness) == []


@needs_root
def test_a_full_disk_cache(harness: Harness, image: Path) -> None:
    """One that has no room for the index: the start goes on, and nothing half-written stays."""
    build(harness, image)
    harness.clear()
    folder = cache(harness) / "image"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,mode=700", "none", folder], check=True)
    try:
        assert read_anew(build(harness, image))
        assert not list(folder.iterdir())
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_draft_that_somebody_left_behind_is_written_over(harness: Harness, image: Path) -> None:
    build(harness, image)
    (index,) = (cache(harness) / "image").iterdir()
    content = index.read_bytes()
    index.rename(f"{index}.tmp")
    Path(f"{index}.tmp").write_bytes(content + b"more than there will be")
    harness.clear()
    assert read_anew(build(harness, image))
    assert [path.read_bytes() for path in (cache(harness) / "image").iterdir()] == [content]


def test_an_image_for_another_machine_may_be_looked_at(harness: Harness, payload: bytes) -> None:
    image = write_image(harness.base / "image", payload, head(22, big=True))
    harness.refused(harness.run(harness.door, image, status=None), "is made for s390x, and this machine is")
    assert build(harness, image).stdout


def test_no_thread_to_be_had(in_memory: Harness, payload: bytes) -> None:
    """Then one does all: an administrator's limit of processes is no reason not to start."""
    large = write_image(in_memory.base / "large", payload + bytes(3 << 20))
    table = index_of(in_memory, large)
    user = ["setpriv", "--reuid=1000", "--clear-groups"] if os.geteuid() == 0 else []
    assert in_memory.run(*user, "prlimit", "--nproc=0", in_memory.door, "@index", large).stdout == table


def test_an_interrupt_ends_it_like_any_program(harness: Harness, payload: bytes) -> None:
    huge = write_image(harness.base / "huge", payload)
    os.truncate(huge, 60 << 30)
    process = harness.start(harness.door, huge)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    result = harness.finish(process, timeout=20)
    assert (result.status, result.stdout, result.stderr) == (-signal.SIGINT, b"", b"")


def test_the_debug_log_says_where_the_time_goes(harness: Harness, image: Path) -> None:
    said = build(harness, image).stderr.decode()
    for step in ("tables", "digests", "index"):
        assert f"us for {'its' if step == 'tables' else 'the'} {step}" in said
