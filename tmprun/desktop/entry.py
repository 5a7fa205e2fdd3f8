"""The desktop entry of an AppDir: what people call the app. It is for showing, never part of a path."""

from __future__ import annotations

GROUP = b"[Desktop Entry]"
MAX_SIZE = 1 << 20
"""Bytes; a file that is larger is no desktop entry."""


def desktop_entry(content: bytes) -> dict[str, str]:
    """The keys of the group "Desktop Entry" with their values as written; a key's first value counts.

    Follows the Desktop Entry Specification, "Basic format of the file", without the escapes and the other groups.
    """
    keys: dict[str, str] = {}
    inside = False
    for line in map(bytes.strip, content[:MAX_SIZE].split(b"\n")):
        if line.startswith(b"["):
            inside = line == GROUP
        elif inside and b"=" in line and not line.startswith(b"#"):
            key, _, value = line.partition(b"=")
            keys.setdefault(key.rstrip().decode("utf-8", "replace"), value.lstrip().decode("utf-8", "replace"))
    return keys
