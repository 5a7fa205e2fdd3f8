"""`tmprun bench APP`: the real command on small AppImages and a bundle, with the peers that are on the machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.apps import packed, script_appdir
from kit.harness import wait_until
from kit.real_images import behind_runtime
from kit.sleepers import sleepers

REPOSITORY = Path(__file__).parents[3]
BENCH = [sys.executable, "-m", "tmprun_bench"]
OURS = ("bundle, cold", "bundle, warm", "tmprun foreign, cold", "tmprun foreign, warm", "tmprun foreign, first ever")
NAP = "86399.25"  # seconds that only our own sleepers sleep

Done = subprocess.CompletedProcess[str]
Bench = Callable[..., Done]


@pytest.fixture(scope="module")
def appimage(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Make an AppImage whose AppRun is this shell script."""

    def make(script: str) -> Path:
        folder = tmp_path_factory.mktemp("app")
        return behind_runtime(folder / "app.AppImage", script_appdir(folder, script), "gzip")

    return make


@pytest.fixture(scope="module")
def work() -> Iterator[Path]:
    """A directory on the tmpfs, if there is one, in which nothing may be left."""
    place = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=place if os.access(place, os.W_OK) else None) as directory:
        yield Path(directory)


@pytest.fixture(scope="module")
def bench(work: Path) -> Bench:
    """Run the command; whatever became of it, nothing lies in its work directory and none of our sleepers lives."""

    def run(*arguments: str | Path, status: int = 0, path: str = os.environ["PATH"]) -> Done:
        command = [*BENCH, "--work", work, *arguments]
        done = subprocess.run(command, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False)
        assert done.returncode == status, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert nothing_left(work)
        return done

    return run


def nothing_left(work: Path) -> bool:
    mounts = Path("/proc/self/mounts").read_text()
    return os.listdir(work) == [] and str(work) not in mounts and not sleepers(NAP)


def complaint(done: Done) -> str:
    """What it ended with: the last line on stderr, which may warn of a busy machine before."""
    lines = done.stderr.splitlines()
    assert lines[-1].startswith("tmprun: "), done.stderr
    assert all("load average" in line for line in lines[:-1]), done.stderr
    return lines[-1]


