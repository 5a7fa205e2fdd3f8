"""The benchmark's command line without measuring an app, and the parts below it: time limits, conditions, compilers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from kit.bench_results import starts
from kit.sleepers import sleepers
from tmprun_bench import places, programs
from tmprun_bench.command import Request, _drawn, run
from tmprun_bench.errors import BenchError, Unable, WrongAnswer
from tmprun_bench.measure import machine, workspace
from tmprun_bench.measure.harness import Conditions, Subject, measure, under
from tmprun_bench.measure.timer import Command, Step, Timer
from tmprun_bench.report.stored import load

import tmprun
from tmprun.errors import TmprunError

SH = shutil.which("sh") or "/bin/sh"
NAP = "86398.75"  # seconds that only our own sleepers sleep


def bench(*arguments: str | Path, python: tuple[str, ...] = ("-m", "tmprun_bench")) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *python, *arguments], capture_output=True, text=True, check=False)


def refused(*arguments: str | Path, status: int = 2) -> str:
    """The one line that it says; nothing may be on stdout."""
    done = bench(*arguments)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert done.stderr.startswith("tmprun: ")
    assert done.stderr.count("\n") == 1
    return done.stderr[8:-1]


def shell(script: str, *, timed: bool = True) -> Step:
    return Step((SH, "-c", script), {"PATH": os.environ["PATH"]}, timed=timed, answer=timed)


def subject(name: str, *steps: Step, says: bytes = b"right", helpers: int = 0) -> Subject:
    def check(output: bytes) -> None:
        if output != says:
            raise WrongAnswer(f"said {output!r}")

    return Subject(name, steps, check, helpers=helpers)


BREAKS = """
import sys
from tmprun_bench import command
from tmprun_bench.cases import CASES
from tmprun_bench.errors import BenchError
from tmprun_bench.measure.harness import Subject, measure
from tmprun_bench.measure.results import Result

def works(context):
    result = Result("works", "something quick is measured")
    run = context.work.step("/bin/true", timed=True)
    result.add(measure([Subject("true", (run,), lambda output: None)], context.rounds(2), context.work.root))
    return result

def breaks(context):
    raise BenchError("it broke")

