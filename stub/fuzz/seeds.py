"""Makes what fuzzers begin with, in the folders `seeds-NAME` of the folder that is given.

fuzz_frames: a bundle's index, its size before it, and the bytes that its frames lie in. fuzz_squashfs: small file
systems, those of the tests' forge, whose tables are not compressed, and where there is mksquashfs some of its own.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, "tests")

from kit.squashfs_forge import DIRECTORY, SYMLINK, Entry, Forge, file_inode, symlink_inode

from tmprun.bundle.footer import read_footer, read_index


def frames() -> bytes:
    with open("tests/data/good/golden.bundle", "rb") as bundle:
        footer = read_footer(bundle.fileno())
        assert footer is not None
        index = read_index(bundle.fileno(), footer)
        bundle.seek(footer.offset)
        payload = bundle.read(1 << 15)
    return len(index).to_bytes(8, "little") + index + payload


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


def main(out: Path) -> None:
    seeds = {"frames": {"golden": frames()}, "squashfs": {"forged": forged()}}
    if shutil.which("mksquashfs"):
        seeds["squashfs"] |= {codec: made(codec) for codec in ("gzip", "zstd")}
    for fuzzer, files in seeds.items():
        folder = out / f"seeds-fuzz_{fuzzer}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)


main(Path(sys.argv[1]))
