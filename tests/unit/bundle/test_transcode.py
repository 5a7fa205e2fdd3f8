"""Images whose codec the engine lacks become bundles of the same tree."""

from __future__ import annotations

import lzma
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lz4.block
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images.test_squashfs_hostile import within_bounds
from kit.bundle_reader import Bundle
from kit.foreign_images import mksquashfs, sample_tree, tree_with, unsquash, write_image
from kit.real_images import LINUXDEPLOY, REAL, unsquash_payload
from kit.squashfs_forge import BLOCK, Entry, Forge, file_inode
from kit.surroundings import needs_root
from kit.trees import snapshot
from lzallright import LZOCompressor
from start.test_importer import SETTLE, Machine, machine

from tmprun.bundle import transcode
from tmprun.errors import BadImage
from tmprun.images import compile as foreign
from tmprun.images.codecs import codec_for
from tmprun.images.compile import compile_opened
from tmprun.images.identity import identity
from tmprun.images.image import Image
from tmprun.images.lzo_length import plain_length
from tmprun.index.rules import HOLE
from tmprun.start.importer import ensure_known

__all__ = ["machine"]  # a fixture
TRANSCODED = ("xz", "lz4", "lzo")
LZO, XZ, LZ4 = 3, 4, 5


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_tree(tmp_path_factory.mktemp("sample") / "tree")


def make(sample: Path, tmp_path: Path, *options: str) -> Path:
    path = write_image(tmp_path / "app.AppImage", mksquashfs(sample, tmp_path / "squashfs", *options))
    time.sleep(SETTLE)
    return path


def made_of(image: Path) -> Path:
    """The bundle that the image is made into: its path in the cache."""
    known = ensure_known(str(image))
    assert known.bundle is not None
    path = Path(os.readlink(f"/proc/self/fd/{known.bundle}"))
    os.close(known.bundle)
    assert path.name == known.name
    return path


@pytest.mark.parametrize("block", ["4K", "128K", "1M"])
@pytest.mark.parametrize("compressor", TRANSCODED)
def test_same_tree_as_unsquashfs(machine: Machine, sample: Path, tmp_path: Path, compressor: str, block: str) -> None:
    image = make(sample, tmp_path, "-comp", compressor, "-b", block)
    bundle = Bundle(made_of(image))
    assert tree_with(bundle.index, bundle.content) == snapshot(unsquash(tmp_path / "squashfs", tmp_path / "wanted"))


@pytest.mark.parametrize(
    "options",
    [
        ["-comp", "xz", "-Xbcj", "x86,arm", "-Xdict-size", "50%"],
        ["-comp", "lz4", "-Xhc"],
        ["-comp", "lzo", "-Xalgorithm", "lzo1x_1_15"],
        ["-comp", "xz", "-noD", "-noF"],
        ["-comp", "xz", "-no-fragments"],
        ["-comp", "xz", "-always-use-fragments"],
    ],
    ids=" ".join,
)
def test_options_of_mksquashfs(machine: Machine, sample: Path, tmp_path: Path, options: list[str]) -> None:
    bundle = Bundle(made_of(make(sample, tmp_path, *options)))
    assert tree_with(bundle.index, bundle.content) == snapshot(unsquash(tmp_path / "squashfs", tmp_path / "wanted"))


def test_real_images(machine: Machine, hello: dict[str, Path], tmp_path: Path) -> None:
    """Behind a real runtime here; others made those in the folder beside the checkout, where it is."""
    images = [(hello[codec], LINUXDEPLOY.payload) for codec in TRANSCODED]
    images += [(image.path, image.payload) for image in REAL if image.codec in TRANSCODED]
    for number, (image, payload) in enumerate(images):
        bundle = Bundle(made_of(image))
        wanted = snapshot(unsquash_payload(image, payload, tmp_path / f"wanted {number}"))
        assert wanted and tree_with(bundle.index, bundle.content) == wanted


def test_holes_stay_holes(machine: Machine, sample: Path, tmp_path: Path) -> None:
    bundle = Bundle(made_of(make(sample, tmp_path, "-comp", "lz4")))
    assert HOLE in {run[0] for run in bundle.by_path[b"usr/share/sparse"].segments}


@pytest.mark.parametrize("options", [[], ["-no-fragments"]], ids=" ".join)
def test_copies_stay_copies(machine: Machine, tmp_path: Path, options: list[str]) -> None:
    """What mksquashfs stored once we do not store twice, nor decode twice; one of another time is not a copy."""
    source = tmp_path / "tree"
    source.mkdir()
    for name, size, mtime in [("a", 3, 1), ("b", 3, 1), ("c", 3, 2), ("d", 300_000, 1), ("e", 300_000, 1)]:
        (source / name).write_bytes(random.Random(size).randbytes(size))
        os.utime(source / name, (mtime, mtime))
    bundle = Bundle(made_of(make(source, tmp_path, "-comp", "xz", *options)))
    places = {path: tuple(node.segments) for path, node in bundle.by_path.items() if path}
    assert places[b"a"] == places[b"b"] and places[b"d"] == places[b"e"] and len(set(places.values())) == 3
    assert tree_with(bundle.index, bundle.content) == snapshot(source)