CASES |= {"works": works, "breaks": breaks}
command.TOUCHED = command.LEAST_TOUCHED
from tmprun.cli.app import main
sys.exit(main(["bench", *sys.argv[1:]]))
"""


# The command line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "nothing to measure: give APP, --case"),
        (("--nosuch",), "no such option: --nosuch"),
        (("--runs", "0", "app"), "--runs"),
    ],
)
def test_wrong_arguments_are_127_as_everywhere(arguments: tuple[str, ...], words: str) -> None:
    assert words in refused(*arguments, status=127)


def test_its_failures_are_one_line_and_2(tmp_path: Path) -> None:
    assert refused(tmp_path / "none") == f"{tmp_path}/none: no such file; check the name"


def test_what_would_fail_at_the_end_fails_at_the_start(tmp_path: Path) -> None:
    """Before an hour of measuring: nothing that could be measured exists here."""

    def refusal(**asked: Any) -> str:
        nothing = dict.fromkeys((field.name for field in fields(Request)), None)
        usual = nothing | dict.fromkeys(("arguments", "make", "earlier", "fail_if", "draw"), ())
        usual |= {"cases": ("nosuch",), "block": ""}
        with pytest.raises((BenchError, TmprunError)) as raised:
            run(Request(**(usual | asked)))
        return str(raised.value)

    nowhere = tmp_path / "nowhere" / "file"
    assert refusal().startswith("there is no case nosuch; there are ")
    assert refusal(json=nowhere) == f"{nowhere} cannot be written"
    assert refusal(markdown=tmp_path) == f"{tmp_path} cannot be written"
    assert refusal(picture=tmp_path / "x.gif").endswith("a picture is .svg or .png")
    assert refusal(draw=("start",)).startswith("--draw says what the picture shows; ")
    assert "give --baseline FILE" in refusal(fail_if=("warm_start>1.1",))
    assert "write METRIC>NUMBER" in refusal(fail_if=("warm_start",))
    assert refusal(earlier=(nowhere,)).startswith(f"{nowhere}: ")
    assert refusal(cases=(), image=Path("/etc/passwd")).startswith("/etc/passwd: is text, no app")


def test_a_picture_shows_what_was_asked_for_in_that_order() -> None:
    results = [starts(case=name) for name in ("one", "two", "three")]
    assert [result.case for result in _drawn(results, ())] == ["one", "two", "three"]
    assert [result.case for result in _drawn(results, ("three", "one"))] == ["three", "one"]
    with pytest.raises(BenchError, match="--draw nosuch: there are no results"):
        _drawn(results, ("one", "nosuch"))


def test_what_was_measured_is_kept_when_a_later_case_fails(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    cases = ("--case", "works", "--case", "breaks")
    done = bench(*cases, "--runs", "2", "--json", report, python=("-c", BREAKS))
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, "tmprun: it broke")
    assert [result.case for result in load(report)[0]] == ["works"]


def test_list_names_cases_and_corpora() -> None:
    done = bench("--list")
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("ci", "warm-start", "exit0", "libreoffice"):
        assert f"\n  {name} " in done.stdout


@pytest.mark.parametrize("missing", ["numpy", "scipy", "matplotlib", "tmprun_bench"])
def test_without_its_packages_it_says_what_to_install(tmp_path: Path, missing: str) -> None:
    """With a copy, by links, of what is installed here, less one package."""
    for entry in [*Path(pytest.__file__).parents[1].iterdir(), Path(tmprun.__file__).parent, places.PACKAGE]:
        if entry.name.split("-")[0] != missing and entry.suffix != ".pth" and not (tmp_path / entry.name).exists():
            (tmp_path / entry.name).symlink_to(entry)
    program = f"import sys; sys.path.append({str(tmp_path)!r}); from tmprun.main import main; sys.exit(main())"
    picture = ("--picture", "x.svg") if missing == "matplotlib" else ()
    done = bench("bench", *picture, "app", python=("-I", "-S", "-c", program))
    assert done.returncode == 127, done.stderr
    assert done.stderr == f"tmprun: bench: {missing} not installed; pip install 'tmprun[bench]'\n"


def test_help_of_tmprun_does_not_load_the_benchmark() -> None:
    program = (
        "import sys; from tmprun.cli.app import main; main(['--help']);"
        "sys.exit(any(name.partition('.')[0] in ('tmprun_bench', 'numpy', 'psutil') for name in sys.modules))"
    )
    done = bench(python=("-c", program))
    assert done.returncode == 0, done.stderr
    assert "\n  bench " in done.stdout


# Time limits, and who may fail


def test_a_run_that_takes_too_long_is_ended_with_all_its_processes(tmp_path: Path) -> None:
    cleaned = tmp_path / "cleaned"
    clean_up = Step((SH, "-c", f": > {cleaned}"), {}, always=True)
    slow = subject("slow", shell(f"sleep {NAP} & setsid sleep {NAP} & sleep {NAP}"), clean_up)
    start = time.monotonic()
    with under(Conditions(timeout=0.3)), pytest.raises(Unable, match=r"slow: it did not end within 0\.3 s"):
        measure([slow], 1, tmp_path)
    assert time.monotonic() - start < 10
    assert cleaned.exists()
    assert sleepers(NAP) == []


def test_what_a_run_leaves_running_counts_for_its_time(tmp_path: Path) -> None:
    daemon = subject("daemon", shell(f"sleep {NAP} & printf right"))
    with under(Conditions(timeout=0.3)), pytest.raises(Unable, match="what it left running included"):
        measure([daemon], 1, tmp_path)
    assert sleepers(NAP) == []


def test_an_error_in_between_ends_everything(tmp_path: Path) -> None:
    command = Command((shell(f"setsid sleep {NAP} & sleep {NAP}"),), tmp_path / "out", tmp_path / "err")

    def interrupted() -> None:
        with Timer([command], tmp_path / "plan") as timer:
            timer._ask(b"1 0\n")
            deadline = time.monotonic() + 10
            while len(sleepers(NAP)) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert sleepers(NAP) == []


def test_who_may_fail_is_skipped_and_who_lies_is_not(tmp_path: Path) -> None:
    good, unable = subject("good", shell("printf right")), subject("unable", shell("echo why >&2; exit 3"))
    no_mount = subject("no mount", shell("printf right"), helpers=1)
    ways = [unable, good, no_mount]
    measurement = measure(ways, 2, tmp_path, may_fail=["unable", "no mount"])
    assert list(measurement.series) == ["good"]
    assert len(measurement.series["good"].seconds) == 2
    assert measurement.skipped["unable"].startswith("step 1 ended with 3, not 0; ")
    assert measurement.skipped["unable"].endswith("; why")
    assert "left 0 helpers behind" in measurement.skipped["no mount"]
    with pytest.raises(Unable, match="unable: "):
        measure(ways, 1, tmp_path, may_fail=["no mount"])
    liar = subject("liar", shell("printf wrong"))
    with pytest.raises(WrongAnswer, match="liar: said b'wrong'"):
        measure([good, liar], 1, tmp_path, may_fail=["liar"])


def test_conditions_come_right_before_what_is_timed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    first, timed = shell(f"printf a >> {log}", timed=False), shell(f"printf c >> {log}; printf right")
    slow = shell(f"printf b >> {log}; sleep 0.1", timed=False)
    with under(Conditions(before=(slow,))):
        (series,) = measure([subject("one", first, timed)], 2, tmp_path).series.values()
    assert log.read_text() == "abc" * 3
    assert all(seconds < 0.1 for seconds in series.seconds)
    measure([subject("one", first, timed)], 0, tmp_path)
    assert log.read_text() == "abc" * 3 + "ac"


# Compilers, places, facts


@pytest.mark.parametrize("compiler", ["musl-gcc", "cc", "none"])
def test_programs_are_compiled_by_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiler: str) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in {"musl-gcc": ("musl-gcc", "gcc", "as", "ld"), "cc": ("cc", "as", "ld")}.get(compiler, ()):
        found = shutil.which(name)
        assert found, name
        (tools / name).symlink_to(found)
        if name == "gcc":  # what musl-gcc calls it
            (tools / f"{os.uname().machine}-linux-gnu-gcc").symlink_to(found)
    monkeypatch.setattr(programs, "PROGRAMS", tmp_path / "out")
    monkeypatch.setattr(programs, "find_spec", lambda _name: None)  # ziglang comes with the tests
    monkeypatch.setenv("PATH", str(tools))
    if compiler == "none":
        with pytest.raises(BenchError, match=r"there is no C compiler.*install musl-tools"):
            programs.compiled("apprun")
        return
    done = subprocess.run([programs.compiled("apprun"), "--say", "hello"], capture_output=True, check=True)
    assert done.stdout == b"hello\n"


def test_work_needs_a_directory_that_programs_run_from(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no directory of yours"), workspace.workspace(tmp_path / "none"):
        pass
    assert workspace.file_system(Path("/proc")) == "proc"
    before, room = shutil.disk_usage(tmp_path).free, workspace.room(tmp_path)
    # Others write and delete there meanwhile.
    assert 0 < room <= max(before, shutil.disk_usage(tmp_path).free) + (64 << 20)


def test_a_processor_quota_is_a_number_of_processors(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert machine._quota(tmp_path, first=False) == 1.5
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine._quota(tmp_path, first=False) is None
    (tmp_path / "cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu.cfs_period_us").write_text("100000\n")
    assert machine._quota(tmp_path, first=True) is None
