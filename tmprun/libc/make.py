"""`tmprun libc make`: a slice, the C library and what apps take for granted, as a bundle that other machines can add.

The layout inside (docs/libc.md):

    lib/         the loader, the C library and its parts, and all other libraries
    gconv/       character sets; locale/ has C.UTF-8
    ld.so.cache  which libraries there are: the engine makes the loader's cache of it
    licences/    the packages' copyright files, and SOURCES, where their sources are
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from tmprun.elf.facts import Facts, facts_of
from tmprun.elf.interpreter_plan import GLIBC_LOADERS
from tmprun.errors import TmprunError
from tmprun.host.libraries import glibc_version
from tmprun.host.packages import Package
from tmprun.human import one_line
from tmprun.libc.debs import DebianPackages, machine_of_packages
from tmprun.libc.library_list import LIST, library_list
from tmprun.libc.loader import for_slice
from tmprun.libc.sets import BASE, SETS
from tmprun.libc.system import System
from tmprun.pack.levels import DEFAULT_LEVEL
from tmprun.pack.pack import PackReport, Progress, Slice, pack
from tmprun.pack.with_libc import LOCALE, PARTS

LOADERS = {"x86_64": "/lib64/ld-linux-x86-64.so.2", "aarch64": "/lib/ld-linux-aarch64.so.1"}
_APPRUN = """#!/bin/sh
echo "this is a C library for other apps, not an app; for the machine that lacks one: tmprun libc add FILE" >&2
exit 127
"""
_SOURCES = """These packages were built from the source packages behind their names. For those of Debian:
https://snapshot.debian.org/package/NAME/VERSION/ has every version there was; `apt-get source NAME=VERSION` fetches it
where its release is in the sources list.