def test_programs_come_first(machine: Machine, sample: Path, tmp_path: Path) -> None:
    bundle = Bundle(made_of(make(sample, tmp_path, "-comp", "lz4")))
    first = {path for path, node in bundle.by_path.items() if node.first}
    assert first == {b"AppRun", b"usr/bin/app", b"usr/lib/ld-linux.so.2"}


class TestCache:
    def test_made_once(self, machine: Machine, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        image = make(sample, tmp_path, "-comp", "xz")
        bundle = made_of(image)
        with Image(str(image)) as opened:
            sha256 = compile_opened(opened).sha256.hex()
        assert bundle == machine.cache / "image" / f"{sha256}.bundle"
        assert [os.readlink(path) for path in (machine.cache / "known").iterdir()] == [f"{sha256}.bundle"]
        monkeypatch.setattr(transcode, "transcode", None)
        assert made_of(image) == bundle
        copy = tmp_path / "copy"
        copy.write_bytes(image.read_bytes())
        assert made_of(copy) == bundle

    def test_front_door_inherits_both_files(self, machine: Machine, sample: Path, tmp_path: Path) -> None:
        image = make(sample, tmp_path, "-comp", "xz")
        heard = machine.start("--signals", "0", "--", image, "a")
        (bundle,) = (machine.cache / "image").iterdir()
        own, frames = heard.option("--image-fd"), heard.option("--frames-fd")
        files = ["--image-fd", own, "--read-as", identity(image.stat()), "--frames-fd", frames]
        wanted = ["@run", *files, "--again", "--signals", "0", "--", str(image), "a"]
        assert [word.decode() for word in heard.words] == wanted
        assert heard.fds[own] == str(image) and heard.fds[frames] == str(bundle)
        assert set(heard.fds) == {"0", "1", "2", own, frames}

    @pytest.mark.parametrize("damage", ["empty", "cut", "index"])
    def test_damaged_bundle_is_made_again(self, machine: Machine, sample: Path, tmp_path: Path, damage: str) -> None:
        image = make(sample, tmp_path, "-comp", "xz")
        bundle = made_of(image)
        content = bundle.read_bytes()
        damaged = {"empty": b"", "cut": content[:-1], "index": content[:-100] + bytes(10) + content[-90:]}
        bundle.unlink()
        bundle.write_bytes(damaged[damage])
        assert made_of(image) == bundle
        assert bundle.read_bytes() == content

    def test_many_at_once_make_one(self, machine: Machine, sample: Path, tmp_path: Path) -> None:
        image = make(sample, tmp_path, "-comp", "xz")
        with ThreadPoolExecutor(8) as pool:
            started = [*pool.map(lambda _: machine.start("--", image), range(8))]
        (bundle,) = (machine.cache / "image").iterdir()
        assert {heard.fds[heard.option("--frames-fd")] for heard in started} == {str(bundle)}

    def test_without_a_cache(self, machine: Machine, sample: Path, tmp_path: Path) -> None:
        """The bundle has no name then; what is handed over is a descriptor."""
        image = make(sample, tmp_path, "-comp", "xz")
        kept = made_of(image).read_bytes()
        machine.environment = {}
        heard = machine.start("--", image)
        assert heard.bundle == kept
        assert set(heard.fds) == {"0", "1", "2", heard.option("--image-fd"), heard.option("--frames-fd")}

    @needs_root
    def test_full_disk_cache(self, machine: Machine, sample: Path, tmp_path: Path) -> None:
        image = make(sample, tmp_path, "-comp", "xz")
        kept = made_of(image).read_bytes()
        folder = machine.cache / "image"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "none", folder], check=True)
        try:
            heard = machine.start("--", image)
            assert heard.bundle == kept
            assert not list(folder.iterdir())
        finally:
            subprocess.run(["umount", folder], check=True)


