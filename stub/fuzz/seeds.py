"""Makes what fuzzers begin with, in the folders `seeds-NAME` of the folder that is given.

fuzz_frames: a bundle's index, its size before it, and the bytes that its frames lie in. fuzz_squashfs: small file
systems, those of the tests' forge, whose tables are not compressed, and where there is mksquashfs some of its own.
fuzz_codecs: blocks of each codec that the front door alone decodes, the codec and the room for the plain bytes before
them. fuzz_lzma2: chunks of LZMA2, the size of the dictionary and the room before them. fuzz_slices: programs that ask
for a loader.
"""

import lzma
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import lz4.block
from lzallright import LZOCompressor

sys.path.insert(0, "tests")

from kit.elf_forge import program
from kit.squashfs_forge import DIRECTORY, SYMLINK, Entry, Forge, file_inode, symlink_inode

from tmprun.bundle.footer import read_footer, read_index

BCJ = (
    lzma.FILTER_X86, lzma.FILTER_POWERPC, lzma.FILTER_IA64, lzma.FILTER_ARM, lzma.FILTER_ARMTHUMB, lzma.FILTER_SPARC,
)  # fmt: skip
UNIT = 17  # bytes; see fuzz_codecs.c


def frames() -> bytes:
    with open("tests/data/good/golden.bundle", "rb") as bundle:
        footer = read_footer(bundle.fileno())
        assert footer is not None
        index = read_index(bundle.fileno(), footer)
        bundle.seek(footer.offset)
        payload = bundle.read(1 << 15)
    return len(index).to_bytes(8, "little") + index + payload


def record() -> bytes:
    """What the disk cache keeps of an image of one program (stub/slices/record.c)."""
    loader = b"/lib64/ld-linux-x86-64.so.2"
    asked = struct.pack("<256sII", loader, len(loader), 2 << 16)
    return b"TMPRPRG1" + struct.pack("<IIII32x", 1, 1, 2 << 16, 0) + asked + struct.pack("<IIQQII", 1, 1, 64, 0, 0, 0)


def forged() -> bytes:
    script = b"#!/bin/sh\nexec grep -r x .\n"
    forge = Forge(data=script * 4, fragments=[(96 + len(script), len(script) * 3 | 1 << 24)])
    inner = forge.directory(5, [Entry(b"link", forge.inode(symlink_inode(6, b"../run.sh")), 6, SYMLINK)])
    word = len(script) | 1 << 24
    one = forge.inode(file_inode(2, len(script), start=96, words=(word,), names=2))
    tail = forge.inode(file_inode(3, 40, fragment=0, offset=11))
    hole = forge.inode(file_inode(4, (1 << 17) + 40, words=(0,), fragment=0, offset=20))
    entries = [Entry(b"again", one, 2), Entry(b"hole.exe", hole, 4), Entry(b"inner", inner, 5, DIRECTORY)]
    return forge.top([*entries, Entry(b"run.sh", one, 2), Entry(b"tail", tail, 3)]).build()


def made(codec: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder, "top")
        (top / "a" / "b").mkdir(parents=True)
        for number in range(8):
            (top / "a" / f"file {number}.so").write_bytes(b"text %d" % number * number * 90)
        (top / "run.sh").write_bytes(b"#!/bin/sh\ntar x\n")
        (top / "link").symlink_to("run.sh")
        os.link(top / "run.sh", top / "a" / "b" / "again")
        out = Path(folder, "out")
        command = ["mksquashfs", top, out, "-comp", codec, "-b", "4K", "-nopad", "-quiet", "-no-progress"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return out.read_bytes()


def with_loader() -> bytes:
    """Programs that ask for a loader, and the loader."""
    content = program(gap=300)
    forge = Forge(data=content)
    word = len(content) | 1 << 24
    entries = []
    for number, name in enumerate((b"ld-linux-x86-64.so.2", b"program"), 2):
        place = forge.inode(file_inode(number, len(content), start=96, words=(word,), mode=0o755))
        entries.append(Entry(name, place, number))
    inner = forge.directory(5, entries)
    return forge.top([Entry(b"lib64", inner, 5, DIRECTORY)]).build()


def codecs() -> dict[str, bytes]:
    found = {}
    code = Path(sys.executable).resolve().read_bytes()[4096:10_000]
    for number, plain in enumerate([b"", b"x", b"text " * 50, bytes(range(256)) * 3, bytes(5000), code]):
        blocks = [(0, lzma.compress(plain, check=check)) for check in (0, 1, 4, 10)]
        for bcj in BCJ:
            chain = [{"id": bcj}, {"id": lzma.FILTER_LZMA2, "preset": 1}]
            blocks.append((0, lzma.compress(plain, check=1, filters=chain)))
        blocks.append((1, lz4.block.compress(plain, store_size=False)))
        blocks.append((2, bytes(LZOCompressor().compress(plain))))
        room = (-(-len(plain) // UNIT)).to_bytes(2, "little")
        for at, (codec, block) in enumerate(blocks):
            found[f"{number}-{at}"] = bytes([codec]) + room + block
    return found


def chunks() -> dict[str, bytes]:
    code = Path(sys.executable).resolve().read_bytes()[4096:10_000]
    found = {}
    for number, plain in enumerate(
        [b"", b"text " * 50, bytes(9000), os.urandom(300), code, code[:500] + os.urandom(90)]
    ):
        room, twice = ((-(-times * len(plain) // UNIT)).to_bytes(2, "little") for times in (1, 2))
        for lc, lp, pb in ((3, 0, 2), (0, 4, 0), (4, 0, 4)):
            filters = [{"id": lzma.FILTER_LZMA2, "lc": lc, "lp": lp, "pb": pb}]
            stored = lzma.compress(plain, lzma.FORMAT_RAW, filters=filters)
            found[f"{number}-{lc}{lp}{pb}"] = b"\x08" + room + stored
            found[f"{number}-{lc}{lp}{pb}-twice"] = b"\x08" + twice + stored[:-1] + stored
    return found


def linked() -> bytes:
    """A small program of this machine, with required versions in it; none where there is no compiler."""
    if not shutil.which("cc"):
        return b""
    with tempfile.TemporaryDirectory() as folder:
        source = b'#include <stdio.h>\nint main(void) { return puts(""); }'
        command = ["cc", "-x", "c", "-", "-s", "-Wl,-z,noseparate-code", "-o", f"{folder}/program"]
        subprocess.run(command, input=source, check=True)
        return Path(folder, "program").read_bytes()


def main(out: Path) -> None:
    squashfs = {"forged": forged(), "loader": with_loader()}
    seeds = {"frames": {"golden": frames()}, "squashfs": squashfs, "codecs": codecs(),
             "lzma2": chunks(),
             "slices": {"forged": program(gap=300), "linked": linked(), "record": record()}}  # fmt: skip
    if shutil.which("mksquashfs"):
        seeds["squashfs"] |= {codec: made(codec) for codec in ("gzip", "zstd", "xz", "lz4", "lzo")}
    for fuzzer, files in seeds.items():
        folder = out / f"seeds-fuzz_{fuzzer}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)


main(Path(sys.argv[1]))
