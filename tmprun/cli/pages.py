"""Help pages: at most 80 columns, what is typed as it is typed, examples, and no types."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import typer.core

from tmprun.cli.declared import Declared, declared
from tmprun.errors import TmprunError

COLUMNS = 79
WIDE = 28  # columns; a name that takes more has its text below it


class Command(typer.core.TyperCommand):
    """A command whose page is ours."""

    def get_help(self, ctx: Any) -> str:
        return page(declared(self, words_of(ctx)))


class Group(typer.core.TyperGroup):
    """A command with commands below it; `default` names the one that is meant when none is."""

    default = ""

    def get_help(self, ctx: Any) -> str:
        return page(declared(self, words_of(ctx)))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if self.default and args and args[0] not in (*self.commands, "-h", "--help"):
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in self.commands and not args[0].startswith("-"):
            words = " ".join(words_of(ctx))
            remedy = meant(args[0], self.list_commands(ctx)) or f"see tmprun {words + ' ' if words else ''}--help"
            raise TmprunError(f"no such command {args[0]!r}", remedy=remedy)
        return super().resolve_command(ctx, args)


def words_of(context: Any) -> tuple[str, ...]:
    """The words behind `tmprun` that name the command of a context."""
    return tuple(context.command_path.split()[1:])


def meant(word: str, known: Sequence[str]) -> str:
    """What might have been meant by a mistyped word; nothing when nothing is like it."""
    found = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {found[0]}?" if found else ""


def page(command: Declared) -> str:
    """The help page of a command, in lines."""
    first, *others = command.usages
    lines = [*_usage("Usage: ", first), *(line for each in others for line in _usage("       ", each))]
    for paragraph in command.text:
        lines += ["", *textwrap.wrap(paragraph, COLUMNS, initial_indent="  ", subsequent_indent="  ")]
    lines += _section("Arguments", [(each.name, each.text) for each in command.arguments if each.text])
    lines += _section("Commands", [(each.words[-1], each.short) for each in command.commands])
    rows = [(f"{', '.join(option.names)} {option.value}".rstrip(), option.text) for option in command.options]
    lines += _section("Options", rows)
    if command.examples:
        lines += ["", "Examples:", *(f"  {line}" for line in command.examples)]
    return "\n".join(lines)


def _usage(before: str, text: str) -> list[str]:
    lead = " " * (len(before) + len("tmprun "))
    return textwrap.wrap(before + text, COLUMNS, subsequent_indent=lead, break_on_hyphens=False)


def _section(title: str, rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max((len(name) for name, _ in rows if len(name) <= WIDE), default=0)
    return ["", f"{title}:", *(line for row in rows for line in _row(*row, width))] if rows else []


def _row(name: str, text: str, width: int) -> Iterator[str]:
    lines = textwrap.wrap(text, COLUMNS - width - 4, break_on_hyphens=False) or [""]
    if len(name) > width:
        yield f"  {name}"
        name = ""
    for line in lines:
        yield f"  {name:<{width}}  {line}".rstrip()
        name = ""
