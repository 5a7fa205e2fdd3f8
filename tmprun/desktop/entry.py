"""The desktop entry of an AppDir: what people call the app. It is never part of a path as it is."""

from __future__ import annotations

GROUP = "Desktop Entry"
MAX_ENTRY = 1 << 20
"""Bytes; a file that is larger is no desktop entry."""


def desktop_entry(content: bytes) -> dict[str, str]:
    """The keys of the group "Desktop Entry" with their values as written; a key's first value counts."""
    return groups(content).get(GROUP, {})


def groups(content: bytes) -> dict[str, dict[str, str]]:
    """The keys of each group, with their values as written; a key's first value counts, in a group's first piece.

    Follows the Desktop Entry Specification, "Basic format of the file", without the escapes.
    """
    found: dict[str, dict[str, str]] = {}
    keys: dict[str, str] = {}
    for line in map(bytes.strip, content[:MAX_ENTRY].split(b"\n")):
        if line.startswith(b"["):
            keys = found.setdefault(_text(line[1:].partition(b"]")[0]), {}) if line.endswith(b"]") else {}
        elif b"=" in line and not line.startswith(b"#"):
            key, _, value = line.partition(b"=")
            keys.setdefault(_text(key.rstrip()), _text(value.lstrip()))
    return found


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
