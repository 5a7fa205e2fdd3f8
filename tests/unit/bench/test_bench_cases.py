"""The benchmark's subjects, corpora and cases: that each does what it says, and that none takes a wrong answer."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tmprun_bench import subjects
from tmprun_bench.cases import CASES, summary_of
from tmprun_bench.cases.ci import ci
from tmprun_bench.cases.mounted_tree import _same_files
from tmprun_bench.cases.packing import check_of
from tmprun_bench.corpora import app as apps
from tmprun_bench.corpora import erofs, exit0, libreoffice, synthetic, tarball, worker
from tmprun_bench.corpora.app import App, prints
from tmprun_bench.corpora.images import Packing, append_squashfs, offset, squashfs_options
from tmprun_bench.errors import Unable, WrongAnswer
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import Subject, measure
from tmprun_bench.measure.installation import installed
from tmprun_bench.measure.trees import digest
from tmprun_bench.measure.workspace import Workspace
from tmprun_bench.programs import compiled
from tmprun_bench.subjects.mounts import without_version

METRICS = {"warm_start", "cold_start", "foreign_start", "extract", "mount_start"}
SH = shutil.which("sh") or "/bin/sh"


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """As in a real run, but for a namespace of its own and memory that was touched."""
    work = Workspace(tmp_path / "work")
    for name in ("store", "cache", "forgotten", "tmp", "scratch", "mount", "tree", "home", "plain"):
        (work.root / name).mkdir(mode=0o700, parents=True)
    return Context(work, Packing(), installed(None, work.root), runs=1)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    """A worker with a file of 64 pages and a few others."""
    monkeypatch.setattr(apps, "CORPORA", tmp_path / "corpora")

    def build(root: Path) -> None:
        worker._apprun(root)
        (root / "data" / "deeper").mkdir(parents=True)
        (root / "data" / "large").write_bytes(synthetic.content(1, 64 * worker.PAGE, 1.0))
        (root / "data" / "deeper" / "small").write_bytes(b"small")
        (root / "data" / "link").symlink_to("large")

    return worker._app("small", "a small one", build)


def test_every_case_is_named_once_and_says_what_it_asks() -> None:
    assert {"start", "apps", "mounted-tree", "scaling", "packing", "memory", "ci"} <= CASES.keys()
    assert all(summary_of(case).endswith(".") for case in CASES.values())


def unprivileged(ways: list[Subject]) -> list[Subject]:
    """Without the kernel's mounts: these are for a namespace of their own."""
    return [way for way in ways if not way.name.startswith("kernel")]


def test_every_way_runs_the_app(context: Context) -> None:
    app = exit0.speaking()
    ways = [*subjects.every_way(context, app), subjects.runtime_extract(context, app, codec="gzip")]
    names = [way.name for way in ways]
    assert len(set(names)) == len(names)
    for fill in subjects.FILLS:
        assert {f"bundle, cold, {fill}", f"tmprun foreign, cold, {fill}"} <= set(names)
    measurement = measure(unprivileged(ways), 1, context.work.root)
    assert {"plain AppDir on tmpfs", "bundle, warm", "tmprun foreign, first ever", "tar --zstd, then run"} <= set(
        measurement.series
    )
    assert "own runtime, extract and run (zlib)" in measurement.series
    assert all(reason for reason in measurement.skipped.values())


def test_another_exit_status_is_right_when_it_is_the_one_expected(context: Context) -> None:
    fails = replace(exit0.app(), arguments=lambda _: ("--read", "missing"))
    runtime = partial(subjects.runtime_extract, codec="gzip")
    ways = [subjects.plain, subjects.bundle, subjects.foreign, subjects.unsquashfs, runtime]
    measure([way(context, replace(fails, status=99)) for way in ways], 1, context.work.root)
    with pytest.raises(Unable, match="ended with 99"):
        measure([subjects.bundle(context, fails)], 1, context.work.root)


def test_an_xz_image_is_run_by_its_own_runtime_and_by_us(context: Context) -> None:
    app = exit0.speaking()
    ways = [subjects.runtime_fuse, subjects.runtime_extract, subjects.foreign]
    measurement = measure([way(context, app, codec="xz") for way in ways], 1, context.work.root)
    assert {"own runtime, extract and run (xz)", "tmprun foreign (xz), cold"} <= set(measurement.series)
    assert set(measurement.skipped) <= {"own runtime, FUSE (xz)"}


def test_absent_programs_are_named(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **_: None if name in ("zstd", "unsquashfs") else f"/bin/{name}")
    assert subjects.tar_zstd(context, exit0.app()).absent == "zstd not installed"
    assert subjects.unsquashfs(context, exit0.app()).absent == "unsquashfs not installed"


def test_the_runtimes_own_words_are_no_output_of_the_app() -> None:
    assert without_version(b"fusermount3 version: 3.14.0\nhello\nfusermount3 version: 3.14.0\n") == b"hello\n"


