"""The words in subjects' names that nobody else uses, explained where they are shown (METHODOLOGY.md has all)."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

WORDS = {
    "bundle": "made by tmprun pack",
    "foreign": "an AppImage as others make it",
    "first ever": "tmprun has never seen the image",
    "cold": "nothing is unpacked yet",
    "warm": "an earlier start has unpacked it",
    "eager": "all is unpacked before the app starts",
    "demand": "only what is opened is unpacked",
    "background": "all is unpacked while the app runs",
}

HARD_SPACE = "\u00a0"  # textwrap breaks no line there


def explained(names: Iterable[str], width: int) -> list[str]:
    """Those that occur in `names`, with what they mean, in lines of up to `width` characters."""
    text = " ".join(names)
    found = [f"{word}: {meaning}" for word, meaning in WORDS.items() if re.search(rf"\b{word}\b", text)]
    lines = textwrap.wrap("; ".join(one.replace(" ", HARD_SPACE) for one in found), width)
    return [line.replace(HARD_SPACE, " ") for line in lines]
