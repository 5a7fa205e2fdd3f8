"""AppDirs of any number and size of files, the same bytes on every machine.

A file is text, of 4,096 invented words as frequent as words are (Zipf), interspersed with runs of noise that no
compressor shrinks; how much of it is noise decides how well it compresses. Text without noise shrinks to a third. No
phrase comes twice on purpose: a packer that sees several files at once has no advantage over one that compresses
blocks of 128 KiB.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tmprun_bench.corpora import exit0
from tmprun_bench.corpora.app import App, no_arguments, prints
from tmprun_bench.errors import BenchError

WORDS = 4096
LONGEST = 12
RUN = 192  # bytes of text, or of noise, between two changes
A_DIRECTORY = 100  # files
PRIME = 0x100000001B3
MASK = 0xFFFFFFFFFFFFFFFF

Bytes = npt.NDArray[np.uint8]


def synthetic(
    name: str, title: str, *, files: int, size: int, noise: float, spread: float = 1.5, reads: Sequence[int] = ()
) -> App:
    """`files` files of `size` bytes together, the share `noise` of it incompressible.

    Sizes are lognormal with sigma `spread` (0: all equal). AppRun reads the files numbered `reads`, or just exits.
    """
    if not 0 <= noise <= 1 or not 0 < files <= size:
        raise BenchError(f"no corpus of {files} files in {size} bytes with {noise} noise can be made")

    def build(root: Path) -> None:
        exit0.build(root)
        for number, length in enumerate(_sizes(files, size, spread)):
            path = root / file_name(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content(number, length, noise))

    if not reads:
        return App(name, title, build, no_arguments, prints(b""), revision=exit0.revision())
    lengths = _sizes(files, size, spread)
    expected = checksum([content(number, lengths[number], noise) for number in reads])
    names = tuple(file_name(number) for number in reads)
    return App(name, title, build, lambda _: ("--read", *names), prints(expected), revision=exit0.revision())


def file_name(number: int) -> str:
    """The path in the AppDir of the file with this number."""
    return f"data/{number // A_DIRECTORY:04}/{number:06}"


def checksum(contents: Sequence[bytes], times: int = 1) -> bytes:
    """What programs/apprun.c prints when it reads files with these contents, `times` over."""
    # One pass over all files maps the sum before it to `sum * factor + term`.
    factor, term = 1, 0
    for data in contents:
        for word in array("Q", data + bytes(-len(data) % 8)):
            factor = factor * PRIME & MASK
            term = (term * PRIME + word) & MASK
    total = 0
    for _ in range(times):
        total = (total * factor + term) & MASK
    return b"%d %016x\n" % (times * sum(map(len, contents)), total)


def content(number: int, length: int, noise: float) -> bytes:
    """The `length` bytes of the file with this number."""
    # The raw output of PCG64 is the same in every version of numpy, which its distributions are not.
    bits = np.random.PCG64(number)
    noisy = int(length * noise)
    text = _text(bits, length - noisy)
    random: Bytes = bits.random_raw(noisy // 8 + 1).view(np.uint8)[:noisy]
    return _interleave(text, random).tobytes()


def _text(bits: np.random.PCG64, length: int) -> Bytes:
    table, lengths, chosen = _vocabulary()
    parts: list[Bytes] = []
    have = 0
    while have < length:
        draws = bits.random_raw((length - have) // 16 + 8).view(np.uint16)
        words = chosen[draws]
        part: Bytes = table[words][np.arange(LONGEST) < lengths[words][:, None]]
        parts.append(part)
        have += len(part)
    return np.concatenate(parts)[:length] if parts else np.empty(0, np.uint8)


def _interleave(text: Bytes, noise: Bytes) -> Bytes:
    """Runs of noise between runs of text, as many as there are of the rarer kind."""
    whole: Bytes = np.empty(len(text) + len(noise), np.uint8)
    runs = max(1, min(len(text), len(noise)) // RUN)
    at = 0
    for pieces in zip(np.array_split(text, runs), np.array_split(noise, runs), strict=True):
        for piece in pieces:
            whole[at : at + len(piece)] = piece
            at += len(piece)
    return whole


@cache
def _vocabulary() -> tuple[Bytes, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The words, one a row; their lengths, a space included; and for each 16-bit number the word that it stands for."""
    bits = np.random.PCG64(4096)
    lengths = (bits.random_raw(WORDS) % (LONGEST - 2) + 2).astype(np.int64)
    letters = bits.random_raw(WORDS * LONGEST).reshape(WORDS, LONGEST) % 26 + ord("a")
    table: Bytes = np.where(np.arange(LONGEST) == lengths[:, None] - 1, ord(" "), letters).astype(np.uint8)
    share = np.cumsum(1 / np.arange(1, WORDS + 1))
    chosen = np.searchsorted(share / share[-1], (np.arange(1 << 16) + 0.5) / (1 << 16))
    return table, lengths, chosen


def _sizes(files: int, size: int, spread: float) -> list[int]:
    """`files` sizes, at least 1, `size` in sum."""
    if spread == 0:
        return [size // files + (number < size % files) for number in range(files)]
    raw = np.random.PCG64(files).random_raw(files * 12).reshape(files, 12)
    # Twelve uniform numbers, less six, are a normal one near enough; and sums are the same everywhere.
    normal = (raw >> np.uint64(11)).astype(np.float64).sum(axis=1) / 2**53 - 6
    weight = np.round(np.exp(normal * spread), 6)  # the last digits of an exponential differ between machines
    sizes = np.maximum(1, np.floor(weight / weight.sum() * (size - files)).astype(np.int64))
    sizes[int(np.argmax(sizes))] += size - int(sizes.sum())
    return [int(length) for length in sizes]
