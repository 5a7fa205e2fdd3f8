"""The Python command line as a process: what it prints where, and its exit status. It needs no engine here."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.foreign_images import mksquashfs, sample_tree, write_image
from kit.packing import script

from tmprun import __version__

REPOSITORY = Path(__file__).parents[3]
Result = subprocess.CompletedProcess[str]
Run = Callable[..., Result]


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    """The console script, as the front door starts it."""
    path = tmp_path / "tmprun-py"
    path.write_text(
        f"import sys\nsys.path.insert(0, {str(REPOSITORY)!r})\nfrom tmprun.main import main\nsys.exit(main())\n"
    )
    return [sys.executable, "-I", str(path)]


@pytest.fixture
def run(program: list[str], tmp_path: Path) -> Run:
    def run(*arguments: str, status: int = 0, **changes: Any) -> Result:
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPRUN_STORE": str(tmp_path / "store")}
        options: dict[str, Any] = {"cwd": tmp_path, "env": env, "stdin": subprocess.DEVNULL} | changes
        pipe = subprocess.PIPE
        with subprocess.Popen([*program, *arguments], stdout=pipe, stderr=pipe, text=True, **options) as process:
            out, err = process.communicate(timeout=60)
        assert process.returncode == status, f"{arguments}: {process.returncode}\nstdout: {out}\nstderr: {err}"
        return subprocess.CompletedProcess([*program, *arguments], status, out, err)

    return run


@pytest.fixture
def appdir(tmp_path: Path) -> Path:
    """Replaces the one for a stub made by the tests: this needs the built engine's stub."""
    script(tmp_path / "App" / "AppRun")
    (tmp_path / "App" / "data").write_bytes(os.urandom(5_000_000))
    return tmp_path / "App"


def complaint(result: Result) -> str:
    """The one line on stderr; nothing may be on stdout."""
    assert result.stdout == ""
    assert result.stderr.startswith("tmprun: ")
    assert result.stderr.endswith("\n")
    assert result.stderr.count("\n") == 1
    return result.stderr[8:-1]


def test_version(run: Run) -> None:
    assert run("--version").stdout == f"tmprun {__version__}\n"


def test_help_names_every_command_and_how_to_run_an_app(run: Run) -> None:
    text = run("--help").stdout
    for command in ("pack", "info", "extract", "cache", "doctor", "run", "help"):
        assert f"\n  {command} " in text
    assert text.startswith("Usage: tmprun APP [ARGS...]\n")
    assert "completion" not in text
    assert run("-h").stdout == run("help").stdout == text


@pytest.mark.parametrize("command", ["pack", "info", "extract", "doctor", "run", "cache", "cache list", "cache verify"])
def test_help_of_a_command(run: Run, command: str) -> None:
    text = run(*command.split(), "--help").stdout
    assert text.startswith(f"Usage: tmprun {command}")
    assert run("help", *command.split()).stdout == text


@pytest.mark.parametrize("arguments", [(), ("cache",)])
def test_without_a_command_the_help_is_an_error(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments, status=127)
    assert result.stdout == ""
    assert result.stderr.startswith("Usage: tmprun")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nosuch"], "no such command 'nosuch'; see tmprun --help"),
        (["infoo"], "no such command 'infoo'; did you mean info?"),
        (["cache", "prnue"], "no such command 'prnue'; did you mean prune?"),
        (["cache", "prune", "--max-sise", "1"], "no such option: --max-sise; did you mean --max-size?"),
        (["pack", "dir", "-o"], "option '-o' requires an argument"),
        (["cache", "nosuch"], "no such command 'nosuch'"),
        (["cache", "prune", "--nosuch"], "no such option: --nosuch"),
        (["info"], "missing argument 'APP'"),
        (["info", "a", "b"], "unexpected extra argument"),
        (["pack", "dir"], "missing option '-o'"),
        (["pack", "dir", "-o", "x", "--level", "many"], "--level"),
        (["cache", "prune", "--max-size", "lots"], "'lots' is no size; write it like 500M"),
        (["cache", "prune", "--older-than", "ages"], "'ages' is no age"),
        (["info", "none"], "none: no such file; check the name"),
        (["info", "odd\x1b[31m\nname"], "odd\\x1b[31m\\nname: no such file"),
        (["run", "app"], "app: only the program tmprun itself runs applications"),
    ],
)
def test_mistakes_are_one_line(run: Run, arguments: list[str], words: str) -> None:
    assert words in complaint(run(*arguments, status=127))


def test_found_and_no_image_is_126(run: Run, tmp_path: Path) -> None:
    assert complaint(run("info", "/etc/passwd", status=126)).startswith("/etc/passwd: is text, no app")
    assert "is a directory" in complaint(run("info", str(tmp_path), status=126))


def test_traceback_only_for_who_asks(run: Run) -> None:
    env = {"PATH": os.environ["PATH"], "TMPRUN_LOG": "debug"}
    result = run("info", "none", env=env, status=127)
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("tmprun: none: no such file; check the name\n")


def test_our_own_fault_is_one_line_too(run: Run, program: list[str]) -> None:
    path = Path(program[-1])
    fault = "import tmprun.report.info\ntmprun.report.info.look = lambda path, progress: 1 // 0\n"
    path.write_text(path.read_text().replace("sys.exit", f"{fault}sys.exit"))
    assert complaint(run("info", "x", status=127)).startswith("internal error: ZeroDivisionError: ")