"""


class Source(Protocol):
    """Where files come from: this machine, or a directory of packages."""

    def find(self, name: str, search: Sequence[str] = ()) -> str | None: ...
    def locate(self, path: str) -> str: ...
    def libraries_of(self, package: str) -> list[str]: ...
    def packages_of(self, paths: Iterable[str]) -> list[Package]: ...
    def copyright_file(self, package: str) -> str | None: ...


@dataclass(frozen=True)
class Made:
    """`report` is about the bundle; `missing` are libraries that were asked for, and that the source does not have."""

    report: PackReport
    glibc: str
    packages: tuple[Package, ...]
    missing: tuple[str, ...]


def make(
    out: str,
    *,
    add: Sequence[str] = (),
    sets: Sequence[str] = (),
    debs: str | None = None,
    machine: str = "",
    level: int = DEFAULT_LEVEL,
    progress: Progress | None = None,
) -> Made:
    """Write the slice `out`: what every app needs, the named `sets`, and the packages or libraries of `add`.

    Everything comes from this machine, or from the packages in the directory `debs`, for whose machine it is then.
    """
    machine = machine or (machine_of_packages(debs) if debs is not None else "") or os.uname().machine
    if machine not in LOADERS:
        raise TmprunError(
            f"slices are made for {', '.join(LOADERS)} only", machine, "bring the C library: pack --with-libc"
        )
    unknown = [name for name in sets if name not in SETS]
    if unknown:
        raise TmprunError(f"there is no set {one_line(unknown[0])}", remedy=f"give one of {', '.join(SETS)}")
    with TemporaryDirectory(prefix="tmprun-libc-") as folder:
        unpacked, stage = os.path.join(folder, "packages"), os.path.join(folder, "slice")
        os.mkdir(unpacked)
        source = DebianPackages(debs, unpacked, machine) if debs is not None else System(machine)
        making = _Making(source, stage, machine)
        making.bring_libc()
        making.bring([*BASE, *(name for each in sets for name in SETS[each])], required=BASE)
        making.bring([name for each in add for name in _wanted(source, each)], required=add)
        return making.pack(out, level, progress)


def _wanted(source: Source, name: str) -> list[str]:
    """The libraries that somebody means by the name of one, or of a package."""
    if ".so" in name:
        return [name]
    libraries = source.libraries_of(name)
    if not libraries:
        raise TmprunError(
            "is no package here that has libraries", one_line(name), "name an installed package or a library"
        )
    return libraries


@dataclass
class _Making:
    source: Source
    stage: str
    machine: str
    sources: dict[str, str] = field(default_factory=dict)  # by the path in the slice
    missing: list[str] = field(default_factory=list)
    newest: float = 0

    def bring_libc(self) -> None:
        self.loader = LOADERS[self.machine]
        path = os.path.realpath(self.source.locate(self.loader))
        if os.path.basename(self.loader).encode() not in GLIBC_LOADERS or not os.path.isfile(path):
            raise TmprunError(
                f"there is no {self.loader}", remedy="make the slice where there is glibc, or give --debs"
            )
        self.folder = os.path.dirname(path)
        if not os.path.isfile(os.path.join(self.folder, "libc.so.6")):
            raise TmprunError("there is no libc.so.6 beside it", self.loader, "make the slice where there is glibc")
        self._copy(path, f"lib/{os.path.basename(self.loader)}")
        for name in PARTS:
            part = os.path.join(self.folder, name)
            if os.path.isfile(part):
                self._copy(os.path.realpath(part), f"lib/{name}")
        for folder, name in (
            (os.path.join(self.folder, "gconv"), "gconv"),
            (self.source.locate(LOCALE), "locale/C.utf8"),
        ):
            for above, _, files in os.walk(folder):
                for each in files:
                    inside = os.path.relpath(os.path.join(above, each), folder)
                    self._copy(os.path.realpath(os.path.join(above, each)), f"{name}/{inside}")

    def bring(self, names: Iterable[str], required: Sequence[str] = ()) -> None:
        """The libraries, and whatever they need in turn."""
        waiting: list[tuple[str, tuple[str, ...]]] = [(name, ()) for name in names]
        while waiting:
            name, search = waiting.pop(0)
            if f"lib/{name}" in self.sources or name in self.missing or "/" in name:
                continue
            path = self.source.find(name, search)
            if path is None and name in required:
                raise TmprunError("is not here", one_line(name), "install what has it, or give the package with --debs")
            if path is None:
                self.missing.append(name)
                continue
            facts = self._copy(os.path.realpath(path), f"lib/{name}")
            waiting += [(needed, facts.search) for needed in facts.needed] if facts else []

    def _copy(self, source: str, path: str) -> Facts | None:
        target = os.path.join(self.stage, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(source, target)
        self.sources[path] = source
        self.newest = max(self.newest, int(os.stat(source).st_mtime))
        with open(target, "rb") as file:
            return facts_of(file)

    def pack(self, out: str, level: int, progress: Progress | None) -> Made:
        loader = Path(self.stage, "lib", os.path.basename(self.loader))
        loader.write_bytes(for_slice(loader.read_bytes(), self.loader))
        libraries = [os.path.basename(path) for path in self.sources if path.startswith("lib/")]
        self._write(LIST, library_list(libraries, self.machine), 0o755)
        self._write("AppRun", _APPRUN.encode(), 0o755)
        packages = self.source.packages_of(self.sources.values())
        self._licences(packages)
        self._settle_times()
        version = self._version()
        facts = [
            {"name": each.name, "version": each.version, "licences": list(each.licences), "source": each.source}
            for each in packages
        ]
        glibc = ".".join(map(str, version))
        kind: dict[str, object] = {"glibc": glibc, "packages": facts}
        report = pack(self.stage, out, level=level, arch=self.machine, slice_=Slice(version, kind), progress=progress)
        os.chmod(report.path, os.stat(report.path).st_mode & ~0o111)  # nobody starts it
        return Made(report, glibc, tuple(packages), tuple(self.missing))

    def _write(self, name: str, content: bytes, mode: int = 0o644) -> None:
        path = Path(self.stage, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)

    def _licences(self, packages: Sequence[Package]) -> None:
        for each in packages:
            source = self.source.copyright_file(each.name)
            if source:
                self._write(f"licences/{each.name}", Path(source).read_bytes())
        lines = [f"{each.name} {each.version}: {each.source or each.name}\n" for each in packages]
        self._write("licences/SOURCES", (_SOURCES + "".join(lines)).encode())

    def _version(self) -> tuple[int, int]:
        version = glibc_version(Path(self.stage, "lib/libc.so.6").read_bytes())
        if not version:
            raise TmprunError("is not glibc's", "libc.so.6", "make the slice where there is glibc")
        return version

    def _settle_times(self) -> None:
        """All of it is as old as the newest file that it came from: the same files make the same slice."""
        when = self.newest or time.time()
        for above, folders, files in os.walk(self.stage, topdown=False):
            for name in [*folders, *files]:
                os.utime(os.path.join(above, name), (when, when))
        os.utime(self.stage, (when, when))