def test_offset_is_where_the_squashfs_begins(tmp_path: Path) -> None:
    exit0.build(tmp_path / "AppDir")
    head = compiled("apprun").read_bytes()
    append_squashfs(tmp_path / "image", head, tmp_path / "AppDir", squashfs_options(Packing(level=1), "zstd"))
    assert offset(tmp_path / "image") == len(head)
    assert (tmp_path / "image").read_bytes()[len(head) :].startswith(b"hsqs")


@pytest.mark.parametrize(
    ("work", "changed"),
    [
        (lambda app: worker.reads_at_random(app, 500, "data/large"), "data/large"),
        (lambda app: worker.maps(app, "data/large"), "data/large"),
        (lambda app: worker.reads_first_byte(app, "data/large"), "data/large"),
        (lambda app: worker.stats(app, "data"), "data/deeper/new"),
    ],
)
def test_worker_says_what_is_computed_here(
    small: App, tmp_path: Path, work: Callable[[App], App], changed: str
) -> None:
    app = work(small)
    tree = tmp_path / "tree"
    shutil.copytree(app.appdir, tree, symlinks=True)
    command = (tree / "AppRun", *app.arguments(tmp_path))
    output = subprocess.run(command, capture_output=True, check=True).stdout
    app.check(output, tmp_path)
    assert 0 < worker.own_time(output) < 5
    (tree / changed).write_bytes(synthetic.content(2, 64 * worker.PAGE, 1.0))
    with pytest.raises(WrongAnswer):
        app.check(subprocess.run(command, capture_output=True, check=True).stdout, tmp_path)


def test_worker_runs_programs_in_its_own_directory_and_fails_with_them(small: App, tmp_path: Path) -> None:
    app = worker.runs(small, SH, "-c", "cat data/deeper/small; echo > {scratch}/was-here", check=prints(b"small"))
    command = (app.appdir / "AppRun", *app.arguments(tmp_path))
    output = subprocess.run(command, capture_output=True, check=True).stdout
    assert (tmp_path / "was-here").exists()
    assert output.startswith(b"small")
    assert subprocess.run((app.appdir / "AppRun", "--run", "false"), check=False).returncode == 99


def test_a_copy_is_compared_file_by_file(small: App, tmp_path: Path) -> None:
    check = _same_files(small.appdir)
    shutil.copytree(small.appdir, tmp_path / "copy", symlinks=True)
    check(b"", tmp_path)
    (tmp_path / "copy" / "data" / "deeper" / "small").write_bytes(b"smell")
    with pytest.raises(WrongAnswer):
        check(b"", tmp_path)


def test_together_starts_all_at_once_and_mixes_no_output() -> None:
    start = time.monotonic()
    script = "echo one; sleep 0.3; echo two"
    done = subprocess.run([compiled("together"), "8", SH, "-c", script], capture_output=True, check=True)
    assert time.monotonic() - start < 1.5
    assert done.stdout == 8 * b"one\ntwo\n"


def test_together_fails_when_one_does(tmp_path: Path) -> None:
    script = f"mkdir {tmp_path / 'only-once'}"
    command = [compiled("together"), "3", SH, "-c", script]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 99


def test_a_packed_image_that_does_not_hold_the_appdir_is_wrong(context: Context, tmp_path: Path) -> None:
    exit0.build(tmp_path / "AppDir")
    image = tmp_path / "image"
    subprocess.run(tarball.command(tmp_path / "AppDir", image, Packing(level=1)), check=True)
    holds = packing_check(context, image, digest(tmp_path / "AppDir"))
    holds(b"")
    (tmp_path / "AppDir" / "more").touch()
    with pytest.raises(WrongAnswer):
        packing_check(context, image, digest(tmp_path / "AppDir"))(b"")


def packing_check(context: Context, image: Path, expected: str) -> Callable[[bytes], None]:
    return check_of(context, ("tar", "--zstd", "-xf", image, "-C", context.work.tree), expected)


def test_erofs_clusters_are_as_large_as_squashfs_blocks() -> None:
    assert erofs._bytes("128K") == 131072
    assert erofs._bytes("65536") == 65536
    assert erofs._bytes("4M") == 1 << 20  # its largest


def test_libreoffice_must_name_itself() -> None:
    check = libreoffice.starting().check
    check(b"LibreOffice 7.4.7.2 40(Build:2)\n\n", Path())
    with pytest.raises(WrongAnswer):
        check(b"", Path())


def test_ci_downloads_nothing_and_names_every_metric(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    result = ci(context)
    assert {found.metric for found in result.comparisons} | set(result.unmeasured) == METRICS
    assert all(found.unit == "x" and found.theirs for found in result.comparisons)
    if os.access("/dev/fuse", os.W_OK) and shutil.which("squashfuse_ll"):
        assert not result.unmeasured
