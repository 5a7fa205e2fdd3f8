"""The benchmark's own parts: its timer, its harness, which lets no wrong answer count, and what it generates."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.trees import below
from tmprun_bench.corpora import exit0, synthetic
from tmprun_bench.corpora.images import _with_stub, frames
from tmprun_bench.errors import WrongAnswer
from tmprun_bench.measure import summary
from tmprun_bench.measure.harness import Subject, measure
from tmprun_bench.measure.timer import Step
from tmprun_bench.measure.trees import digest

from tmprun.pack.pack import pack

GOLDEN = b"jnynfveqd iocxvuw vhueukbcd nstv pourwwb"
SH = shutil.which("sh") or "/bin/sh"


def says(word: str) -> Callable[[bytes], None]:
    def check(output: bytes) -> None:
        if output != word.encode():
            raise WrongAnswer(f"said {output!r}")

    return check


def shell(script: str, *, always: bool = False) -> Step:
    return Step((SH, "-c", script), {"PATH": os.environ["PATH"]}, timed=True, answer=True, always=always)


def test_times_are_of_the_timed_steps_alone(tmp_path: Path) -> None:
    slow = Step((SH, "-c", "sleep 0.2"), {"PATH": os.environ["PATH"]})
    subject = Subject("naps", (slow, shell("sleep 0.05; printf done"), slow), says("done"))
    (series,) = measure([subject], 2, tmp_path).series.values()
    assert len(series.seconds) == 2
    assert all(0.05 <= seconds < 0.2 for seconds in series.seconds)


def test_processor_time_of_what_is_left_behind_counts(tmp_path: Path) -> None:
    burn = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"
    subject = Subject("forks", (shell(f"({burn}) & printf done"),), says("done"), helpers=1)
    (series,) = measure([subject], 1, tmp_path).series.values()
    assert series.helpers_processor[0] > 0.02
    assert series.seconds[0] < series.helpers_processor[0]


@pytest.mark.parametrize(
    ("script", "subject_facts", "reason"),
    [
        ("printf wrong", {}, "said b'wrong'"),
        ("printf right; exit 3", {}, "ended with 3"),
        ("printf right; kill -9 $$", {}, "ended with -9"),
        ("sleep 0.05 & printf right", {"alone": True}, "whose work was not timed"),
        ("printf right", {"helpers": 1}, "left 0 helpers behind, not 1"),
    ],
)
def test_a_wrong_run_ends_the_case(tmp_path: Path, script: str, subject_facts: dict[str, int], reason: str) -> None:
    good = Subject("good", (shell("printf right"),), says("right"))
    bad = Subject("bad", (shell(script),), says("right"), **subject_facts)  # type: ignore[arg-type]
    with pytest.raises(WrongAnswer, match=reason) as raised:
        measure([good, bad], 1, tmp_path)
    assert str(raised.value).startswith("bad: ")


def test_in_a_tight_measurement_too(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    subject = Subject("tires", (shell(f"if [ -e {flag} ]; then exit 1; fi; printf right"),), says("right"))
    breaks = Subject(
        "breaks it", (shell(f"printf x >> {flag}.count; [ $(wc -c < {flag}.count) -lt 4 ] || : > {flag}"),), says("")
    )
    with pytest.raises(WrongAnswer, match="ended with 1"):
        measure([subject, breaks], 10, tmp_path, tight=True)


def test_a_failed_step_ends_a_run_but_not_its_clean_up(tmp_path: Path) -> None:
    cleaned = tmp_path / "cleaned"
    steps = (shell("exit 1"), shell(f": > {tmp_path / 'went-on'}"), shell(f": > {cleaned}", always=True))
    with pytest.raises(WrongAnswer):
        measure([Subject("fails", steps, says(""))], 1, tmp_path)
    assert cleaned.exists()
    assert not (tmp_path / "went-on").exists()


def test_absent_subjects_are_named(tmp_path: Path) -> None:
    absent = Subject("absent", (), says(""), absent="not installed")
    measurement = measure([absent, Subject("there", (shell(":"),), says(""))], 1, tmp_path)
    assert measurement.skipped == {"absent": "not installed"}
    assert list(measurement.series) == ["there"]


def test_each_round_begins_with_another_subject(tmp_path: Path) -> None:
    log = tmp_path / "log"
    subjects = [Subject(name, (shell(f"printf {name} >> {log}"),), says("")) for name in "abc"]
    measure(subjects, 3, tmp_path)
    assert log.read_text() == "abc" + "abc" + "bca" + "cab"


def test_ratio_is_of_medians_and_has_an_interval_only_with_enough_rounds() -> None:
    ours, theirs = [1.0, 1.1, 0.9, 50.0, 1.0, 1.0, 1.05], [2.0, 2.2, 1.8, 2.0, 2.0, 2.1, 1.9]
    estimate = summary.ratio(ours, theirs)
    assert estimate.value == pytest.approx(0.5)
    assert estimate.interval is not None
    assert estimate.interval[0] <= 0.5 <= estimate.interval[1] < 1
    assert summary.ratio(ours[:3], theirs[:3]).interval is None
    assert summary.difference(ours, theirs).value == pytest.approx(-1.0)


def test_generated_files_are_the_same_everywhere() -> None:
    # From PCG64's raw output, which numpy keeps stable; another text here is another corpus on every machine.
    assert synthetic.content(7, 40, 0.0) == GOLDEN
    assert len(synthetic.content(7, 100_000, 0.3)) == 100_000


def test_synthetic_app_has_the_promised_size_and_answers_for_itself(tmp_path: Path) -> None:
    app = synthetic.synthetic("small", "a small one", files=150, size=300_000, noise=0.2, reads=(0, 101, 149))
    root = tmp_path / "AppDir"
    app.build(root)
    data = [path for path in below(root / "data") if path.is_file()]
    assert len(data) == 150
    assert sum(path.stat().st_size for path in data) == 300_000
    output = subprocess.run([root / "AppRun", *app.arguments(tmp_path)], capture_output=True, check=True).stdout
    app.check(output, tmp_path)
    (root / app.arguments(tmp_path)[2]).write_bytes(b"another content")
    output = subprocess.run([root / "AppRun", *app.arguments(tmp_path)], capture_output=True, check=True).stdout
    with pytest.raises(WrongAnswer):
        app.check(output, tmp_path)


def test_digest_sees_every_change_but_write_bits(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    (root / "d").mkdir(parents=True)
    file = root / "d" / "f"
    file.write_bytes(b"content")
    os.utime(file, (1, 1))
    before = digest(root)
    file.chmod(0o444)
    assert digest(root) == before
    seen = {before}
    file.chmod(0o544)
    seen.add(digest(root))
    os.utime(file, (2, 2))
    seen.add(digest(root))
    (root / "link").symlink_to("d")
    seen.add(digest(root))
    assert len(seen) == 4


def test_another_stub_before_the_same_payload(tmp_path: Path) -> None:
    """What bench does instead of packing again when only the engine was built anew."""
    exit0.build(tmp_path / "AppDir")
    pack(tmp_path / "AppDir", tmp_path / "bundle", level=1)
    stub = b"\x7fELF another stub".ljust(9000, b"\1")
    _with_stub(tmp_path / "bundle", stub, tmp_path / "moved")
    moved = (tmp_path / "moved").read_bytes()
    assert moved.startswith(stub)
    old, new = frames(tmp_path / "bundle"), frames(tmp_path / "moved")
    original = (tmp_path / "bundle").read_bytes()
    assert [original[at : at + size] for at, size, _ in old] == [moved[at : at + size] for at, size, _ in new]
