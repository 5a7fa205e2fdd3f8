"""The value of Exec in a desktop entry: its words, and how to write one.

Desktop Entry Specification, "The Exec key".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

ESCAPES = {"s": " ", "n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
RESERVED = re.compile(r"""[\s"'\\><~|&;$*?#()`]""")
CODE = re.compile(r"%(.)")
ONE_FILE, FILES, OTHERS = "fu", "FU", "ick"


def words_of(value: str) -> list[str]:
    """The words of a value, quotes removed, with the field codes in them. What ends in a quote ends with the value."""
    text = re.sub(r"\\(.)", lambda match: ESCAPES.get(match[1], match[0]), value)
    words, word, quoted, at = [], "", False, 0
    begun = False
    while at < len(text):
        char = text[at]
        if char == '"':
            quoted, begun = not quoted, True
        elif quoted and char == "\\" and text[at + 1 : at + 2] in ('"', "`", "$", "\\"):
            at += 1
            word += text[at]
        elif char in " \t\n" and not quoted:
            words += [word] if begun else []
            word, begun = "", False
        else:
            word, begun = word + char, True
        at += 1
    return [*words, word] if begun else words


def command_line(program: Sequence[str], arguments: Sequence[str] = ()) -> str:
    """A value that starts `program`, whose words are taken as they are, with `arguments`, which may have field codes.

    A list of files stands alone, only one word brings files, and codes that are none any more are left out.
    """
    return " ".join([*(_word(each.replace("%", "%%")) for each in program), *map(_word, _with_codes(arguments))])


def _with_codes(arguments: Sequence[str]) -> list[str]:
    found, files = [], False
    for argument in arguments:
        codes = [code for code in CODE.findall(argument) if code != "%"]
        list_inside = any(code in FILES for code in codes) and len(argument) > 2
        twice = files and any(code in FILES + ONE_FILE for code in codes)
        if list_inside or twice or len(codes) > 1 or argument.count("%") % 2 != len(codes) % 2:
            continue
        if codes and codes[0] not in FILES + ONE_FILE + OTHERS:
            continue
        files = files or bool(codes and codes[0] in FILES + ONE_FILE)
        if codes and RESERVED.search(argument):  # a code must not stand in quotes
            continue
        found.append(argument)
    return found


def _word(word: str) -> str:
    if word and not RESERVED.search(word):
        return word
    quoted = '"' + re.sub(r'(["`$\\])', r"\\\1", word) + '"'
    for char, name in (("\\", "\\\\"), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        quoted = quoted.replace(char, name)
    return quoted
