"""Odd and hostile archives: the right tree, or one clear line; never a file outside, or more than there is room for."""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from kit.archives import KINDS, TIME, member, tar, tree
from kit.surroundings import has_landlock
from kit.trees import below, snapshot

from tmprun.archives import child, confine, kinds, reading
from tmprun.archives.child import Say
from tmprun.archives.reading import Read
from tmprun.errors import BadImage, TmprunError


def unpack(path: Path, into: Path, **options: bool) -> Read:
    into.mkdir()
    with path.open("rb") as file:
        return reading.unpack(file.fileno(), kinds.kind_of(file.fileno(), path.name), str(into), **options)


def unpack_bytes(content: bytes, folder: Path, name: str = "a.tar") -> Read:
    archive = folder / name
    archive.write_bytes(content)
    return unpack(archive, folder / "out")


def contents(folder: Path) -> dict[bytes, bytes]:
    return {path: entry.content for path, entry in snapshot(folder / "out").items()}


LINK, HARD, DIR = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE

# What names nothing outside, or nothing that can be made, and what is said about it.
REFUSED = {
    "up": ([member("a/../../evil", b"x")], "leads out of it"),
    "up at once": ([member("../evil", b"x")], "leads out of it"),
    "a hard link up": ([member("a", kind=HARD, link="../../evil")], "leads out of it"),
    "through a link out": ([member("a", kind=LINK, link="/tmp"), member("a/evil", b"x")], "symlink"),
    "through a link up": ([member("a", kind=LINK, link=".."), member("a/evil", b"x")], "symlink"),
    "through two links": (
        [member("b", kind=LINK, link=".."), member("a", kind=LINK, link="b"), member("a/evil", b"x")],
        "symlink",
    ),
    "a hard link to nothing": ([member("a", kind=HARD, link="no/such")], "cannot be unpacked"),
    "a name too long": ([member("x" * 90 + "/" + "y" * 300, b"")], "File name too long"),
    "cut short": ([member("a", b"x", size=100_000)], "cut short"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_leads_out(tmp_path: Path, name: str) -> None:
    members, words = REFUSED[name]
    beside = tmp_path / "beside"
    beside.mkdir()
    with pytest.raises((TmprunError, OSError), match=words):
        unpack_bytes(tar(members), beside)
    assert {path.name for path in beside.iterdir()} == {"a.tar", "out"}
    assert not any(path.name == "evil" for path in (tmp_path, Path("/tmp")) for path in path.glob("evil"))


def test_absolute_names_are_below(tmp_path: Path) -> None:
    read = unpack_bytes(tar([member("/etc/evil", b"x"), member("b", kind=HARD, link="/etc/evil")]), tmp_path)
    assert contents(tmp_path) == {b"etc": b"", b"etc/evil": b"x", b"b": b"x"}
    assert read.notes == ["it has absolute names; they are taken as below the app's own directory"]


def test_what_comes_later_counts(tmp_path: Path) -> None:
    members = [member("a", b"old"), member("a", b"new"), member("l", kind=LINK, link="a"), member("l", b"a file")]
    unpack_bytes(tar(members), tmp_path)
    assert contents(tmp_path) == {b"a": b"new", b"l": b"a file"}


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    pax = tarfile.TarInfo("capable")
    pax.pax_headers, pax.mtime = {"SCHILY.xattr.user.note": "x"}, TIME
    members = [
        member("fifo", kind=tarfile.FIFOTYPE), member("null", kind=tarfile.CHRTYPE),
        member("sda", kind=tarfile.BLKTYPE), member("setuid", b"x", mode=0o4755), member("a", b"a"),
    ]  # fmt: skip
    read = unpack_bytes(tar([(pax, b"")], tarfile.PAX_FORMAT)[:-1024] + tar(members), tmp_path)
    assert set(contents(tmp_path)) == {b"capable", b"setuid", b"a"}
    assert sorted(read.lost) == [
        "block device: sda", "character device: null", "fifo: fifo", "set-user-id or set-group-id bit: setuid",
        "user.note: capable",
    ]  # fmt: skip
    assert (tmp_path / "out" / "setuid").stat().st_mode & 0o7777 == 0o755


def test_everything_can_be_read(tmp_path: Path) -> None:
    unpack_bytes(tar([member("d", kind=DIR, mode=0), member("d/f", b"x", mode=0)]), tmp_path)
    assert (tmp_path / "out" / "d").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "out" / "d" / "f").stat().st_mode & 0o777 == 0o600


def test_a_directory_that_is_not_named_has_the_latest_time(tmp_path: Path) -> None:
    unpack_bytes(tar([member("d/e/f", b"x")]), tmp_path)
    assert {int((tmp_path / "out" / name).stat().st_mtime) for name in ("", "d", "d/e", "d/e/f")} == {TIME}


def sparse(folder: Path) -> bytes:
    """As GNU tar makes it of a file that is mostly a hole."""
    with (folder / "sparse").open("wb") as file:
        file.truncate(10 << 20)
        file.seek(5 << 20)
        file.write(b"data")
    os.system(f"tar -C {folder} -cSf {folder}/s.tar sparse")
    return (folder / "s.tar").read_bytes()


def test_sparse(tmp_path: Path) -> None:
    content = sparse(tmp_path)
    assert len(content) < 100_000
    unpack_bytes(content, tmp_path)
    made = (tmp_path / "out" / "sparse").read_bytes()
    assert len(made) == 10 << 20 and made.strip(b"\0") == b"data"


FRAMES: dict[str, Callable[[bytes], bytes]] = {
    "two frames": lambda raw: zstandard.compress(raw[:700]) + zstandard.compress(raw[700:]),
    "a skippable one first": lambda raw: b"\x50\x2a\x4d\x18\x04\0\0\0skip" + zstandard.compress(raw),
    "skippable ones between": lambda raw: (
        b"\x5f\x2a\x4d\x18\0\0\0\0\x51\x2a\x4d\x18\x01\0\0\0x" + zstandard.compress(raw[:512])
        + b"\x5e\x2a\x4d\x18\x02\0\0\0xy" + zstandard.compress(raw[512:])
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
def test_zstd_frames(tmp_path: Path, name: str) -> None:
    raw = tar([member("a", b"content" * 500), member("b", b"b")])
    unpack_bytes(FRAMES[name](raw), tmp_path, "a.tar.zst")
    assert contents(tmp_path) == {b"a": b"content" * 500, b"b": b"b"}


@pytest.mark.parametrize("name", ["tar.gz", "tar.xz", "tar.zst", "tar.bz2", "zip", "7z", "rpm", "deb", "AppImage"])
def test_cut_and_flipped(tmp_path: Path, name: str) -> None:
    """A tree may only come of what is whole; else one line says that it is not."""
    whole = KINDS[name](tmp_path / f"app.{name}", tree(tmp_path)).read_bytes()
    quiet, said = 0, []
    for number, share in enumerate((0.05, 0.3, 0.6, 0.9, 0.99)):
        at = int(len(whole) * share)
        for what, content in (("cut", whole[:at]), ("flip", whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])):
            folder = tmp_path / f"{what}{number}"
            folder.mkdir()
            try:
                unpack_bytes(content, folder, f"app.{name}")
                quiet += what == "cut"
            except (TmprunError, OSError) as error:
                said.append(str(error))
    assert said and not any("\n" in line for line in said)
    assert quiet == 0 or name in ("AppImage", "rpm")  # what ends with padding


def test_a_bomb(tmp_path: Path) -> None:
    """Some KB that are 3 GB of zeros must not become these."""
    info, _ = member("zeros")
    info.size = 3 << 30
    content = zstandard.compress(info.tobuf()) + 80 * zstandard.compress(bytes(1 << 24))
    with pytest.raises(BadImage, match="bomb"):
        unpack_bytes(content, tmp_path, "a.tar.zst")


def endless_iso(folder: Path) -> bytes:
    """An image whose Rock Ridge continuation names itself (as CVE-2016-8687's and others' test files do)."""
    raw = bytearray(KINDS["AppImage"](folder / "a.AppImage", tree(folder)).read_bytes())
    at = 0
    found = 0
    while (at := raw.find(b"CE\x1c\x01", at + 1)) > 0:
        block = int.from_bytes(raw[at + 4 : at + 8], "little")
        offset = int.from_bytes(raw[at + 12 : at + 16], "little")
        area = 2048 * block + offset
        raw[area : area + 28] = raw[at : at + 28]
        found += 1
    assert found
    return bytes(raw)


def test_a_loop_of_continuations(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with pytest.raises(BadImage, match=r"takes longer|more memory"):
        unpack_bytes(endless_iso(tmp_path), tmp_path, "b.AppImage")
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert used < max(before + 1, 600_000)  # KB; this process's own, which it was forked from, counts


# What the child may do.


def tell(work: Callable[[Say], None], folder: Path) -> list[dict[str, object]]:
    return list(child.messages(work, str(folder), 0))


def test_a_crash_is_one_line(tmp_path: Path) -> None:
    def die(number: int) -> None:
        faulthandler.disable()  # pytest's
        os.kill(os.getpid(), number)

    for number, words in ((signal.SIGSEGV, "ended with SIGSEGV"), (signal.SIGXCPU, "takes longer")):
        with pytest.raises(BadImage, match=words):
            tell(lambda say, number=number: die(number), tmp_path)  # type: ignore[misc]


def test_memory_has_an_end(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="memory"):
        tell(lambda say: say({"size": len(bytearray(3 << 30))}), tmp_path)


def test_a_bug_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="ZeroDivisionError"):
        tell(lambda say: say({"x": 1 // 0}), tmp_path)


def test_no_child_is_left(tmp_path: Path) -> None:
    for _ in child.messages(lambda say: [say({"n": n}) for n in range(10**6)] and None, str(tmp_path), 0):
        break
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_nothing_outside_can_be_written_read_or_started(tmp_path: Path) -> None:
    """Also when libarchive is made to do whatever somebody wants."""
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("x")

    def work(say: Say) -> None:
        denied = []
        for name, attempt in {
            "write": (outside / "new").touch,
            "read": (outside / "secret").read_bytes,
            "remove": lambda: os.unlink(outside / "secret"),
            "start": lambda: os.execv("/bin/true", ["true"]),
        }.items():
            try:
                attempt()
            except PermissionError:
                denied.append(name)
        (inside / "fine").write_text("x")
        say({"denied": denied, "core": resource.getrlimit(resource.RLIMIT_CORE)[0]})

    if not has_landlock():
        return
    assert tell(work, inside) == [{"denied": ["write", "read", "remove", "start"], "core": 0}]
    assert (inside / "fine").exists() and [path.name for path in outside.iterdir()] == ["secret"]


def test_a_fenced_program_writes_nowhere_else(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    pid = os.fork()
    if pid == 0:
        try:
            confine.fence(str(inside))
            os.execv("/bin/sh", ["sh", "-c", f"echo x > {inside}/a; echo x > {tmp_path}/b; echo x > /dev/null; exit 3"])
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    assert not has_landlock() or {path.name for path in below(tmp_path)} == {"in", "a"}
