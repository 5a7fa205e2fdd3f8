"""What is made of the commands' declarations: pages, completions, the manual page; and that docs/cli.md agrees."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tmprun.cli import shipped
from tmprun.cli.app import COMMANDS, IN_SHORT, everything
from tmprun.cli.declared import Declared, all_of

ROOT = Path(__file__).resolve().parents[3]
TOP = everything()
ALL = {" ".join(command.words): command for command in all_of(TOP)}
PAGES = dict(shipped.pages(TOP))
SHARE = shipped.share(TOP)
DOCS = (ROOT / "docs" / "cli.md").read_text()


def options(*commands: Declared) -> set[str]:
    return {name for command in commands for option in command.options for name in option.names}


@pytest.mark.parametrize("words", ALL)
def test_a_page_has_80_columns_examples_and_no_types(words: str) -> None:
    text = PAGES[words]
    assert max(map(len, text.splitlines())) < 80
    assert not re.search(r"<(str|int|list|path)|\{[A-Z]|\[required\]", text)
    assert not re.search(r"\.\.\.$", text.partition("\nCommands:")[2], re.MULTILINE)
    assert "\nExamples:\n" in text
    assert text.splitlines()[0].startswith("Usage: tmprun")


@pytest.mark.parametrize("words", ALL)
def test_the_examples_can_be_typed(words: str) -> None:
    """Each names a command and options that there are, and every command is in an example of its own page."""
    for example in ALL[words].examples:
        typed = shlex.split(re.sub(r'"\$\((.*)\)"', r"; \1", example))
        typed = typed[typed.index("tmprun") + 1 :]
        named = [word for word in typed if not word.startswith("-")]
        found = next((ALL[" ".join(named[:n])] for n in (2, 1) if " ".join(named[:n]) in ALL), ALL["run"])
        known = options(found, *found.commands, *([found.default] if found.default else []))
        ours = typed[: typed.index("--")] if "--" in typed else typed
        if found.words and found.words[0] not in ("run", "bench") and named[0] in COMMANDS:
            assert {word for word in ours if word.startswith("-")} <= known
        if words:
            assert found.words[: len(ALL[words].words)] == ALL[words].words or found.words == ALL[words].words[:1]


def test_the_first_page_lists_the_commands_in_order_each_in_a_line() -> None:
    listed = re.findall(r"^  (\w+)  +\S.*[.)]$", PAGES[""].partition("Commands:")[2].partition("Options:")[0], re.M)
    assert tuple(listed) == COMMANDS


def test_what_tmprun_alone_says_is_short() -> None:
    assert len(IN_SHORT.splitlines()) <= 10
    assert max(map(len, IN_SHORT.splitlines())) < 80


def sections() -> dict[str, str]:
    return dict(re.findall(r"^## ([a-z]+)\n(.*?)(?=^## |\Z)", DOCS, re.MULTILINE | re.DOTALL))


def test_the_page_on_the_command_line_has_a_section_for_each_command() -> None:
    assert sections().keys() | {"help"} == set(COMMANDS)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "help"])
def test_the_page_on_the_command_line_names_the_options_that_there_are(command: str) -> None:
    named = {option.names for each in all_of(ALL[command]) for option in each.options} - {("-h", "--help")}
    there = {name for names in named for name in names}
    text = sections()[command]
    usage = "\n".join(re.findall(r"^    tmprun .*(?:\n     +\S.*)*", text, re.MULTILINE))
    written = set(re.findall(r"(?<![\w-])--?[a-zA-Z][a-z-]*", text))
    assert [names for names in named if not written.intersection(names)] == [], "not in docs/cli.md"
    assert set(re.findall(r"(?<![\w-])--?[a-zA-Z][a-z-]*", usage)) - there - {"--version"} == set(), "no such option"


def test_what_prints_json_has_a_schema() -> None:
    titles = [json.loads(path.read_text())["title"] for path in (ROOT / "tmprun" / "schemas").glob("*.json")]
    described = {command.removeprefix("tmprun ") for title in titles for command in title.split("; ")}
    printing = {f"{words} --json" for words, command in ALL.items()
                if any("--json" in option.names and not option.value for option in command.options)}  # fmt: skip
    assert described == printing


# Completions


def completed_by_bash(folder: Path, *words: str) -> set[str]:
    (folder / "script").write_text(SHARE["bash-completion/completions/tmprun"])
    line = " ".join(shlex.quote(word) for word in words)
    code = (
        f'. ./script; COMP_WORDS=(tmprun {line}); COMP_CWORD={len(words)}; _tmprun; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return {line for line in done.stdout.splitlines() if line}


def completed_by_fish(folder: Path, *words: str) -> set[str]:
    (folder / "script").write_text(SHARE["fish/vendor_completions.d/tmprun.fish"])
    line = " ".join(["tmprun", *words])
    code = f"source ./script; complete -C {shlex.quote(line)}"
    env = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    done = subprocess.run(["fish", "-c", code], cwd=folder, env=env, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return {line.partition("\t")[0] for line in done.stdout.splitlines()}


@pytest.mark.parametrize("complete", [completed_by_bash, completed_by_fish], ids=["bash", "fish"])
@pytest.mark.parametrize(
    ("words", "some"),
    [
        (["cach"], {"cache"}),
        (["cache", ""], {"list", "path", "prune", "clear", "verify"}),
        (["cache", "prune", "--o"], {"--older-than"}),
        (["run", "--fill", ""], {"eager", "background", "demand"}),
        (["run", "--fill", "eager", "an"], {"an.app"}),
        (["info", "an"], {"an.app"}),
        (["an"], {"an.app"}),
        (["an.app", "cache", "an"], {"an.app"}),
        (["help", "ben"], {"bench"}),
        (["extract", "-C", "a"], {"a folder"}),
    ],
)
def test_completion(tmp_path: Path, complete, words: list[str], some: set[str]) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "an.app").touch()
    (tmp_path / "a folder").mkdir()
    found = {word.rstrip("/").replace("\\", "") for word in complete(tmp_path, *words)}
    assert some <= found
    if words[0] != "an.app" and complete is not completed_by_fish:  # which offers what has the letters anywhere, too
        assert all(word.startswith(words[-1]) for word in found)
    if "-C" in words:
        assert "an.app" not in found


def test_completion_by_zsh_is_sound(tmp_path: Path) -> None:
    """It is loaded and defines itself; what it offers is the table that bash has, too."""
    folder = tmp_path / "functions"
    folder.mkdir()
    (folder / "_tmprun").write_text(SHARE["zsh/site-functions/_tmprun"])
    code = f"fpath=({shlex.quote(str(folder))} $fpath); autoload -Uz compinit; compinit -D; echo $_comps[tmprun]"
    done = subprocess.run(["zsh", "-fc", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("_tmprun\n", "")
    subprocess.run(["zsh", "-n", folder / "_tmprun"], check=True)


def test_the_manual_page_is_sound(tmp_path: Path) -> None:
    (tmp_path / "tmprun.1").write_text(SHARE["man/man1/tmprun.1"])
    env = {"PATH": os.environ["PATH"], "MANWIDTH": "100", "LC_ALL": "C.UTF-8", "HOME": str(tmp_path)}
    command = ["man", "--warnings", "-l", tmp_path / "tmprun.1"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    for words, command_ in ALL.items():
        assert words in done.stdout
        assert all(name in done.stdout for name in options(command_))
