"""Making slices: the loader's bytes, the list's order, and what is in them, from this machine and from packages."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from kit.slices import make_slice

from tmprun.bundle.footer import read_footer, read_index
from tmprun.errors import TmprunError
from tmprun.index.decode import decode
from tmprun.index.nodes import Index
from tmprun.libc.library_list import library_list
from tmprun.libc.loader import MARK, ROOM, for_slice
from tmprun.libc.make import make
from tmprun.libc.sets import DESKTOP

LOADER = Path("/lib64/ld-linux-x86-64.so.2")
pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="slices are for x86_64")


def index_of(path: Path) -> Index:
    with path.open("rb") as file:
        footer = read_footer(file.fileno())
        assert footer
        return decode(read_index(file.fileno(), footer))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slice") / "glibc.slice"
    make_slice(path)
    return path


# The loader.


def test_the_loader_looks_for_its_cache_where_it_is_told_and_nowhere_else(tmp_path: Path) -> None:
    program = bytearray(for_slice(LOADER.read_bytes(), "loader"))
    assert program[-ROOM:].startswith(MARK + b"\0")
    program[-ROOM:] = str(tmp_path / "cache").encode().ljust(ROOM, b"\0")
    loader = tmp_path / "loader"
    loader.write_bytes(program)
    loader.chmod(0o755)
    done = subprocess.run([loader, "/bin/ls"], env={"LD_DEBUG": "libs"}, capture_output=True, text=True, check=False)
    assert f"search cache={tmp_path}/cache" in done.stderr
    tried = re.findall(r"trying file=(\S+)", done.stderr)
    assert tried and not [path for path in tried if path.startswith(("/lib", "/usr", "/etc"))]
    assert done.returncode == 127


@pytest.mark.parametrize("offset", [16, 32, 54, 56, 200])
def test_loaders_that_are_none(offset: int) -> None:
    content = bytearray(LOADER.read_bytes())
    content[offset : offset + 8] = b"\xff" * 8
    try:
        made = for_slice(bytes(content), "loader")
    except TmprunError:
        return
    assert len(made) > len(content)


@pytest.mark.parametrize("content", [b"", b"text", Path("/bin/ls").read_bytes(), LOADER.read_bytes()[:300]])
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(TmprunError):
        for_slice(content, "loader")


# The list.


def test_the_list_is_in_the_order_of_a_real_cache(tmp_path: Path) -> None:
    """What ldconfig writes for libraries of these names, digits and all."""
    names = [
        "libb.so.10",
        "libb.so.9",
        "liba.so.1",
        "libab.so.1",
        "lib9.so.2",
        "liba10.so.3",
        "liba9.so.3",
        "libc++.so.1",
        "libA.so.1",
    ]
    folder = tmp_path / "lib"
    folder.mkdir()
    for name in names:
        command = ["cc", "-shared", "-x", "c", "/dev/null", "-o", folder / name, f"-Wl,-soname,{name}"]
        subprocess.run(command, check=True)
    cache = tmp_path / "cache"
    subprocess.run(["/sbin/ldconfig", "-C", cache, "-f", "/dev/null", "-n", folder], check=False)
    subprocess.run(["/sbin/ldconfig", "-C", cache, "-f", "/dev/stdin", "-X"], input=f"{folder}\n".encode(), check=True)
    listed = subprocess.run(["/sbin/ldconfig", "-C", cache, "-p"], capture_output=True, text=True, check=True).stdout
    ours = [name for name in re.findall(r"\t(\S+) \(", listed) if name in names]
    assert sorted(ours) == sorted(names)
    assert library_list(names, "x86_64").decode().splitlines() == ["771", *ours]


# What is in a slice.


def test_a_slice_says_what_it_is(made: Path) -> None:
    index = index_of(made)
    facts = json.loads(index.metadata)
    version = os.confstr("CS_GNU_LIBC_VERSION").split()[1]  # type: ignore[union-attr]
    assert facts["arch"] == "x86_64" and facts["slice"]["glibc"] == version
    packages = {each["name"]: each for each in facts["slice"]["packages"]}
    assert packages.keys() >= {"libc6", "libstdc++6", "libgcc-s1", "zlib1g"}
    assert packages["libc6"]["source"].startswith("glibc ") and packages["libc6"]["licences"]
    paths = {os.fsdecode(path) for path in index.paths()}
    assert paths >= {"lib/libc.so.6", "lib/libstdc++.so.6", "lib/libz.so.1", "gconv/gconv-modules", "ld.so.cache",
                     "licences/libc6", "licences/SOURCES", "locale/C.utf8/LC_CTYPE"}  # fmt: skip
    (interpreter,) = {fixup.interpreter for fixup in index.fixups}
    major, minor = map(int, version.split("."))
    assert interpreter.path == str(LOADER).encode() and interpreter.need == major << 16 | minor
    assert made.stat().st_mode & 0o111 == 0


def test_the_same_machine_makes_the_same_slice(made: Path, tmp_path: Path) -> None:
    make_slice(tmp_path / "again.slice")
    assert (tmp_path / "again.slice").read_bytes() == made.read_bytes()


def test_libraries_packages_and_sets_can_be_added(tmp_path: Path) -> None:
    made = make(str(tmp_path / "x.slice"), add=["libtinfo.so.6", "libselinux1"], sets=["desktop"], level=1)
    names = {os.fsdecode(path) for path in index_of(tmp_path / "x.slice").paths()}
    assert names >= {"lib/libtinfo.so.6", "lib/libpcre2-8.so.0", "lib/libselinux.so.1"}
    assert {name for name in DESKTOP if f"lib/{name}" not in names} == set(made.missing) & set(DESKTOP)


@pytest.mark.parametrize(("add", "sets", "what"), [
    (["libnosuch.so.9"], [], "is not here"), (["no-such-package"], [], "no package"), ([], ["nosuch"], "no set"),
])  # fmt: skip
def test_what_is_not_here_is_said(tmp_path: Path, add: list[str], sets: list[str], what: str) -> None:
    with pytest.raises(TmprunError, match=what):
        make(str(tmp_path / "x.slice"), add=add, sets=sets, level=1)
    assert not (tmp_path / "x.slice").exists()


# Packages.


def deb(folder: Path, name: str, files: dict[str, Path | str], compression: str, **fields: str) -> None:
    """A Debian package of these files, symlinks where there is a text."""
    root = folder / "root"
    (root / "DEBIAN").mkdir(parents=True)
    facts = {"Package": name, "Version": "1.0", "Architecture": "amd64", "Maintainer": "n <e@e>", "Description": "d"}
    (root / "DEBIAN" / "control").write_text("".join(f"{key}: {value}\n" for key, value in {**facts, **fields}.items()))
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            (root / path).symlink_to(content)
        else:
            shutil.copyfile(content, root / path)
    command = ["dpkg-deb", f"-Z{compression}", "--root-owner-group", "-b", root, folder / f"{name}.deb"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(root)


def debs(folder: Path) -> Path:
    """This machine's C library and what a slice has besides, as packages."""
    folder.mkdir()
    lib = Path("/lib/x86_64-linux-gnu")
    parts = ["libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2"]
    copyright = folder.parent / "copyright"
    copyright.write_text("Format: DEP 5\n\nFiles: *\nLicense: LGPL-2.1+\n")
    content: dict[str, Path | str] = {f"lib/x86_64-linux-gnu/{name}": lib / name for name in [*parts, LOADER.name]}
    # As in packages of a merged /usr, where /lib64 is no package's; and a link that is absolute.
    content["usr/lib64/ld-linux-x86-64.so.2"] = "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    content["usr/share/doc/libc6/copyright"] = copyright
    deb(folder, "libc6", content, "xz", Source="glibc (2.99)")
    for name, library, compression in (("cxx", "libstdc++.so.6", "zstd"), ("gcc", "libgcc_s.so.1", "gzip")):
        real = os.path.realpath(lib / library)
        versioned = f"usr/lib/x86_64-linux-gnu/{library}.9"
        deb(folder, name, {versioned: Path(real), f"usr/lib/x86_64-linux-gnu/{library}": f"{library}.9"}, compression)
    deb(folder, "z", {"usr/lib/x86_64-linux-gnu/libz.so.1": lib / "libz.so.1"}, "none")
    return folder