class TestHostile:
    def refused(self, machine: Machine, tmp_path: Path, forge: Forge, what: str) -> None:
        image = write_image(tmp_path / "image", forge.build())
        with pytest.raises(BadImage, match=what):
            ensure_known(str(image))
        assert not list((machine.cache / "image").iterdir())

    def file(self, stored: bytes, size: int, compression: int) -> Forge:
        """A file whose only block is `stored`."""
        forge = Forge(data=stored, compression=compression)
        return forge.top([Entry(b"f", forge.inode(file_inode(2, size, start=96, words=(len(stored),))), 2)])

    def test_forged_image_is_fine_when_it_does_not_lie(self, machine: Machine, tmp_path: Path) -> None:
        stored = {XZ: lzma.compress(b"x" * BLOCK), LZ4: lz4.block.compress(b"x" * BLOCK, store_size=False)}
        stored[LZO] = LZOCompressor().compress(b"x" * BLOCK)
        for compression, block in stored.items():
            image = write_image(tmp_path / "image", self.file(block, BLOCK, compression).build())
            assert Bundle(made_of(image)).files() == {b"f": b"x" * BLOCK}

    @pytest.mark.parametrize("compression", [XZ, LZ4, LZO])
    def test_block_that_is_damaged(self, machine: Machine, tmp_path: Path, compression: int) -> None:
        self.refused(machine, tmp_path, self.file(b"\xff" * 500, 5000, compression), "damaged")

    @pytest.mark.parametrize("size", [BLOCK + 1, 60 << 20])
    def test_block_that_is_a_bomb(self, machine: Machine, tmp_path: Path, size: int) -> None:
        plain = bytes(size)
        self.refused(machine, tmp_path, self.file(lzma.compress(plain), BLOCK, XZ), "damaged")
        for compression, stored in (
            (LZ4, lz4.block.compress(plain, store_size=False)),
            (LZO, LZOCompressor().compress(plain)),
        ):
            if len(stored) <= BLOCK:
                self.refused(machine, tmp_path, self.file(stored, BLOCK, compression), "damaged")

    @pytest.mark.parametrize("compression", [XZ, LZ4, LZO])
    def test_block_that_holds_too_little(self, machine: Machine, tmp_path: Path, compression: int) -> None:
        plain = b"x" * 4999
        stored = {
            XZ: lzma.compress(plain),
            LZ4: lz4.block.compress(plain, store_size=False),
            LZO: LZOCompressor().compress(plain),
        }
        self.refused(machine, tmp_path, self.file(stored[compression], 5000, compression), "less than its file needs")

    def test_dictionary_of_a_gigabyte(self, machine: Machine, tmp_path: Path) -> None:
        stored = lzma.compress(b"x" * 5000, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}])
        self.refused(machine, tmp_path, self.file(stored, 5000, XZ), "damaged")

    def test_sparse_file_of_half_a_terabyte(self, machine: Machine, tmp_path: Path) -> None:
        forge = Forge(compression=XZ)
        inode = file_inode(2, 1 << 34, words=(0,) * ((1 << 34) // BLOCK))
        self.refused(machine, tmp_path, forge.top([Entry(b"f", forge.inode(inode), 2)]), "claim to hold")

    def test_lzo_bomb_stays_within_bounds(self, tmp_path: Path) -> None:
        """As large as a block may be, and expanding as far as LZO can."""
        stored = LZOCompressor().compress(bytes(180 << 20))[: 1 << 20]
        forge = self.file(stored, 1 << 20, LZO)
        forge.fields = {"block_size": 1 << 20, "block_log": 20}
        image = write_image(tmp_path / "image", forge.build())
        within_bounds(image)
        with pytest.raises(BadImage, match="damaged"):
            codec_for(LZO).decode(stored, 1 << 20)

    def test_image_that_changes_after_it_was_hashed(
        self, machine: Machine, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        image = make(sample, tmp_path, "-comp", "xz")

        class Changed(foreign.Compiled):
            def __init__(self, *facts: object) -> None:
                super().__init__(*facts)  # type: ignore[arg-type]
                frame = self.squashfs.frames[0]
                with open(image, "r+b") as file:
                    file.seek(frame.offset + frame.stored // 2)
                    file.write(b"changed")

        monkeypatch.setattr(foreign, "Compiled", Changed)
        with pytest.raises(BadImage, match="changed while it was read"):
            ensure_known(str(image))
        assert not list((machine.cache / "image").iterdir())


class TestLengthOfLzo:
    def test_of_real_files(self) -> None:
        content = Path(sys.executable).resolve().read_bytes()[: 6 << 20]
        for size in (4096, 131072, 1 << 20):
            for at in range(0, len(content), max(size, len(content) // 40)):
                block = content[at : at + size]
                assert plain_length(LZOCompressor().compress(block), size) == len(block)

    @settings(max_examples=300, deadline=None)
    @given(parts=st.lists(st.one_of(st.binary(max_size=300), st.integers(1, 70_000).map(bytes)), max_size=8))
    def test_of_anything(self, parts: list[bytes]) -> None:
        plain = b"".join(parts)
        stored = LZOCompressor().compress(plain)
        assert plain_length(stored, 1 << 20) == len(plain)

    @settings(max_examples=300, deadline=None)
    @given(block=st.binary(max_size=500))
    def test_of_garbage_it_ends(self, block: bytes) -> None:
        assert plain_length(block, 1 << 20) >= 0
