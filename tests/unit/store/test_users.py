"""One rule says who uses an entry: stub/store/users.c and tmprun/store/usage.py look at each process here."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil
import pytest
from kit.in_use import USES, executable, working_directory
from kit.places import shelf
from kit.store_layout import EVERYTHING, STAY, add_entry, as_user, key, make_root, python, running, shell, user_folder
from kit.surroundings import needs_root

from tmprun.store import usage
from tmprun.store.entries import Root
from tmprun.store.prune import prune

ROOT = Path(__file__).resolve().parents[3]
UNITS = [f"base/{name}" for name in ("environment", "fault", "file", "memory", "printable", "system", "text")]
UNITS += ["store/chain", "store/kin", "store/layout", "store/roots", "store/users"]
WORDS = {usage.Use.NONE: "none", usage.Use.SEEN: "seen", usage.Use.UNKNOWN: "unknown"}

Kind = Callable[[Path], AbstractContextManager[object]]


def compiled(into: Path, source: str, *units: str) -> Path:
    """A program of tests/probe, with units of the engine; static, so that it runs wherever it is copied."""
    program = into / Path(source).stem
    command = ["gcc", "-static", "-w", "-I", ROOT / "stub", "-o", program, ROOT / "tests" / "probe" / source]
    subprocess.run([*command, *(ROOT / "stub" / f"{unit}.c" for unit in units)], check=True)
    return program


@pytest.fixture(scope="module")
def programs() -> Iterator[Path]:
    """A folder that everybody can reach, with the engine's look and with an agent that cannot be looked at."""
    with user_folder() as top:
        compiled(top, "users.c", *UNITS)
        compiled(top, "hidden.c")
        yield top


def both(programs: Path, name: str, built: float | None = None) -> str:
    """What both sides say of an entry that was built then, by default just now; AssertionError unless they agree.

    They look one after the other, and other tests' processes come and go: of three times they must agree once.
    """
    built = time.time() if built is None else built
    words = [programs / "users", name, str(int(built)), "0", str(os.getpid())]
    for _ in range(3):
        said = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
        if WORDS[usage.look().use(name, int(built))] == said:
            return said
    raise AssertionError(f"the engine says {said!r} of {name}, and Python does not")


@pytest.mark.parametrize("kind", USES, ids=lambda kind: kind.__name__)
def test_each_kind_of_use(root: Root, programs: Path, kind: Kind) -> None:
    made = add_entry(root, key(1))
    with kind(made):
        assert both(programs, key(1)) == "seen"
        assert both(programs, key(2)) == "none"
    assert both(programs, key(1)) == "none"


def argument(made: Path) -> AbstractContextManager[object]:
    return running("/bin/sh", "-c", STAY, str(made / "tree"), stdin=subprocess.PIPE, env={})


def environment(made: Path) -> AbstractContextManager[object]:
    return shell(STAY, env={"X": f"a{made}/tree:b"})


def long_environment(made: Path) -> AbstractContextManager[object]:
    """More than the engine reads at once, with the name across the border."""
    return shell(STAY, env={"A": "x" * (4096 - 40 - len(str(made.parent))), "Z": str(made)})


@pytest.mark.parametrize("kind", [argument, environment, long_environment], ids=lambda kind: kind.__name__)
def test_what_only_says_a_name_uses_what_has_it_now(root: Root, programs: Path, kind: Kind) -> None:
    """An app whose tree was replaced opens what has its name; what lies in the trash under another it does not open."""
    made = add_entry(root, key(1))
    with kind(made):
        assert both(programs, key(1)) == "seen"
        assert both(programs, f"{key(1)}.abc") == "none"


@pytest.mark.parametrize("kind", [executable, working_directory], ids=lambda kind: kind.__name__)
def test_whoever_uses_an_old_generation_uses_its_name_too(root: Root, programs: Path, kind: Kind) -> None:
    made = add_entry(root, f"{key(1)}.abc", part="trash")
    with kind(made):
        assert both(programs, f"{key(1)}.abc") == both(programs, key(1)) == "seen"
        assert both(programs, f"{key(1)}.ab") == both(programs, f"{key(1)}.abcd") == "none"