@pytest.fixture(scope="module")
def measured(bench: Bench, appimage: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rounds of an app that works everywhere, as JSON."""
    report = tmp_path_factory.mktemp("report") / "report.json"
    bench("--runs", "2", "--json", report, appimage('echo "$# $1 $2"; exit 3'), "one", "--version")
    return report


def case_of(report: Path) -> dict[str, Any]:
    (case,) = json.loads(report.read_text())["results"]
    return dict(case)


def test_every_way_is_measured_and_compared(measured: Path) -> None:
    case = case_of(measured)
    series = case["series"]
    assert {"plain AppDir on tmpfs", "unsquashfs, then run", "own runtime, extract and run", *OURS} <= series.keys()
    assert all(len(one["seconds"]) == 2 for one in series.values())
    against = {(row["ours"], row["theirs"]) for row in case["comparisons"] if not row["metric"]}
    assert {name for name, theirs in against if theirs == "plain AppDir on tmpfs"} == series.keys() - {
        "plain AppDir on tmpfs"
    }
    assert case["facts"]["exit status"] == 3
    assert case["facts"]["stdout is proven"] is True
    assert len(case["facts"]["digest of the tree"]) == 64
    assert any("ends with 3" in note for note in case["notes"])


def test_what_was_skipped_and_the_machine_are_recorded(measured: Path) -> None:
    machine = json.loads(measured.read_text())["machine"]
    assert machine["page_cache"] == "warm"
    assert machine["file_systems"]["work directory"] in ("tmpfs", "ext4", "xfs", "btrfs", "overlay")
    assert machine["tmprun"].startswith("tmprun ")
    assert {"squashfuse", "unsquashfs", "mkfs.erofs", "zstd"} <= machine["versions"].keys()
    case = case_of(measured)
    mounts = [name for name in ("squashfuse", "squashfuse_ll") if name in case["series"]]
    if not mounts:
        assert {"squashfuse", "squashfuse_ll"} <= case["skipped"].keys()
    assert bool(mounts) == any(row["metric"] == "mount_start" for row in case["comparisons"])


def test_limits_decide_on_the_exit_status(bench: Bench, measured: Path, tmp_path: Path) -> None:
    kept = bench("--from", measured, "--fail-if", "warm_start.ratio>1000")
    assert "warm_start.ratio>1000: kept" in kept.stdout
    exceeded = bench("--from", measured, "--fail-if", "warm_start.ratio>0.001", "--junit", tmp_path / "x", status=1)
    assert "EXCEEDED" in exceeded.stdout
    assert "<failure" in (tmp_path / "x").read_text()
    assert "no metric nosuch" in complaint(bench("--from", measured, "--fail-if", "nosuch.ratio>1", status=2))


def test_a_reader_that_has_seen_enough_ends_it(measured: Path) -> None:
    with subprocess.Popen([*BENCH, "--from", measured], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.close()
        assert process.stderr
        assert process.stderr.read() == b""
    assert process.returncode in (-signal.SIGPIPE, 128 + signal.SIGPIPE)


def test_a_bundle_without_the_tools_of_squashfs(bench: Bench, tmp_path: Path) -> None:
    """What cannot be made or is not installed is skipped, and said; the rest is measured."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("tar", "zstd", "mkdir", "rm", "cp", "chmod", "mount", "umount"):
        found = shutil.which(name)
        assert found, name
        (programs / name).symlink_to(found)
    bundle = packed(script_appdir(tmp_path, "echo fine"), tmp_path / "given").bundle
    done = bench("--runs", "1", "--json", tmp_path / "json", bundle, path=str(programs))
    assert "SKIPPED whatever starts from a squashfs image: mksquashfs is missing" in done.stdout.replace("\n", " ")
    case = case_of(tmp_path / "json")
    assert {"plain AppDir on tmpfs", "bundle, cold", "bundle, warm"} <= case["series"].keys()
    assert not any(name.startswith("tmprun foreign") for name in case["series"])
    assert any("--version" in note for note in case["notes"])


def test_peers_that_are_not_installed_are_named(bench: Bench, appimage: Callable[[str], Path], tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for folder in reversed(os.environ["PATH"].split(":")):
        for program in Path(folder).iterdir() if Path(folder).is_dir() else ():
            if "squashfuse" not in program.name:
                (programs / program.name).unlink(missing_ok=True)
                (programs / program.name).symlink_to(program)
    done = bench("--runs", "1", "--json", tmp_path / "json", appimage("echo hi"), path=str(programs))
    case = case_of(tmp_path / "json")
    assert "not installed" in case["skipped"]["squashfuse"] or "/dev/fuse" in case["skipped"]["squashfuse"]
    assert "SKIPPED squashfuse: " in done.stdout
    assert "unsquashfs, then run" in case["series"]


def test_output_that_is_never_the_same_is_not_proven_and_that_is_said(
    bench: Bench, appimage: Callable[[str], Path], tmp_path: Path
) -> None:
    image = appimage("od -An -N8 -tx8 /dev/urandom")
    done = bench("--runs", "1", "--json", tmp_path / "json", image)
    assert "WARNING: two runs from the plain tree printed different things" in done.stdout
    assert case_of(tmp_path / "json")["facts"]["stdout is proven"] is False


def test_another_answer_in_another_way_ends_it(bench: Bench, appimage: Callable[[str], Path]) -> None:
    text = complaint(bench("--runs", "1", appimage('echo "$0"'), status=2))
    assert "/plain/" in text
    assert "give ARGS with which it does not" in text


def test_a_wrong_answer_of_ours_alone_ends_it(bench: Bench, appimage: Callable[[str], Path]) -> None:
    """Peers may be unable to run an app; we may not."""
    image = appimage('case "$0" in */plain/*) ;; *) exit 9;; esac')
    text = complaint(bench("--runs", "1", image, status=2))
    assert "bundle" in text or "tmprun foreign" in text
    assert "ended with 9, not 0" in text


def test_an_app_that_ends_now_so_now_so_is_refused(
    bench: Bench, appimage: Callable[[str], Path], tmp_path: Path
) -> None:
    image = appimage(f"echo >> {tmp_path}/count; exit $(wc -l < {tmp_path}/count)")
    assert "ended with 1 and then with 2" in complaint(bench("--runs", "1", image, status=2))


def test_an_app_that_does_not_end_is_ended_with_all_that_it_started(
    bench: Bench, appimage: Callable[[str], Path]
) -> None:
    start = time.monotonic()
    image = appimage(f"sleep {NAP} & setsid sleep {NAP} & exec sleep {NAP}")
    text = complaint(bench("--timeout", "0.5", image, status=2))
    assert "did not end within 0.5 s; give ARGS that make it end" in text
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_the_middle_of_a_mount(
    work: Path, appimage: Callable[[str], Path], number: signal.Signals
) -> None:
    """Its processes die with it, wherever they run, and mounts and files are gone."""
    image = appimage(f'case "$0" in */plain/*) ;; *) exec sleep {NAP};; esac')
    with subprocess.Popen([*BENCH, "--work", work, image], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until(lambda: sleepers(NAP), seconds=30)
        process.send_signal(number)
        assert process.wait(timeout=30) == 128 + number
    assert nothing_left(work)


def test_only_root_drops_the_page_cache() -> None:
    command = [*BENCH, "--drop-caches", "--ci"]
    if os.geteuid() == 0:
        # An ordinary user who can read what root has installed.
        allowed = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
        command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *allowed, *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert complaint(done) == "tmprun: --drop-caches: only root can drop the page cache"
