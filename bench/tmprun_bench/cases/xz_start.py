"""LibreOffice as many Electron apps are packed: squashfs with xz in blocks of 1 MiB.

What electron-builder made for years, and the worst case of a mount: whoever reads 4 KiB has a whole block decoded, by a
codec that is ten times as slow as zstd, on one core, and again as soon as the block has left a small cache. tmprun
decodes each block once, on all cores, what the app waits for first; warm starts never see xz. So the first start ever
stands for itself here, beside both ways that the image has to run by itself: the mount, and extract-and-run where there
is no FUSE.

The image has the runtime that such images have (corpora/images.py); its FUSE is libfuse 2. squashfuse_ll mounts the
same image. The app converts a text, which proves the answer of every run. Page cache warm.
"""

from __future__ import annotations

from dataclasses import replace

from tmprun_bench import subjects
from tmprun_bench.corpora import libreoffice, peers
from tmprun_bench.corpora.images import type2
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import measure
from tmprun_bench.measure.results import Result

ROUNDS = 7
CODEC, BLOCK = "xz", "1M"


def xz_start(context: Context) -> Result:
    """LibreOffice as a squashfs xz image with blocks of 1 MiB, as Electron apps are often packed."""
    result = Result("xz-start", "LibreOffice converts a text, out of an xz image with blocks of 1 MiB")
    context, app = replace(context, packing=replace(context.packing, block=BLOCK)), libreoffice.app()
    peers.fetch()
    mount = subjects.runtime_fuse(context, app, codec=CODEC)
    extracts = subjects.runtime_extract(context, app, codec=CODEC)
    mounts = [
        mount,
        subjects.squashfuse(context, app, low_level=True, codec=CODEC),
        subjects.squashfuse(context, app, low_level=True, several_threads=True, codec=CODEC),
    ]
    first, cold, warm = (
        subjects.foreign(context, app, state="first ever", codec=CODEC),
        subjects.foreign(context, app, state="cold", codec=CODEC),
        subjects.foreign(context, app, state="warm", codec=CODEC),
    )
    ways = [subjects.plain(context, app), *mounts, extracts, first, cold, warm]
    result.add(measure(ways, context.rounds(ROUNDS), context.work.root, memory=context.memory))
    result.sizes["xz image"] = type2(app, context.packing, codec=CODEC).stat().st_size
    for way, words in ((first, "first start ever"), (cold, "cold start"), (warm, "warm start")):
        for peer in (*mounts, extracts):
            must, reach = (0.14, 0.10) if (way, peer) == (first, mount) else (None, None)
            result.compare(f"{words}, against {peer.name}", way.name, peer.name, must=must, reach=reach)
    result.compare("first start ever, against the tree on tmpfs", first.name, ways[0].name, must=4.0, reach=2.5)
    return result
