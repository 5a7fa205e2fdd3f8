"""What the engine says of an image that is no bundle: its index, or why it refuses it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from kit.foreign_images import plain_frames, reader
from kit.harness import engine
from tmprun.elf.interpreter_plan import LOADERS, plan
from tmprun.errors import BadImage
from tmprun.index.decode import decode
from tmprun.index.encode import encode
from tmprun.index.impatient import is_impatient
from tmprun.index.nodes import Index

# What squashfs' codecs are called by mksquashfs: those that the engine reads by itself.
CODECS = ("gzip", "zstd", "xz", "lz4", "lzo")


def engine_says(image: Path, door: Path | None = None) -> bytes | str:
    """The index of an image as `tmprun @index` prints it, or the one line that it refuses it with, without its name."""
    command = [door or engine("tmprun"), "@index", image]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    if done.returncode == 0:
        assert done.stderr == b""
        return done.stdout
    said = done.stderr.decode("utf-8", "surrogateescape")
    assert done.returncode == 126 and done.stdout == b"" and said.count("\n") == 1, (done.returncode, said)
    begins = f"tmprun: {image}: "
    assert said.startswith(begins), said
    return said.removeprefix(begins).rstrip("\n")


def table_of(image: Path, door: Path | None = None) -> bytes:
    """The index of an image; BadImage, as the engine words it, when it refuses it."""
    said = engine_says(image, door)
    if isinstance(said, str):
        raise BadImage(said)
    return said


def index_of(image: Path, door: Path | None = None) -> Index:
    """The index, held to every rule of the format, and to what Python thinks of the files in it: what would help them
    on a machine without a loader, and who opens files without waiting."""
    table = table_of(image, door)
    index = decode(table)
    assert index.foreign
    assert index.image_size == os.stat(image).st_size
    assert table == _as_python_has_it(image, table)
    return index


def _as_python_has_it(image: Path, table: bytes) -> bytes:
    index = decode(table)
    root = index.nodes[0]
    part = reader(plain_frames(image, index))
    loader = any(node.name in LOADERS for node in index.nodes)
    return encode(
        root,
        index.frames,
        fixups=plan(root, part).fixups if loader else (),
        image_size=index.image_size,
        image_sha256=index.image_sha256,
        at_once=is_impatient(root, part),
    )
