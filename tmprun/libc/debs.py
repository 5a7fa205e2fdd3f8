"""A directory of Debian packages in the place of this machine, so that the same slice can be made anywhere."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from tmprun.elf.machines import is_for
from tmprun.errors import TmprunError
from tmprun.host.packages import DOCUMENTS, Package, licences_of
from tmprun.human import one_line

_MAGIC = b"!<arch>\n"
_ROW = 60  # bytes of a member's header in an ar archive (deb(5))
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}  # Debian's names


def machine_of_packages(folder: str) -> str:
    """The machine that the packages are for, by the first that is for one; "" when there is none."""
    for deb in sorted(Path(folder).glob("*.deb")):
        with _readable(deb):
            name = _control(dict(_members(deb))).get("Architecture", "all")
        if name != "all":
            return _MACHINES.get(name, one_line(name))
    return ""


class DebianPackages:
    """The packages in `folder`, unpacked below `root`; in the order of their names, so that a later one wins."""

    def __init__(self, folder: str, root: str, machine: str) -> None:
        self.root = root
        self.machine = machine
        self.owners: dict[str, Package] = {}
        self.files: dict[str, list[str]] = {}
        debs = sorted(Path(folder).glob("*.deb"))
        if not debs:
            raise TmprunError("there is no *.deb in it", one_line(folder), "name a directory of Debian packages")
        for deb in debs:
            self._unpack(deb)
        self.known = dict(self._libraries())

    def find(self, name: str, search: Iterable[str] = ()) -> str | None:
        """The library `name`; where a file looks by itself is a place of the machine that it is installed on."""
        for folder in search:
            path = self.locate(f"{folder}/{name}")
            if os.path.isfile(path):
                return path
        return self.known.get(name)

    def locate(self, path: str) -> str:
        """Where the packages have what is at `path` on the machine that they are installed on: /lib64 and its like are
        links to directories of the same name below /usr, which no package brings."""
        plain = os.path.join(self.root, path.lstrip("/"))
        merged = os.path.join(self.root, "usr", path.lstrip("/"))
        return merged if os.path.lexists(merged) and not os.path.lexists(plain) else plain

    def libraries_of(self, package: str) -> list[str]:
        """The names of that package's libraries."""
        files = {os.path.realpath(path) for path in self.files.get(package, [])}
        return sorted(name for name, path in self.known.items() if os.path.realpath(path) in files)

    def packages_of(self, paths: Iterable[str]) -> list[Package]:
        """The packages that brought these files, sorted."""
        return sorted({self.owners[path] for path in paths if path in self.owners})

    def copyright_file(self, package: str) -> str | None:
        path = self.locate(f"{DOCUMENTS}/{package}/copyright")
        return path if os.path.isfile(path) else None

    def _unpack(self, deb: Path) -> None:
        with _readable(deb):
            members = dict(_members(deb))
            facts = _control(members)
            data = _tar(members, "data.tar")
            for member in _plain(data):
                _extract(data, member, self.root)
            names = [os.path.join(self.root, each.name) for each in data.getmembers() if each.isfile()]
        copyright = self.copyright_file(facts["Package"])
        licences = licences_of(Path(copyright).read_text(errors="replace")) if copyright else ()
        source, _, version = facts.get("Source", facts["Package"]).partition(" ")
        package = Package(
            facts["Package"], facts["Version"], licences, f"{source} {version.strip('()') or facts['Version']}"
        )
        self.files[package.name] = names
        self.owners |= dict.fromkeys(map(os.path.realpath, names), package)

    def _libraries(self) -> Iterator[tuple[str, str]]:
        """Where the loader of such a machine would look without any configuration."""
        triplet = f"{self.machine}-linux-gnu"
        for folder in (f"lib/{triplet}", f"usr/lib/{triplet}", "lib64", "usr/lib64", "lib", "usr/lib"):
            above = os.path.join(self.root, folder)
            for name in sorted(os.listdir(above)) if os.path.isdir(above) else ():
                path = os.path.realpath(os.path.join(above, name))
                if ".so" in name and path.startswith(self.root) and is_for(path, self.machine):
                    yield name, path


@contextmanager
def _readable(deb: Path) -> Iterator[None]:
    """Whatever is wrong with the package is said of it."""
    try:
        yield
    except (OSError, KeyError, tarfile.TarError, zstandard.ZstdError, UnicodeDecodeError) as error:
        raise TmprunError(f"cannot be unpacked: {error}", one_line(str(deb)), "fetch it again") from None


def _control(members: dict[str, bytes]) -> dict[str, str]:
    control = _tar(members, "control.tar").extractfile("./control")
    return _fields(control.read().decode() if control else "")


def _members(deb: Path) -> Iterator[tuple[str, bytes]]:
    """The members of an ar archive."""
    with deb.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise tarfile.ReadError("it is no Debian package")
        while row := file.read(_ROW):
            size = row[48:58].strip()
            if len(row) < _ROW or not size.isdigit():
                raise tarfile.ReadError("it is cut short")
            yield row[:16].decode("ascii", "replace").strip().rstrip("/"), file.read(int(size))
            file.seek(int(size) % 2, os.SEEK_CUR)


def _tar(members: dict[str, bytes], name: str) -> tarfile.TarFile:
    for member, content in members.items():
        if member.startswith(f"{name}.") or member == name:
            file: BinaryIO = io.BytesIO(content)
            if member.endswith(".zst"):
                file = io.BytesIO(zstandard.ZstdDecompressor().stream_reader(file).read())
            return tarfile.open(fileobj=file)
    raise tarfile.ReadError(f"it has no {name}")


# Python 3.11.2, which Debian 12 has, knows no filters.
_FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, root: str) -> None:
    """Below `root`, wherever links that lie there already lead. TarError for what would be elsewhere."""
    top = os.path.realpath(root)
    for name in (member.name, *([member.linkname] if member.islnk() else [])):
        if not f"{os.path.realpath(os.path.join(top, name))}/".startswith(f"{top}/"):
            raise tarfile.TarError(f"{one_line(name)} leads out of it")
    archive.extract(member, top, **_FILTER)


def _plain(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """What a slice can use: no devices; and links that lead out of the tree are nobody's."""
    for member in archive:
        if member.issym() and member.linkname.startswith("/"):
            depth = member.name.strip("./").count("/")
            member.linkname = "../" * depth + member.linkname.lstrip("/")
        if member.isfile() or member.isdir() or member.issym() or member.islnk():
            yield member


def _fields(control: str) -> dict[str, str]:
    """The fields of one line of a control file."""
    return {
        name: value.strip() for name, colon, value in (line.partition(":") for line in control.splitlines()) if colon
    }
