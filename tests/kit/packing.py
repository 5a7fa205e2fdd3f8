"""What the tests of packing share."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kit.bundle_reader import Bundle
from kit.trees import Entry
from tmprun.errors import TmprunError
from tmprun.pack.pack import PackReport, pack

EPOCH = 1_700_000_000
MIB = 1 << 20


def script(path: Path, text: str = "#!/bin/sh\necho hello\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def quickly(appdir: Path, out: Path, **options: Any) -> PackReport:
    return pack(appdir, out, **{"level": 1, **options})


def refused(appdir: Path, out: Path, **options: Any) -> list[str]:
    """The reasons that packing gives, each one line; nothing may be left of the attempt."""
    before = sorted(out.parent.iterdir()) if out.parent.is_dir() else []
    with pytest.raises(TmprunError) as caught:
        quickly(appdir, out, **options)
    assert before == (sorted(out.parent.iterdir()) if out.parent.is_dir() else [])
    lines = [str(error) for error in (caught.value, *getattr(caught.value, "also", ()))]
    assert all(line.isprintable() for line in lines)
    return lines


def payload(path: Path) -> str:
    return f"tail -c +{Bundle(path).footer.offset + 1} '{path}'"


def archived(tree: dict[bytes, Entry]) -> dict[bytes, Entry]:
    """The tree as tar makes it: files with the same mode, mtime and content are hard links of one, unless empty."""
    names: dict[tuple[int, int, bytes], frozenset[bytes]] = {}
    for mode, mtime, content, own in tree.values():
        names[mode, mtime, content] = names.get((mode, mtime, content), frozenset()) | own
    return {
        path: entry._replace(names=names[entry[:3]]) if stat.S_ISREG(entry.mode) and entry.content else entry
        for path, entry in tree.items()
    }


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
