"""Makes what two fuzzers begin with: seeds.py FOLDER-OF-FUZZ_FRAMES FOLDER-OF-FUZZ_CODECS.

For the first, a bundle's index, its size before it, and the bytes that its frames lie in. For the second, blocks of
each codec, with the codec and the room for the plain bytes before them.
"""

import lzma
import sys
from pathlib import Path

import lz4.block
from lzallright import LZOCompressor

from tmprun.bundle.footer import read_footer, read_index

BCJ = (
    lzma.FILTER_X86, lzma.FILTER_POWERPC, lzma.FILTER_IA64, lzma.FILTER_ARM, lzma.FILTER_ARMTHUMB, lzma.FILTER_SPARC,
)  # fmt: skip
UNIT = 17


def frames(into: Path) -> None:
    with open("tests/data/good/golden.bundle", "rb") as bundle:
        footer = read_footer(bundle.fileno())
        assert footer is not None
        index = read_index(bundle.fileno(), footer)
        bundle.seek(footer.offset)
        payload = bundle.read(1 << 15)
    (into / "golden").write_bytes(len(index).to_bytes(8, "little") + index + payload)


def codecs(into: Path) -> None:
    code = Path("tmprun/engine/x86_64/tmprun").read_bytes() if Path("tmprun/engine/x86_64/tmprun").exists() else b""
    plains = [b"", b"x", b"text " * 50, bytes(range(256)) * 3, bytes(5000), (code or bytes(9000))[4096 : 4096 + 6000]]
    for number, plain in enumerate(plains):
        room = min(-(-len(plain) // UNIT), 0xFFFF).to_bytes(2, "little")
        blocks = [(0, lzma.compress(plain, check=check)) for check in (0, 1, 4, 10)]
        for bcj in BCJ:
            chain = [{"id": bcj}, {"id": lzma.FILTER_LZMA2, "preset": 1}]
            blocks.append((0, lzma.compress(plain, check=1, filters=chain)))
        blocks.append((1, lz4.block.compress(plain, store_size=False)))
        blocks.append((2, bytes(LZOCompressor().compress(plain))))
        for at, (codec, block) in enumerate(blocks):
            (into / f"{number}-{at}").write_bytes(bytes([codec]) + room + block)


frames(Path(sys.argv[1]))
codecs(Path(sys.argv[2]))