STRANGERS = {
    "a longer name": "/{key}0/tree",
    "a shorter name": "/{short}/tree",
    "no path": "{key}",
    "another key": "/{other}/tree",
    "its lock": str(shelf("/somewhere", "lock") / "{key}"),
}


@pytest.mark.parametrize("what", STRANGERS)
def test_what_only_looks_like_the_name_is_no_use(programs: Path, what: str) -> None:
    text = STRANGERS[what].format(key=key(1), short=key(1)[:-1], other=key(2))
    with shell(STAY, env={"X": text}):
        assert both(programs, key(1)) == "none"


@pytest.mark.parametrize("name", ["tmprun-filler", "tmprun-guard"])
def test_helpers_are_users_of_nothing(root: Root, programs: Path, name: str) -> None:
    made = add_entry(root, key(1))
    script = f"import ctypes; ctypes.CDLL(None).prctl(15, b'{name}', 0, 0, 0)"
    with python(script, cwd=made / "tree", env={}):
        assert both(programs, key(1)) == "none"


@contextmanager
def hidden(programs: Path, *words: str) -> Iterator[None]:
    """A process that its own user may not look at."""
    with running(str(programs / "hidden"), *words, stdin=subprocess.PIPE, cwd="/", env={}) as process:
        yield
        assert process.stdin and process.stdout
        process.stdin.close()
        process.stdout.read()  # it has ended


@needs_root
def test_unknown_is_a_value_of_its_own(programs: Path) -> None:
    """An orphan that cannot be looked at may be any app's; not so one older than the tree, or somebody's child."""

    def answers() -> list[str]:
        made = add_entry(make_root(Path(top) / "store"), key(1))
        built = (made / "index").stat().st_mtime
        with hidden(programs, "orphan"):
            found = [both(programs, key(1), built), both(programs, f"{key(1)}.abc", built)]
            found += [both(programs, key(1), built + 30), both(programs, key(1), 0), both(programs, key(1), 1 << 40)]
        with hidden(programs):
            found.append(both(programs, key(1), built))
        return [*found, both(programs, key(1), built)]

    with user_folder() as top:
        assert as_user(answers) == ["unknown", "unknown", "none", "unknown", "unknown", "none", "none"]


@needs_root
def test_unknown_keeps(programs: Path) -> None:
    def pruned() -> list[str]:
        root = make_root(Path(top) / "store")
        add_entry(root, key(1)), add_entry(root, f"{key(2)}.abc", part="trash")
        with hidden(programs, "orphan"):
            report = prune([root], EVERYTHING)
            left = os.listdir(shelf(root.path, "trash"))
        return [*(why for _, why in report.kept), *left, *(why for _, why in prune([root], EVERYTHING).removed)]

    with user_folder() as top:
        assert as_user(pruned) == [usage.Use.UNKNOWN.value, f"{key(2)}.abc", "not in use"]


@needs_root
def test_where_others_are_hidden_only_time_tells(root: Root, programs: Path) -> None:
    """In a PID namespace of its own the engine goes by the last use, as prune does."""
    words = [programs / "users", key(1), str(int(time.time()))]
    for last_use, said in ((0, "none"), (time.time() - 86400, "unknown"), (time.time() - 8 * 86400, "none")):
        inside = ["unshare", "--pid", "--fork", "--mount-proc", *words, str(int(last_use))]
        assert subprocess.run(inside, check=True, capture_output=True, text=True).stdout.strip() == said


@needs_root
def test_without_proc_all_is_unknown(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "PROCFS_PATH", "/nonexistent")
    assert usage.look().use(key(1), time.time()) is usage.Use.UNKNOWN
    words = [programs / "users", key(1), str(int(time.time())), "0"]
    inside = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc; "$@"', "sh", *words]
    assert subprocess.run(inside, check=True, capture_output=True, text=True).stdout == "unknown\n"
