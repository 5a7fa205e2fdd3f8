"""Packing real AppDirs: what comes out, as zstd, GNU tar, bsdtar and libarchive read it, and the same bytes always."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.bundle_reader import Bundle
from kit.packing import EPOCH, MIB, archived, payload, quickly, refused, umask
from kit.trees import below, snapshot

from tmprun.index.rules import DIRECTORY, FILE, HARD_LINK, SYMLINK
from tmprun.pack.pack import pack

# The tree that comes out


def strange(top: Path) -> None:
    """Everything that an archive may get wrong."""
    folder = os.fsencode(top)

    def file(name: bytes, content: bytes = b"x", mtime: int = EPOCH) -> bytes:
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as handle:
            handle.write(content)
        os.utime(path, (mtime, mtime))
        return path

    for name in (
        b" ",
        b"a b",
        b"line\nbreak",
        b"\xff\xfe not UTF-8",
        "ä".encode(),
        b"-rf",
        b"back\\slash",
        b"q'\"",
        b"~",
        b"*",
    ):
        file(b"names/" + name, name)
    file(b"names/" + b"n" * 255)
    file(b"long/" + b"/".join([b"component"] * 12) + b"/more than 100 bytes")
    file(b"longer/" + b"/".join([b"c" * 200] * 5) + b"/more than 1000 bytes")
    file(b"exactly/" + b"n" * 92, b"a path of 100 bytes")
    file(b"sizes/empty", b"")
    file(b"sizes/block", bytes(512))
    file(b"sizes/large", os.urandom(3 * MIB + 5))
    file(b"sizes/zeros", bytes(2 * MIB))
    file(b"times/before 1970", mtime=-86_400)
    file(b"times/1970", mtime=0)
    file(b"times/after 2106", mtime=(1 << 32) + 5)
    program = file(b"usr/bin/program")
    os.chmod(program, 0o755)
    os.makedirs(folder + b"/empty/directory")
    os.link(program, folder + b"/usr/bin/another name")
    os.link(program, folder + b"/link from an earlier directory")
    for name, target in {
        b"short": b"../AppRun",
        b"long": b"t/" * 100,
        b"longest": b"x" * 4095,
        b"odd": b"\xff\n ",
    }.items():
        os.makedirs(folder + b"/symlinks", exist_ok=True)
        os.symlink(target, folder + b"/symlinks/" + name)
        os.utime(folder + b"/symlinks/" + name, (EPOCH, EPOCH), follow_symlinks=False)
    for path, _, _ in os.walk(folder, topdown=False):
        os.chmod(path, 0o755)
        os.utime(path, (EPOCH + 1, EPOCH + 1))


EXTRACTORS = {
    "zstd and GNU tar": "{payload} | zstd -dc | tar -xp",
    "zstd and bsdtar": "{payload} | zstd -dc | bsdtar -xpf -",
    "bsdtar alone": "{payload} | bsdtar -xpf -",
    "libarchive for Python": "{payload} >../payload; {python} -c '"
    'import libarchive.extract as e; e.extract_file("../payload", e.EXTRACT_PERM | e.EXTRACT_TIME)\'',
}


@pytest.mark.parametrize("tool", EXTRACTORS)
def test_other_tools_extract_the_same_tree(tool: str, appdir: Path, out: Path, tmp_path: Path) -> None:
    strange(appdir)
    quickly(appdir, out)
    into = tmp_path / "extracted"
    into.mkdir()
    command = EXTRACTORS[tool].format(payload=payload(out), python=sys.executable)
    subprocess.run(["bash", "-ec", f"umask 022; set -o pipefail; {command}"], cwd=into, check=True)
    assert snapshot(into) == archived(snapshot(appdir))


def test_the_index_says_the_same_tree(appdir: Path, out: Path) -> None:
    strange(appdir)
    report = quickly(appdir, out)
    bundle, found = Bundle(out), snapshot(appdir)
    kinds = {DIRECTORY: 0o040000, FILE: 0o100000, HARD_LINK: 0o100000, SYMLINK: 0o120000}
    assert set(bundle.by_path) == {b"", *found}
    for path, entry in found.items():
        node = bundle.by_path[path]
        assert node.mtime == entry.mtime
        assert kinds[node.kind] | (0 if node.kind == SYMLINK else node.mode) == entry.mode
        if node.kind in (FILE, HARD_LINK):
            assert bundle.content(node) == entry.content
        else:
            assert node.target == entry.content
    assert report.key == bundle.footer.key and report.size == out.stat().st_size
    assert report.files + report.directories + report.symlinks + report.hard_links == len(found)
    assert (report.hard_links, report.symlinks) == (2, 4)


def test_of_hard_links_the_first_name_is_the_file(appdir: Path, out: Path) -> None:
    (appdir / "z").write_text("content")
    for name in ("b", "a/file", "a.file"):
        (appdir / name).parent.mkdir(exist_ok=True)
        os.link(appdir / "z", appdir / name)
    quickly(appdir, out)
    nodes = Bundle(out).by_path
    assert nodes[b"a.file"].kind == FILE  # "." sorts before "/"
    assert all(nodes[name].link is nodes[b"a.file"] for name in (b"a/file", b"b", b"z"))


def test_modes_and_owners_are_made_the_same(appdir: Path, out: Path) -> None:
    modes = {0o700: 0o755, 0o500: 0o755, 0o4711: 0o755, 0o600: 0o644, 0o666: 0o644, 0o455: 0o644, 0o2775: 0o755}
    for mode in modes:
        path = appdir / f"{mode:o}"
        path.write_text("")
        path.chmod(mode)
    (appdir / "directory").mkdir(mode=0o700)
    (appdir / "directory").chmod(0o1777)
    quickly(appdir, out)
    nodes = Bundle(out).by_path
    assert {int(name, 8): nodes[name].mode for name in nodes if name.isdigit()} == modes
    assert nodes[b"directory"].mode == nodes[b""].mode == 0o755


def test_times_are_the_files_own_whole_seconds(appdir: Path, out: Path) -> None:
    os.utime(appdir / "AppRun", ns=(0, 1_234_567_890_999_999_999))
    quickly(appdir, out)
    assert Bundle(out).by_path[b"AppRun"].mtime == 1_234_567_890


# The same bytes for everybody


def build_in_some_order(folder: Path, order: Callable[[list[str]], list[str]], mtime: int, owner: int) -> Path:
    """The same AppDir, made by somebody else on another day."""
    names = [f"usr/{part}/{number:03d}" for part in ("share", "bin", "lib") for number in range(40)]
    folder.mkdir()
    for name in order(["AppRun", *names]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n# {name}\n" * 50)
        path.chmod(path.stat().st_mode | (0o100 if "bin" in name or name == "AppRun" else 0))
    for name in order(["usr/bin/000", "usr/link"]):  # whichever is made first
        if not (folder / name).exists():
            os.link(folder / "usr/bin/000", folder / name)
    (folder / "link").symlink_to("usr/link")
    for at, path in enumerate([folder, *below(folder)]):
        os.utime(path, (mtime + at, mtime + at), follow_symlinks=False)
        if os.geteuid() == 0:
            os.chown(path, owner, owner, follow_symlinks=False)
    return folder


def test_two_packers_make_the_same_bytes(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))
    with umask(0o022):
        one = build_in_some_order(tmp_path / "one", sorted, 1_600_000_000, 0)
    with umask(0o077):
        two = build_in_some_order(tmp_path / "another", lambda names: sorted(names)[::-1], 1_500_000_000, 1234)
    made = []
    for folder, threads in ((one, 1), (two, 3)):
        quickly(folder, out, threads=threads)
        made.append(out.read_bytes())
    assert made[0] == made[1]
    assert {node.mtime for node in Bundle(out).index.nodes} == {EPOCH}


def test_without_an_epoch_the_times_make_a_difference(appdir: Path, out: Path) -> None:
    keys = set()
    for mtime in (1, 2):
        os.utime(appdir / "AppRun", (mtime, mtime))
        keys.add(quickly(appdir, out).key)
    assert len(keys) == 2


@pytest.mark.parametrize("text", ["yesterday", "-1", "1.5", "1" * 30, "\u0661"])
def test_an_epoch_that_is_no_number_is_refused(
    text: str, appdir: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    assert "SOURCE_DATE_EPOCH" in refused(appdir, out)[0]


# Writing


def test_the_bundle_is_executable_as_far_as_the_umask_says(appdir: Path, out: Path) -> None:
    for mask in (0o022, 0o077, 0o027):
        with umask(mask):
            quickly(appdir, out)
        assert out.stat().st_mode & 0o7777 == 0o755 & ~mask
    assert list(out.parent.iterdir()) == [out]


def test_an_output_behind_a_symlink_is_written_there(appdir: Path, out: Path, tmp_path: Path) -> None:
    out.symlink_to(tmp_path / "real")
    report = quickly(appdir, out)
    assert out.is_symlink() and report.path == tmp_path / "real" == out.resolve()
    assert Bundle(tmp_path / "real").footer.key == report.key


def interrupt(done: int, total: int) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_leaves_what_was_there(appdir: Path, out: Path) -> None:
    for number in range(20):
        (appdir / str(number)).write_bytes(os.urandom(MIB))
    out.write_text("the bundle of yesterday")
    with pytest.raises(KeyboardInterrupt):
        quickly(appdir, out, progress=interrupt)
    assert out.read_text() == "the bundle of yesterday" and list(out.parent.iterdir()) == [out]


def test_a_failed_write_leaves_nothing_and_names_the_output(appdir: Path, out: Path) -> None:
    (appdir / "large").write_bytes(os.urandom(4 * MIB))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, hard))  # Python ignores SIGXFSZ: the write fails
    try:
        (line,) = refused(appdir, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert line == f"{out}: {os.strerror(errno.EFBIG)}"


def test_progress_ends_at_the_size_of_the_content(appdir: Path, out: Path) -> None:
    (appdir / "data").write_bytes(os.urandom(3 * MIB))
    told: list[tuple[int, int]] = []
    report = quickly(appdir, out, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (report.content, report.content) and len(told) > 3


def test_the_default_level_is_a_high_one(appdir: Path, out: Path) -> None:
    shutil.copy("/bin/bash", appdir / "data")
    low = quickly(appdir, out, level=3).size
    assert pack(appdir, out).size < low * 0.95
