"""The engine's decoder of LZMA2 beside liblzma's, with sanitizers. `make fuzz` compares it with 7-Zip's."""

from __future__ import annotations

import lzma
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
NOISE = random.Random(3)

TEXT = b"".join(b"line %d of a text that says little, %d times\n" % (n, NOISE.randrange(9)) for n in range(5000))
PLAIN = {
    "nothing": b"",
    "one byte": b"x",
    "text": TEXT,
    "noise, which is stored": NOISE.randbytes(200_000),
    "noise between texts": TEXT[:70_000] + NOISE.randbytes(130_000) + TEXT[:90_000],
    "one byte for long": bytes(3_000_000),
    "short periods": b"".join(bytes([n, n + 1, 7])[: 1 + n % 3] * 3000 for n in range(1, 40)),
    "a program": Path("/bin/bash").read_bytes(),
    "far back": TEXT + NOISE.randbytes(1_500_000) + TEXT,
}
OPTIONS: list[dict[str, Any]] = [
    {"preset": 6},
    {"preset": 0},
    {"preset": 9 | lzma.PRESET_EXTREME},
    *({"lc": lc, "lp": lp, "pb": pb} for lc, lp, pb in [(0, 0, 0), (4, 0, 0), (0, 4, 4), (2, 2, 1), (1, 3, 3)]),
    {"dict_size": 4096},
]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("lzma2") / "decoder"
    flags = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-Wall", "-Wextra", "-Werror"]
    sources = [ROOT / "tests/probe/lzma2.c", ROOT / "stub/foreign/lzma2.c"]
    subprocess.run(["gcc", *flags, "-I", ROOT / "stub", "-o", program, *sources], check=True)
    return program


def decoded(decoder: Path, stored: bytes, room: int, dictionary: int = 24) -> tuple[int, bytes] | None:
    """How much was read, and the plain bytes; None when they are damaged."""
    done = subprocess.run([decoder, str(dictionary), str(room)], input=stored, capture_output=True, check=False)
    assert done.returncode in (0, 1) and done.stderr == b"", done.stderr.decode()
    used, _, plain = done.stdout.partition(b"\n")
    return None if done.returncode else (int(used), plain)


def compressed(plain: bytes, **options: Any) -> bytes:
    return lzma.compress(plain, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, **options}])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("what", PLAIN)
def test_it_finds_what_was_there(decoder: Path, what: str, options: dict[str, Any]) -> None:
    stored = compressed(PLAIN[what], **options)
    assert decoded(decoder, stored + b"what follows", len(PLAIN[what])) == (len(stored), PLAIN[what])


def test_a_later_dictionary_begins_anew(decoder: Path) -> None:
    """Two streams behind each other, the first without its end mark."""
    first, second = compressed(TEXT[:70_000]), compressed(TEXT[30_000:], lc=1, lp=2)
    stored = first[:-1] + second
    assert decoded(decoder, stored, 2 * len(TEXT)) == (len(stored), TEXT[:70_000] + TEXT[30_000:])


def test_what_is_cut_or_too_long_is_refused(decoder: Path) -> None:
    stored = compressed(TEXT[:3000] + NOISE.randbytes(100))
    for size in [*range(30), *range(30, len(stored) - 30, 41), *range(len(stored) - 30, len(stored))]:
        assert decoded(decoder, stored[:size], 3100) is None
    for room in (0, 1, 3099):
        assert decoded(decoder, stored, room) is None


def test_a_distance_beyond_the_dictionary_is_refused(decoder: Path) -> None:
    stored = compressed(PLAIN["far back"], dict_size=4 << 20)
    assert decoded(decoder, stored, 1 << 22, 24) and decoded(decoder, stored, 1 << 22, 40)
    assert decoded(decoder, stored, 1 << 22, 0) is None and decoded(decoder, stored, 1 << 22, 41) is None


def test_flipped_bits_are_refused_or_change_what_is_found(decoder: Path) -> None:
    """As liblzma sees it: what it refuses is refused, and what it finds is found."""
    plain = TEXT[:2000] + bytes(300) + TEXT[500:900]
    stored = compressed(plain)
    outcomes = set()
    for _ in range(100):
        bad = bytearray(stored)
        bad[NOISE.randrange(len(bad))] ^= 1 << NOISE.randrange(8)
        try:
            theirs = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2}])
            wanted = theirs.decompress(bytes(bad))
            found = decoded(decoder, bytes(bad), len(wanted))
            assert found is None if not theirs.eof else found == (len(bad) - len(theirs.unused_data), wanted)
            outcomes.add("found" if theirs.eof else "cut")
        except lzma.LZMAError:
            assert decoded(decoder, bytes(bad), 4096) is None
            outcomes.add("refused")
    assert "refused" in outcomes