def test_packages_make_a_slice_anywhere(tmp_path: Path) -> None:
    folder = debs(tmp_path / "debs")
    for name in ("one", "two"):
        make(str(tmp_path / f"{name}.slice"), debs=str(folder), level=1)
    assert (tmp_path / "one.slice").read_bytes() == (tmp_path / "two.slice").read_bytes()
    index = index_of(tmp_path / "one.slice")
    packages = {each["name"]: each for each in json.loads(index.metadata)["slice"]["packages"]}
    assert packages.keys() == {"libc6", "cxx", "gcc", "z"}
    assert packages["libc6"] == {
        "name": "libc6", "version": "1.0", "licences": ["LGPL-2.1+"], "source": "glibc 2.99"
    }  # fmt: skip
    paths = {os.fsdecode(path) for path in index.paths()}
    assert paths >= {"lib/libstdc++.so.6", "lib/libgcc_s.so.1", "lib/libz.so.1", "licences/libc6"}


@pytest.mark.parametrize("content", [b"", b"!<arch>\n", b"!<arch>\nx", b"text", b"!<arch>\n" + b"d" * 60])
def test_packages_that_are_none(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "debs"
    folder.mkdir()
    with pytest.raises(TmprunError, match=r"no \*\.deb"):
        make(str(tmp_path / "x.slice"), debs=str(folder), level=1)
    (folder / "bad.deb").write_bytes(content)
    with pytest.raises(TmprunError, match="cannot be unpacked"):
        make(str(tmp_path / "x.slice"), debs=str(folder), level=1)


def test_a_loader_is_not_changed_but_where_it_must_be() -> None:
    before = LOADER.read_bytes()
    after = for_slice(before, "loader")
    changed = [at for at, (old, new) in enumerate(zip(before, after, strict=False)) if old != new]
    (code,) = [
        (offset, size)
        for kind, flags, offset, _, _, size, _, _ in struct.iter_unpack("<IIQQQQQQ", before[64 : 64 + 56 * 4])
        if kind == 1 and flags & 1
    ]
    assert len([at for at in changed if code[0] <= at < code[0] + code[1]]) <= 4 * 4
    assert len(changed) < 250


# The loader of another machine.

CACHE = b"/etc/ld.so.cache"
ADRP, ADD, MOV = 0x90000000, 0x91000000, 0xAA0003E0


def aarch64_loader(*code: int) -> bytes:
    """A file with a segment for code, which has the cache's name at 0x1100, and a note behind that in the table."""
    head = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", 3, 183, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    rows = [(1, 5, 0, 0, 0, 0x1200, 0x1200, 0x10000), (4, 4, 0x200, 0x200, 0, 0x24, 0x24, 4)]
    program = head + b"".join(struct.pack("<IIQQQQQQ", *row) for row in rows)
    program = program.ljust(0x400, b"\0") + struct.pack(f"<{len(code)}I", *code)
    names = b"\0" + CACHE + b"\0/lib/aarch64-linux-gnu/\0"
    return (program.ljust(0x10FF, b"\0") + names).ljust(0x1200, b"\0")


@pytest.mark.parametrize("register", [0, 3])
def test_a_loader_for_aarch64(register: int) -> None:
    """adrp x3, 0x1000; mov w2, #1; add x3, x3, #0x100: to where the page behind it is."""
    page, one = 1 << 29, 0x52800022
    add = ADD | register << 5 | register
    used = (ADRP | page | register, ADRP | page | register, one, add | 0x100 << 10, ADRP | page | 4)
    after = for_slice(aarch64_loader(*used), "loader")
    first, adrp, *rest = struct.unpack_from("<5I", after, 0x400)
    assert (first, *rest) == (used[0], one, add, used[-1])
    pages = (adrp >> 5 & 0x7FFFF) << 2 | adrp >> 29 & 3
    assert adrp & 31 == register and pages << 12 == 0x10000
    assert after[0x10000:].startswith(MARK + b"\0") and len(after) == 0x10000 + ROOM
    assert struct.unpack_from("<IIQQQQQQ", after, 64 + 56) == (1, 4, 0x10000, 0x10000, 0x10000, ROOM, ROOM, 0x10000)
    assert b"/lib/aarch64-linux-gnu/" not in after


@pytest.mark.parametrize(
    "code",
    [
        (),
        (ADRP | 1 << 29 | 3, MOV | 3 << 16, ADD | 0x100 << 10 | 3 << 5 | 3),  # somebody else wants the page
        (ADRP | 1 << 29 | 3, ADD | 0x100 << 10 | 3 << 5 | 4),  # the page stays in its register
        (ADRP | 2 << 29 | 3, ADD | 0x100 << 10 | 3 << 5 | 3),
        (ADRP | 1 << 29 | 3, ADD | 0x108 << 10 | 3 << 5 | 3),
    ],
)
def test_a_loader_for_aarch64_that_is_not_understood(code: tuple[int, ...]) -> None:
    with pytest.raises(TmprunError, match="does not say where it looks for its cache"):
        for_slice(aarch64_loader(*code), "loader")


def test_packages_of_another_machine(tmp_path: Path) -> None:
    folder = tmp_path / "debs"
    folder.mkdir()
    deb(folder, "libc6", {}, "gzip", Architecture="riscv64")
    with pytest.raises(TmprunError, match="x86_64, aarch64 only"):
        make(str(tmp_path / "x.slice"), debs=str(folder), level=1)
    deb(folder, "libc6", {}, "gzip", Architecture="arm64")
    with pytest.raises(TmprunError, match=r"there is no /lib/ld-linux-aarch64\.so\.1"):
        make(str(tmp_path / "x.slice"), debs=str(folder), level=1)
