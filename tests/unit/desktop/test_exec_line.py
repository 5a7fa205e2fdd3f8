"""The value of Exec, read and written."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tmprun.desktop.exec_line import command_line, words_of


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("app", ["app"]),
        ("app --mode %F", ["app", "--mode", "%F"]),
        ('"my app" "a \\\\"b\\\\"" c', ["my app", 'a "b"', "c"]),
        ('app "" x', ["app", "", "x"]),
        ('app "open', ["app", "open"]),
        ("", []),
        ("   ", []),
        ("app\\sx", ["app", "x"]),
    ],
)
def test_words(value: str, words: list[str]) -> None:
    assert words_of(value) == words


@given(some.lists(some.text(some.characters(exclude_characters="\0", exclude_categories=("Cs",))), min_size=1))
def test_what_is_written_is_read(words: list[str]) -> None:
    assert words_of(command_line(words)) == [word.replace("%", "%%") for word in words]


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        (["%F", "%U"], ["%F"]),
        (["--x=%f"], ["--x=%f"]),
        (["--x=%F"], []),
        (["%d", "%v", "%m"], []),
        (["%i", "%c", "%k", "%f"], ["%i", "%c", "%k", "%f"]),
        (["100%%"], ["100%%"]),
        (["50%"], []),
        (["a b %f"], []),
    ],
)
def test_field_codes(given_: list[str], kept: list[str]) -> None:
    assert words_of(command_line(["app"], given_)) == ["app", *kept]


@pytest.mark.parametrize("name", ["a b", 'quo"te', "do$lar", "back`tick", "back\\slash", "new\nline", "it's", "ü&;|<>"])
def test_glib_starts_the_same_words(name: str) -> None:
    """By the rules of a shell, which GLib splits the value by, once the value's own escapes are undone."""
    value = command_line(["printf", "<%s>", name]).replace("%%", "%").replace("\\n", "\n").replace("\\\\", "\\")
    done = subprocess.run(["sh", "-c", value], capture_output=True, text=True, check=True)
    assert done.stdout == f"<{name}>"
