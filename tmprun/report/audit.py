"""Comparing published trees with their images: `tmprun cache verify`."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tmprun.errors import EngineFailed, TmprunError
from tmprun.start import ask_engine
from tmprun.store import entries, layout
from tmprun.store.entries import Entry
from tmprun.store.eviction import evict
from tmprun.store.shelves import FILE, Root

INTACT, DAMAGED, UNVERIFIED = "intact", "damaged", "unverified"


@dataclass(frozen=True)
class Finding:
    """One entry. `result` is one of the three above, `reason` why it could not be verified or removed.

    `differences` is about what the image brought, `added` are paths of what it did not bring, which may stay.
    """

    entry: Entry
    result: str
    reason: str = ""
    differences: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: bool = False


def audit(roots: Sequence[Root], image: str | None, *, repair: bool) -> Iterator[Finding]:
    """Verify the trees of `image`, or all of them. With `repair` the damaged ones are removed, unless they are in use.

    TmprunError when `image` is none, or is not unpacked anywhere.
    """
    found = entries.entries(roots)
    if image is not None:
        with ask_engine.told(image) as about:
            found = [entry for entry in found if about.key in (entry.key, entries.origin(entry))]
        if not found:
            raise TmprunError("is not unpacked anywhere", image, "there is nothing to verify")
    for entry in found:
        finding = _verify(entry, image or entry.source)
        yield _repaired(finding) if repair and finding.result == DAMAGED else finding


def _verify(entry: Entry, source: str) -> Finding:
    """Compare one tree with the image at `source`, which may be another one by now."""
    if not entry.complete:
        return Finding(entry, UNVERIFIED, "it is incomplete, or still being filled")
    if not source.startswith("/") and entry.source == source:
        return Finding(entry, UNVERIFIED, "it does not say which image it came from")
    try:
        with _held(entry), ask_engine.told(source) as image:
            if image.key not in (entry.key, entries.origin(entry)):
                return Finding(entry, UNVERIFIED, f"{source} is another image now")
            differences, added = ask_engine.verify(source, entry.path, image)
    except TmprunError as error:
        return Finding(entry, UNVERIFIED, str(error))
    except EngineFailed:
        return Finding(entry, UNVERIFIED, "the engine could not read the image")
    except OSError as error:
        return Finding(entry, UNVERIFIED, error.strerror or str(error))
    return Finding(entry, DAMAGED if differences else INTACT, "", tuple(differences), tuple(added))


@contextmanager
def _held(entry: Entry) -> Iterator[None]:
    """Keep prune away from the entry, as a running app does. OSError when it is just being removed."""
    lease = os.open(f"{os.path.dirname(entry.path)}/{layout.LEASE}", FILE)
    try:
        fcntl.flock(lease, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lease)


def _repaired(finding: Finding) -> Finding:
    entry = finding.entry
    kept = evict(entry.root.path, [entry.key]).get(entry.key, "")
    return Finding(entry, DAMAGED, kept and f"not removed: {kept}", finding.differences, finding.added, not kept)
