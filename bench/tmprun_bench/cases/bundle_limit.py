"""How far the extraction of a bundle of 300 MB is from what the hardware and the decoder allow.

The limit is measured in the same rounds, by programs/limit.c: the same frames, decoded on all cores by the same
decoder's objects into a buffer that stays in the cache, from a mapping whose pages are there; and as many bytes written
into fresh pages of the same tmpfs. It neither reads the image, nor checks a digest, nor makes a file or a directory.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

from tmprun_bench.cases.extract import build
from tmprun_bench.corpora import catalogue, libreoffice
from tmprun_bench.corpora.app import App
from tmprun_bench.corpora.images import bundled, frames
from tmprun_bench.errors import WrongAnswer
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.decoder import zstd
from tmprun_bench.measure.harness import Subject, measure
from tmprun_bench.measure.results import Result
from tmprun_bench.measure.trees import digest
from tmprun_bench.programs import compiled

ROUNDS = 11
MUST = 1.5
FRAME = struct.Struct("<QQQ")


def bundle_limit(context: Context) -> Result:
    """Full extraction of a bundle of 300 MB to tmpfs against the limit of this machine."""
    result = Result("bundle-limit", "Full extraction of a bundle to tmpfs, and its limit")
    zstd()  # says that it needs the source tree before anything is made
    for app in (libreoffice.app(), catalogue.large()):
        image = bundled(app, context.packing)
        result.facts[f"{app.name} bundle bytes"] = image.stat().st_size
        ours = build(context, image, digest(app.appdir))
        decode, copy, whole = _limits(context, app, image)
        prefix = f"{app.name}: "
        result.add(measure([ours, whole, decode, copy], context.rounds(ROUNDS), context.work.root), prefix)
        result.compare(f"{prefix}extraction", prefix + ours.name, prefix + whole.name, must=MUST)
    return result


def _limits(context: Context, app: App, image: Path) -> tuple[Subject, Subject, Subject]:
    """One program, run for each of its two parts and for both together."""
    listed = frames(image)
    table = context.work.root / f"{app.name}.frames"
    table.write_bytes(b"".join(FRAME.pack(*frame) for frame in listed))
    threads = len(os.sched_getaffinity(0))
    headers, objects = zstd()
    program = compiled("limit", include=[headers], libraries=objects)
    run = context.work.step(program, image, table, context.work.root, str(threads), timed=True, answer=True)
    check = _decodes(sum(plain for _, _, plain in listed))

    def part(name: str, *keys: str) -> Subject:
        return Subject(name, (run,), check, reads=lambda output: sum(json.loads(output)[key] for key in keys) / 1e9)

    return (
        part("decode only", "decode_ns"),
        part("copy only", "copy_ns"),
        part("limit: decode + copy", "decode_ns", "copy_ns"),
    )


def _decodes(size: int) -> Callable[[bytes], None]:
    def check(output: bytes) -> None:
        if json.loads(output)["bytes"] != size:
            raise WrongAnswer(f"it decoded {output!r}, not {size} bytes")

    return check
