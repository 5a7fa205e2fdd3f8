"""The manual page, made of what the commands are declared to be."""

from __future__ import annotations

from collections.abc import Iterator

from tmprun import __version__
from tmprun.cli.declared import Declared, all_of

ESCAPES = {"\\": "\\e", "-": "\\-", '"': "\\(dq", "'": "\\(aq", "`": "\\(ga"}
STATUSES = (
    ("the app's own", "an app was run"),
    ("0", "done"),
    ("1", "cache verify found damage, doctor nothing that can be started, bench a limit that is exceeded"),
    ("126", "the file is there and cannot be used"),
    ("127", "anything else: no such file, a wrong argument, no room, an error of the system"),
    ("130", "interrupted"),
)


def manual(top: Declared) -> str:
    """The page tmprun(1)."""
    return "\n".join(_lines(top)) + "\n"


def _lines(top: Declared) -> Iterator[str]:
    yield f'.TH TMPRUN 1 "" "tmprun {__version__}" "User Commands"'
    yield from (".SH NAME", f"tmprun \\- {_plain(top.short.rstrip('.'))}", ".SH SYNOPSIS")
    for usage in top.usages:
        yield from (".B " + _plain(usage), ".br")
    yield ".SH DESCRIPTION"
    yield from _body(top)
    yield ".SH COMMANDS"
    for command in all_of(top):
        if command.words:
            yield f".SS {_plain(' '.join(command.words))}"
            for usage in command.usages:
                yield from (".B " + _plain(usage), ".br")
            yield ".PP"
            yield from _body(command)
    yield ".SH EXIT STATUS"
    for status, meaning in STATUSES:
        yield from (".TP", ".B " + _plain(status), _text(meaning))


def _body(command: Declared) -> Iterator[str]:
    for paragraph in command.text:
        yield from (_text(paragraph), ".PP")
    for argument in command.arguments:
        if argument.text:
            yield from (".TP", ".I " + _plain(argument.name), _text(argument.text))
    for option in command.options:
        yield from (".TP", ".B " + _plain(f"{', '.join(option.names)} {option.value}".rstrip()), _text(option.text))
    if command.examples:
        yield from (".PP", "Examples:", ".PP", ".nf", *(_text("    " + each) for each in command.examples), ".fi")


def _plain(text: str) -> str:
    """Text in which hyphens are what is typed, and nothing is a command of roff's."""
    return (
        text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").replace("'", "\\(aq").replace("`", "\\(ga")
    )


def _text(text: str) -> str:
    """The same as a line of its own, which must not begin with a dot."""
    return "\\&" + _plain(text)