def test_full_disk(run: Run) -> None:
    command = [*run_words(run), "--version"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 127
    assert done.stderr == "tmprun: standard output: No space left on device\n"


def run_words(run: Run) -> list[str]:
    return list(run("--version").args[:-1])


def test_reader_that_has_seen_enough(run: Run) -> None:
    with subprocess.Popen([*run_words(run), "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.wait() == -signal.SIGPIPE
        assert process.stderr.read() == b""


def test_pythons_own_variables_do_not_steer_us(run: Run, tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise SystemExit('taken over')")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), "PYTHONHOME": "/nonexistent"}
    assert run("--version", env=env, cwd=tmp_path).stdout.startswith("tmprun ")


@pytest.mark.parametrize("locale", ["C", "de_DE.ISO-8859-1", "C.UTF-8"])
def test_any_name_in_any_locale(run: Run, tmp_path: Path, locale: str) -> None:
    name = os.fsdecode(b"caf\xe9 \xe5\x90\x8d")
    env = {"PATH": os.environ["PATH"], "LC_ALL": locale, "PYTHONUTF8": "0", "XDG_CACHE_HOME": str(tmp_path)}
    words = complaint(run("info", name, env=env, status=127))
    assert words.startswith("caf\\xe9 ")


def test_pack_reports_and_runs(run: Run, appdir: Path, tmp_path: Path) -> None:
    (appdir / "outside").symlink_to("/etc/passwd")
    result = run("pack", str(appdir), "-o", "app", "--level", "1")
    assert result.stdout.startswith("app: ")
    assert "2 files" in result.stdout
    assert result.stdout.count("\n") == 1
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("tmprun: note: outside: symlink to /etc/passwd")
    store = {"TMPRUN_STORE": str(tmp_path / "store")}
    assert subprocess.run([tmp_path / "app"], capture_output=True, check=True, env=store).stdout == b"hello\n"


def test_pack_quietly(run: Run, appdir: Path) -> None:
    result = run("pack", str(appdir), "-o", "app", "--level", "1", "--quiet")
    assert (result.stdout, result.stderr) == ("", "")


def test_pack_names_every_reason(run: Run, appdir: Path) -> None:
    (appdir / "AppRun").unlink()
    os.mkfifo(appdir / "fifo")
    result = run("pack", str(appdir), "-o", "app", status=127)
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("tmprun: ") for line in lines)
    assert "no AppRun" in lines[0]
    assert "is a fifo" in lines[1]


def on_a_terminal(command: list[str], cwd: Path) -> tuple[int, bytes]:
    """Run with stderr, and nothing else, on a terminal; returns the status and what the terminal got."""
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm"}
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=slave, env=env) as process:
        os.close(slave)
        shown = b""
        try:
            while chunk := os.read(master, 65536):
                shown += chunk
        except OSError:  # EIO: the other side is closed
            pass
        status = process.wait()
    os.close(master)
    return status, shown


def test_progress_on_a_terminal_only(run: Run, appdir: Path, tmp_path: Path) -> None:
    command = [*run_words(run), "pack", str(appdir), "-o", "app", "--level", "1"]
    status, shown = on_a_terminal(command, tmp_path)
    assert status == 0
    assert b"packing" in shown
    assert b"5.0/5.0 MB" in shown
    assert on_a_terminal([*command, "--quiet"], tmp_path) == (0, b"")
    assert run(*command[3:]).stderr == ""


SLOW = """
import tmprun.report.info as info, time
look = info.look
info.look = lambda path, progress: (time.sleep(1.6), look(path, progress))[1]
"""


def test_what_takes_long_says_so_on_a_terminal_only(run: Run, program: list[str], tmp_path: Path) -> None:
    path = Path(program[-1])
    path.write_text(path.read_text().replace("sys.exit", f"{SLOW}sys.exit"))
    words = [*program, "info", "none\x1b[31m"]
    status, shown = on_a_terminal(words, tmp_path)
    assert status == 127
    assert b"reading none\\x1b[31m ... 1 s" in shown
    assert shown.endswith(b"\r\x1b[Ktmprun: none\\x1b[31m: no such file; check the name\r\n")
    assert "..." not in run("info", "none", status=127).stderr


def test_no_colour_for_who_wants_none(run: Run, appdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [*run_words(run), "pack", str(appdir), "-o", "app", "--level", "1"]
    assert b"\x1b[38;5" in on_a_terminal(command, tmp_path)[1] or b"\x1b[3" in on_a_terminal(command, tmp_path)[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(rb"\x1b\[[0-9;]*(3[0-7]|38;[0-9;]+|9[0-7])m", on_a_terminal(command, tmp_path)[1])


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130)])
def test_interrupted_pack_leaves_nothing(run: Run, appdir: Path, tmp_path: Path, number: int, status: int) -> None:
    (appdir / "more").write_bytes(os.urandom(40_000_000))
    command = [*run_words(run), "pack", str(appdir), "-o", "out/app", "--level", "19"]
    (tmp_path / "out").mkdir()
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        end = time.monotonic() + 20
        while not os.listdir(tmp_path / "out"):
            assert time.monotonic() < end
            time.sleep(0.01)
        process.send_signal(number)
        assert process.stderr
        assert process.stderr.read().strip() == b""  # click ends the line that ^C is on
    assert process.returncode == status
    assert os.listdir(tmp_path / "out") == []


def test_json_of_names_that_are_not_utf_8(run: Run, tmp_path: Path) -> None:
    tree = sample_tree(tmp_path / "tree")
    (tree / "a.desktop").write_bytes(b"[Desktop Entry]\nName=\x1b[31m\xff\n")
    name = os.fsdecode(b"im\xffage")
    write_image(tmp_path / name, mksquashfs(tree, tmp_path / "squashfs"))
    found = json.loads(run("info", name, "--json").stdout)
    assert found["path"] == name
    assert found["contents"]["name"] == "\x1b[31m\ufffd"
    text = run("info", name).stdout
    assert "\x1b" not in text
    assert "im\\xffage" in text
