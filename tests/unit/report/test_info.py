"""What `tmprun info` finds out, against mksquashfs and what was packed."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest
from kit import archives, elf_forge
from kit.apps import write
from kit.archives import KINDS
from kit.foreign_images import COMPRESSORS, head, mksquashfs, sample_tree, write_image
from kit.packing import quickly, script
from kit.real_images import LINUXDEPLOY, REAL, Real, name_of, present
from kit.trees import below, snapshot

from tmprun.errors import BadImage, TmprunError
from tmprun.index.decode import metadata_of
from tmprun.report import info
from tmprun.report.info import AppRun, Contents, look

DESKTOP = "[Desktop Entry]\nType=Application\nName=Sample App\nName[de]=Beispiel\nIcon=x\n"


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def contents(path: Path) -> Contents:
    found = look(str(path)).contents
    assert found is not None
    return found


def squashed(tree: Path, tmp_path: Path, *options: str) -> Path:
    return write_image(tmp_path / "image", mksquashfs(tree, tmp_path / "squashfs", *options))


@pytest.mark.parametrize("codec", COMPRESSORS)
def test_type_2(tmp_path: Path, codec: str) -> None:
    tree = sample_tree(tmp_path / "tree")
    (tree / "sample.desktop").write_text(DESKTOP)
    image = squashed(tree, tmp_path, "-comp", codec, "-b", "64K")
    found = look(str(image))
    assert (found.type, found.machine, found.payload_offset) == (info.TYPE_2, "x86_64", len(head()))
    assert found.size == image.stat().st_size
    assert found.sha256 == subprocess.run(["sha256sum", image], capture_output=True, check=True).stdout.decode()[:64]
    packed = found.contents
    assert packed is not None
    assert packed.codec == {"gzip": "zlib"}.get(codec, codec)
    assert packed.block_size == 65536
    assert packed.name == "Sample App"
    assert packed.apprun == AppRun("script", "/bin/sh")
    objects = [path for path in below(tree) if not path.is_symlink()]
    files = {path.stat().st_ino: path.stat().st_size for path in objects if path.is_file()}
    assert packed.files == len(files)
    assert packed.hard_links == 3
    assert packed.symlinks == 3
    assert packed.directories == sum(path.is_dir() for path in objects)
    assert packed.content_size == sum(files.values())
    assert 0 < packed.stored_size < found.size
    assert len(found.key) == 64


def test_bundle(appdir: Path, out: Path) -> None:
    (appdir / "app.desktop").write_text(DESKTOP)
    (appdir / "usr").mkdir()
    (appdir / "usr" / "data").write_bytes(os.urandom(3_000_000))
    (appdir / "link").symlink_to("usr/data")
    report = quickly(appdir, out, level=3, update_information="zsync|https://example.org/x.zsync")
    found = look(str(out))
    assert (found.type, found.key, found.sha256) == (info.BUNDLE, report.key, "")
    assert found.payload_offset % 4096 == 0
    assert found.size == report.size
    assert found.update_information == "zsync|https://example.org/x.zsync"
    assert not found.signed
    packed = found.contents
    assert packed is not None
    assert (packed.codec, packed.level, packed.name) == ("zstd", 3, "Sample App")
    assert (packed.files, packed.directories, packed.symlinks) == (3, 1, 1)
    assert packed.content_size == report.content
    assert packed.frames >= 3
    assert packed.stored_size < found.size
    assert packed.apprun == AppRun("script", "/bin/sh")


def test_signed_bundle(appdir: Path, out: Path) -> None:
    """A signing tool writes into the section; the bundle is otherwise unchanged."""
    quickly(appdir, out)
    signed = out.read_bytes()
    source = out.with_name("stub.c")
    source.write_text(
        '__attribute__((section(".sha256_sig"), used)) char s[1024] = "-----BEGIN"; void _start(void) { for (;;); }'
    )
    subprocess.run(["cc", "-static", "-nostdlib", "-o", out.with_name("stub"), source], check=True)
    stub = out.with_name("stub").read_bytes()
    offset = look(str(out)).payload_offset
    assert len(stub) <= offset + 8192
    out.write_bytes(stub.ljust(-(-len(stub) // 4096) * 4096, b"\0") + signed[offset:-48])
    with pytest.raises(TmprunError):
        look(str(out))  # without its footer it is no bundle
    new = -(-len(stub) // 4096) * 4096
    footer = bytearray(signed[-64:])
    struct.pack_into("<Q", footer, 16, new)
    out.write_bytes(stub.ljust(new, b"\0") + signed[offset:-64] + footer)
    assert look(str(out)).signed


def test_type_1(type_1_images: list[Path]) -> None:
    for image in type_1_images:
        found = look(str(image))
        assert (found.type, found.machine, found.starts, found.why) == (info.TYPE_1, "x86_64", "AppRun", "AppRun")
        assert found.contents and found.contents.codec == "iso" and found.contents.files


@pytest.mark.parametrize("image", REAL, ids=name_of)
def test_real_images(image: Real) -> None:
    packed = contents(present(image.path))
    assert (packed.name, packed.apprun.kind, packed.apprun.interpreter) == (image.name, *image.apprun)
    assert packed.codec == image.codec


@pytest.mark.parametrize("codec", COMPRESSORS)
def test_behind_a_real_runtime(hello: dict[str, Path], codec: str) -> None:
    packed = contents(hello[codec])
    assert (packed.name, packed.apprun) == ("Hello World", AppRun("script", "/bin/bash"))
    assert packed.codec == {"gzip": "zlib"}.get(codec, codec)


def test_program_as_apprun_behind_symlinks(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "usr" / "bin").mkdir(parents=True)
    (tree / "usr" / "bin" / "app").write_bytes(Path("/bin/sh").resolve().read_bytes())
    (tree / "bin").symlink_to("usr/bin")
    (tree / "AppRun").symlink_to("./bin/../bin/app")
    loader = subprocess.run(["readelf", "-l", "/bin/sh"], capture_output=True, text=True, check=True).stdout
    apprun = contents(squashed(tree, tmp_path)).apprun
    assert (apprun.kind, apprun.machine) == ("ELF", os.uname().machine)
    assert apprun.interpreter
    assert f"interpreter: {apprun.interpreter}]" in loader


@pytest.mark.parametrize("target", ["/bin/sh", "../../../bin/sh", "..", "AppRun", "none", "file/..", "file/x", ""])
def test_apprun_that_leads_nowhere(tmp_path: Path, target: str) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    script(tree / "file")
    if target:
        (tree / "AppRun").symlink_to(target)
    assert contents(squashed(tree, tmp_path)).apprun.kind in ("missing", "other")


@pytest.mark.parametrize(
    "elf", [b"\x7fELF\2\1\1" + bytes(200), b"\x7fELF" + b"\xff" * 200, b"\x7fELF\1\1" + b"\xff" * 40, b"\x7fELF"]
)
def test_apprun_with_headers_that_lie(tmp_path: Path, elf: bytes) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "AppRun").write_bytes(elf)
    assert contents(squashed(tree, tmp_path)).apprun.interpreter == ""


def test_name_is_shown_as_one_line(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    script(tree / "AppRun", "#!/bin/\x1b[31msh\n")
    (tree / "a.desktop").write_text("[Desktop Entry]\nName=\x1b]0;evil\x07\u202e\x9b31mred\n")
    packed = contents(squashed(tree, tmp_path))
    assert packed.name == "\x1b]0;evil\x07\u202e\x9b31mred"  # as it is, for JSON; one_line is for people


def test_not_an_image(tmp_path: Path) -> None:
    with pytest.raises(TmprunError, match="no such file"):
        look(str(tmp_path / "none"))
    with pytest.raises(BadImage, match="is a directory"):
        look(str(tmp_path))
    (tmp_path / "text").write_text("text")
    with pytest.raises(BadImage, match="is text, no app"):
        look(str(tmp_path / "text"))


def test_metadata_that_is_none(appdir: Path, out: Path) -> None:
    """Whatever JSON stands there, the rest is still told."""
    assert metadata_of(b"[" * 100_000) == {}
    assert metadata_of(b"[1]") == {}
    assert metadata_of(b"\xff") == {}


# Archives and packages.


@pytest.mark.parametrize("name", [name for name in KINDS if name != "AppImage"])
def test_archives(tmp_path: Path, name: str) -> None:
    """What is in it and what would be started, without a file written or a program run."""
    top = archives.tree(tmp_path / "in")
    archive = KINDS[name](tmp_path / f"app-1.0.{name}", top)
    before = snapshot(tmp_path)
    found = look(str(archive))
    assert found.contents is not None
    assert found.starts.endswith("bin/app") and found.why == "the one program in bin/"
    assert found.contents.apprun == AppRun("script", "/bin/sh")
    hard = found.contents.hard_links
    assert found.contents.files + hard == 8 and hard in (0, 1)
    assert found.contents.symlinks == 2 and found.contents.stored_size == archive.stat().st_size
    assert (found.package, found.obstacle) == ({"rpm": "app 1.0-2", "deb": "app 1.0"}.get(name, ""), "")
    assert snapshot(tmp_path) == before


def runs_here(folder: Path, program: bytes | str, name: str = "tar.gz") -> str:
    """What is said of an archive with that program."""
    write(folder / "app-1.0" / "bin" / "app", program, 0o755)
    return look(str(KINDS[name](folder / f"app.{name}", folder / "app-1.0"))).runs_here


def test_whether_an_archive_runs_here(tmp_path: Path) -> None:
    assert runs_here(tmp_path / "1", "#!/bin/sh\n") == "yes"
    assert "bin/app needs the interpreter /no/such/shell, which" in runs_here(tmp_path / "2", "#!/no/such/shell\n")
    assert runs_here(tmp_path / "3", "#!/bin/sh\r\n").startswith("no: ")
    lacking = elf_forge.program(interpreter=b"/lib/ld-musl-none.so.1\0")
    assert "/lib/ld-musl-none.so.1" in runs_here(tmp_path / "4", lacking, "zip")
    other = bytearray(elf_forge.program())
    other[18:20] = (243).to_bytes(2, "little")
    assert runs_here(tmp_path / "5", bytes(other)).startswith("no: it is made for riscv64")


def test_libraries_of_an_archive(tmp_path: Path) -> None:
    """Those that are neither in it nor here; of a package others bring them."""
    top = tmp_path / "in" / "app-1.0"
    write(tmp_path / "mine.c", "int mine(void) { return 0; }")
    write(tmp_path / "app.c", "int mine(void); int main(void) { return mine(); }")
    (top / "bin").mkdir(parents=True)
    for options in (["-shared", "-o", "libmine.so.7", "-Wl,-soname,libmine.so.7", "mine.c"],
                    ["-o", top / "bin" / "app", "app.c", "libmine.so.7"]):  # fmt: skip
        subprocess.run(["cc", *options], cwd=tmp_path, check=True)
    assert look(str(KINDS["tar"](tmp_path / "app.tar", top))).runs_here == (
        "no: needs libmine.so.7, neither in it nor on this machine; install the package that brings it"
    )
    (top / "lib").mkdir()
    (tmp_path / "libmine.so.7").rename(top / "lib" / "libmine.so.7")
    assert look(str(KINDS["tar"](tmp_path / "app.tar", top))).runs_here == "yes"


def test_a_bare_squashfs(tmp_path: Path) -> None:
    """What is started of it is found as in an archive; with an AppRun it is that."""
    top = archives.tree(tmp_path / "in")
    for options in ([], ["-all-root"]):
        image = tmp_path / f"app{len(options)}.squashfs"
        subprocess.run(["mksquashfs", top, image, "-quiet", "-no-progress", *options], check=True)
        found = look(str(image))
        assert (found.type, found.machine, found.runs_here) == ("squashfs image", "", "yes")
        assert (found.starts, found.why) == ("bin/app", "the one program in bin/")
    (top / "AppRun").symlink_to("bin/app")
    subprocess.run(["mksquashfs", top, tmp_path / "b.squashfs", "-quiet", "-no-progress"], check=True)
    found = look(str(tmp_path / "b.squashfs"))
    assert (found.starts, found.runs_here) == ("AppRun", "yes")
    write(top / "bin" / "b", "#!/bin/sh\n", 0o755)
    (top / "AppRun").unlink()
    subprocess.run(["mksquashfs", top, tmp_path / "c.squashfs", "-quiet", "-no-progress"], check=True)
    found = look(str(tmp_path / "c.squashfs"))
    assert (found.starts, found.runs_here) == ("", "") and "--entry: bin/app, bin/b" in found.obstacle


def test_what_is_not_clear_is_said(tmp_path: Path) -> None:
    for each in "ab":
        script(tmp_path / "x" / "bin" / each)
    found = look(str(archives.bsdtar(tmp_path / "x.tar", tmp_path / "x")))
    assert found.starts == "" and "--entry: bin/a, bin/b" in found.obstacle


def test_what_a_bundle_cannot_hold_is_said(tmp_path: Path) -> None:
    members = [archives.member("AppRun", b"#!/bin/sh", mode=0o755), archives.member("pipe", kind=b"6")]
    (tmp_path / "a.tar").write_bytes(archives.tar(members))
    assert look(str(tmp_path / "a.tar")).left_out == ("fifo: pipe",)


def test_a_payload_that_only_its_own_program_reads(tmp_path: Path) -> None:
    image = tmp_path / "a.AppImage"
    image.write_bytes(head() + b"DWARFS\2\5" + bytes(1000))
    found = look(str(image))
    assert (found.type, found.contents, found.payload_offset) == ("AppImage with DwarFS", None, len(head()))
    assert "would execute it" in found.obstacle


def test_the_runtime(tmp_path: Path) -> None:
    assert look(str(present(LINUXDEPLOY.path))).runtime == "AppImageKit 5735cc5"
