"""What the commands are declared to be, for whoever tells it on: help pages, completions, the manual page, tests.

Read from the objects that typer makes of the declarations, so that there is no second list of anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

DIRECTORIES = ("DIR", "APPDIR")


@dataclass(frozen=True)
class Option:
    """`names` as they are typed, the short one first; `value` is what its argument is called, empty for a flag."""

    names: tuple[str, ...]
    value: str
    text: str
    required: bool = False

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that the value may be, where these are all."""
        return tuple(self.value.split("|")) if "|" in self.value else ()


@dataclass(frozen=True)
class Argument:
    """`shown` is how it stands in the usage, `name` what people call it."""

    name: str
    shown: str
    text: str


@dataclass(frozen=True)
class Declared:
    """A command: its words behind `tmprun`, and what is said of it.

    `text` is in paragraphs, `examples` are commands to type. `commands` are those below it; `default` is the one of
    them that is meant where none is named.
    """

    words: tuple[str, ...]
    short: str
    text: tuple[str, ...]
    examples: tuple[str, ...]
    arguments: tuple[Argument, ...]
    options: tuple[Option, ...]
    commands: tuple[Declared, ...]
    default: Declared | None = None

    @property
    def usages(self) -> tuple[str, ...]:
        """How it is called, a line each."""
        if not self.words:
            return ("tmprun APP [ARGS...]", "tmprun COMMAND [ARGS...]")
        name = " ".join(("tmprun", *self.words))
        if self.commands:
            meant = self.default.usages if self.default else ()
            unnamed = (f"{name} {usage.removeprefix(name).split(None, 1)[1]}" for usage in meant)
            return (*unnamed, f"{name} COMMAND [ARGS...]")
        required = (f"{option.names[0]} {option.value}" for option in self.options if option.required)
        return (" ".join((name, "[OPTIONS]", *required, *(argument.shown for argument in self.arguments))),)


def all_of(command: Declared) -> Iterator[Declared]:
    """The command and all below it, in order."""
    yield command
    for inner in command.commands:
        yield from all_of(inner)


def declared(command: Any, words: tuple[str, ...] = ()) -> Declared:
    """What typer's object says of the command that these words name."""
    *paragraphs, examples = _paragraphs(command.help or "")
    commands = tuple(declared(command.commands[name], (*words, name)) for name in _names(command))
    default = getattr(command, "default", "")
    parameters = [each for each in command.params if not getattr(each, "hidden", False)]
    meant = next((each for each in commands if each.words[-1] == default), None)
    own = tuple(_option(each) for each in parameters if each.param_type_name == "option")
    return Declared(
        words,
        _first_sentence(paragraphs[0]) if paragraphs else "",
        tuple(paragraphs),
        tuple(examples.splitlines()),
        tuple(_argument(each) for each in parameters if each.param_type_name == "argument"),
        (*own, *(meant.options if meant else (HELP,))),
        commands,
        meant,
    )


HELP = Option(("-h", "--help"), "", "Show this page.")


def _names(command: Any) -> list[str]:
    return list(command.list_commands(None)) if hasattr(command, "commands") else []


def _paragraphs(text: str) -> list[str]:
    """The paragraphs, each as one line, and behind them the examples, a line each."""
    text, _, examples = text.partition("Examples:\n")
    paragraphs = [" ".join(each.split()) for each in re.split(r"\n\s*\n", text) if each.strip()]
    return [*paragraphs, "\n".join(line.strip() for line in examples.splitlines() if line.strip())]


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=\.) ", text)[0]


def _argument(parameter: Any) -> Argument:
    name = parameter.metavar or parameter.name.upper()
    many = "..." if parameter.nargs == -1 and "..." not in name else ""
    shown = f"{name}{many}" if parameter.required or "[" in name else f"[{name}{many}]"
    return Argument(name.strip("[]"), shown, parameter.help or "")


def _option(parameter: Any) -> Option:
    names = tuple(sorted(parameter.opts, key=lambda name: name.startswith("--")))
    value = "" if parameter.is_flag else parameter.metavar or parameter.name.upper()
    text = parameter.help or ""
    if not callable(parameter.default) and value and isinstance(parameter.default, str | int) and parameter.default:
        text += f" [default: {parameter.default}]"
    return Option(names, value, text, parameter.required)
