"""`tmprun pack --with-libc`: what an AppDir needs of this machine's libraries, its C library included, brought along.

The layout inside the AppDir (docs/elf.md):

    .tmprun/libc/   the loader, the C library and its parts; gconv/ and locale/ of it
    .tmprun/lib/    all other libraries that the AppDir needs and does not have
    .tmprun/own     symlink: dangling; where the machine's own C library will not do, the engine lets it lead to libc
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory

from tmprun.elf import run_paths
from tmprun.elf.facts import Facts, facts_of
from tmprun.elf.interpreter_plan import GLIBC_LOADERS
from tmprun.errors import TmprunError
from tmprun.host.libraries import SystemLibraries
from tmprun.host.packages import Package, copyright_file, packages_of
from tmprun.human import one_line
from tmprun.pack.appdir import PackError

OURS = ".tmprun"
LIBC, LIB, OWN = f"{OURS}/libc", f"{OURS}/lib", f"{OURS}/own"
OWN_TARGET, OWN_DANGLING = "libc", "the-C-library-of-this-machine"

# The C library's own files: they belong to one loader, and are never mixed with another's.
PARTS = {
    "libc.so.6": "the C library",
    "libm.so.6": "mathematics",
    "libmvec.so.1": "vector mathematics, which compilers call for loops",
    "libpthread.so.0": "part of libc since 2.34; programs linked before ask for it",
    "libdl.so.2": "the same",
    "librt.so.1": "the same",
    "libutil.so.1": "the same",
    "libanl.so.1": "the same",
    "libresolv.so.2": "names from the DNS",
    "libnsl.so.1": "old programs ask for it",
    "libBrokenLocale.so.1": "old programs ask for it",
    "libthread_db.so.1": "debuggers",
    "libnss_files.so.2": "getpwnam and others from files: opened by name before 2.34",
    "libnss_dns.so.2": "host names from the DNS: opened by name before 2.34",
    "libnss_compat.so.2": "nsswitch.conf may name it",
}
LOCALE = "/usr/lib/locale/C.utf8"
# What the C library opens by itself, relative to its own directory or absolute, and where it goes.
DATA = (
    ("gconv", "gconv"),  # iconv and fopen(",ccs="): all but a few character sets
    (LOCALE, "locale/C.utf8"),  # setlocale("C.UTF-8"), which Python and others fall back to
)


# How the loader says that it has not found a library.
_MISSING = re.compile(r"(\S+) => not found|shared libraries: (\S+): cannot open")


@dataclass
class Brought:
    """What was brought: `loader` is its path in the AppDir, `need` the C library version that all programs need."""

    path: str
    loader: str
    need: tuple[int, int]
    sources: list[str] = field(default_factory=list)
    packages: list[Package] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def metadata(self) -> dict[str, object]:
        """What `tmprun info` tells about it."""
        packages = [
            {"name": each.name, "version": each.version, "licences": list(each.licences)} for each in self.packages
        ]
        return {"glibc": ".".join(map(str, self.need)), "packages": packages}


@contextmanager
def bringing(appdir: str, machine: str) -> Iterator[Brought]:
    """A copy of the AppDir that has all that it needs, while the context lasts. PackError when that cannot be."""
    with TemporaryDirectory(prefix="tmprun-pack-") as folder:
        stage = os.path.join(folder, "AppDir")
        # -a keeps hard links, times and symlinks as they are.
        subprocess.run(["cp", "-a", "--", appdir.rstrip("/") + "/.", stage], check=True)
        yield _Closure(stage, machine, appdir).bring()


class _Closure:
    """The ELF files of the staged AppDir, and those that are brought."""

    def __init__(self, stage: str, machine: str, shown: str) -> None:
        self.stage = stage
        self.shown = shown
        self.machine = machine
        self.system = SystemLibraries(machine)
        self.files: dict[str, Facts] = {}
        self.by_name: dict[str, str] = {}
        self.notes: list[str] = []
        self.sources: list[str] = []
        self.times = os.stat(stage)

    def bring(self) -> Brought:
        self._look()
        loader = self._loader()
        self._bring_libc(loader)
        self._bring_needed()
        self._bring_data(os.path.dirname(os.path.realpath(loader)))
        os.symlink(OWN_DANGLING, os.path.join(self.stage, OWN))
        self._write_run_paths()
        made = Brought(self.stage, f"{LIBC}/{posixpath.basename(loader)}", self._need(), sources=self.sources)
        self._prove(made.loader)
        made.packages = packages_of(self.sources)
        self._bring_licences(made.packages)
        self._settle_times()
        made.notes = self.notes
        return made

    def _look(self) -> None:
        """Find the ELF files for our machine that are there."""
        if os.path.lexists(os.path.join(self.stage, OURS)):
            raise PackError(f"there is a {OURS} in it already", one_line(self.shown), "leave out --with-libc")
        for folder, folders, names in os.walk(self.stage):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                if not os.path.islink(path) and os.path.isfile(path):
                    self._add(os.path.relpath(path, self.stage))
        for folder, _, names in os.walk(self.stage):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.islink(path) and self._within(path) in self.files:
                    self.by_name.setdefault(name, os.path.relpath(path, self.stage))

    def _within(self, path: str) -> str:
        return os.path.relpath(os.path.realpath(path), self.stage)

    def _add(self, path: str) -> None:
        with open(os.path.join(self.stage, path), "rb") as file:
            facts = facts_of(file)
        if facts is None or facts.machine != self.machine or facts.kind == "other":
            return
        self.files[path] = facts
        for name in filter(None, (posixpath.basename(path), facts.soname)):
            self.by_name.setdefault(name, path)

    def _loader(self) -> str:
        """The loader that the AppDir's programs ask for, on this machine."""
        brought = sorted(name for name in self.by_name if name == "libc.so.6" or name.encode() in GLIBC_LOADERS)
        if brought:
            what = f"brings a C library of its own ({self.by_name[brought[0]]})"
            raise PackError(what, one_line(self.shown), "leave out --with-libc")
        asked = sorted({facts.interpreter for facts in self.files.values() if facts.interpreter})
        if len(asked) != 1:
            what = f"its programs ask for several loaders: {', '.join(asked)}" if asked else "it has no dynamic program"
            raise PackError(what, one_line(self.shown), "leave out --with-libc")
        if posixpath.basename(asked[0]).encode() not in GLIBC_LOADERS or not os.path.isfile(asked[0]):
            raise PackError(
                f"needs {asked[0]}, which this machine lacks", one_line(self.shown), "do it on one with glibc"
            )
        return asked[0]

    def _bring_libc(self, loader: str) -> None:
        folder = os.path.dirname(os.path.realpath(loader))
        self._bring(os.path.realpath(loader), f"{LIBC}/{posixpath.basename(loader)}")
        for name in PARTS:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                self._bring(path, f"{LIBC}/{name}")
        if "libc.so.6" not in self.by_name:
            raise PackError(f"no libc.so.6 beside {loader}", one_line(self.shown), "pack it on a machine with glibc")

    def _bring(self, source: str, path: str) -> None:
        target = os.path.join(self.stage, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        real = os.path.realpath(source)
        shutil.copy2(real, target)
        self.sources.append(real)
        self._add(path)
        self.by_name[posixpath.basename(path)] = path

    def _bring_needed(self) -> None:
        """Whatever a file of the tree needs and the tree has not, from this machine; and what that needs in turn."""
        waiting = sorted(self.files)
        while waiting:
            path = waiting.pop(0)
            facts = self.files[path]
            for name in facts.needed:
                if name in self.by_name or "/" in name:
                    continue
                source = self.system.find(name, facts.search)
                if source is None:
                    self.notes.append(
                        f"{one_line(path)}: needs {one_line(name)}, which neither it nor this machine has"
                    )
                    self.by_name[name] = ""
                    continue
                self._bring(source, f"{LIB}/{name}")
                waiting.append(f"{LIB}/{name}")

    def _bring_data(self, folder: str) -> None:
        for source, name in DATA:
            path = os.path.join(folder, source)
            if os.path.isdir(path):
                shutil.copytree(path, os.path.join(self.stage, LIBC, name), symlinks=False)
                self.sources += [os.path.join(above, each) for above, _, files in os.walk(path) for each in files]
            else:
                self.notes.append(f"this machine has no {path}: programs with the brought C library will miss it")

    def _bring_licences(self, packages: list[Package]) -> None:
        for package in packages:
            source = copyright_file(package.name)
            if source:
                target = os.path.join(self.stage, OURS, "licences", package.name)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copy2(os.path.realpath(source), target)

    def _libraries(self) -> list[str]:
        """The directories of the tree that hold a library which something needs, as the loader must look into them."""
        needed = {name for facts in self.files.values() for name in facts.needed}
        found = {posixpath.dirname(self.by_name[name]) for name in needed if self.by_name.get(name)}
        return [*sorted(found - {LIBC, LIB}), LIB]

    def _write_run_paths(self) -> None:
        """Programs get a run path, and so do the libraries that have one, which would hide the programs'."""
        others = self._libraries()
        for path, facts in sorted(self.files.items()):
            if path.startswith(LIBC + "/") or not (facts.kind == "program" or facts.search):
                continue
            full = os.path.join(self.stage, path)
            if os.path.getsize(full) > facts.end and facts.kind == "program":
                self.notes.append(f"{one_line(path)}: has data behind its end; its run path stays as it is")
                continue
            directory = posixpath.dirname(path)
            kept = [each for each in (self._kept(entry, directory) for entry in facts.search) if each]
            run_paths.write(full, run_paths.run_path(directory, [OWN, *kept], others))

    def _kept(self, entry: str, directory: str) -> str | None:
        """An entry of an old run path, as a directory of the tree; also one that was absolute before it was packed."""
        within = run_paths.inside(entry, directory) or entry.lstrip("/")
        return within if os.path.isdir(os.path.join(self.stage, within)) else None

    def _need(self) -> tuple[int, int]:
        """The C library that a machine must have for everything here but the C library itself."""
        versions = [
            facts.glibc for path, facts in self.files.items() if not path.startswith(LIBC + "/") and facts.glibc
        ]
        major, minor = max(versions, default=(2, 0))[:2]
        return major, minor

    def _prove(self, loader: str) -> None:
        """Let the brought loader load each program here, and see that it finds everything in the tree."""
        if self.machine != os.uname().machine:
            self.notes.append(f"made for {self.machine}: what its programs load could not be tried here")
            return
        own, command = os.path.join(self.stage, OWN), os.path.join(self.stage, loader)
        os.unlink(own)
        os.symlink(OWN_TARGET, own)
        for path, facts in sorted(self.files.items()):
            if facts.kind != "program" or path.startswith(LIBC + "/"):
                continue
            full = os.path.join(self.stage, path)
            done = subprocess.run([command, "--list", full], capture_output=True, text=True, env={}, check=False)
            stray = [line.strip() for line in done.stdout.splitlines() if " => " in line and self.stage not in line]
            missing = {one or other for one, other in _MISSING.findall(done.stdout + done.stderr)}
            # The note about a library that is nowhere has been made.
            if not all(self.by_name.get(name) == "" for name in missing) or (
                not missing and (stray or done.returncode)
            ):
                what = stray[0] if stray else done.stderr.strip()
                raise TmprunError(f"does not load from the bundle: {one_line(what)}", one_line(path))
        os.unlink(own)
        os.symlink(OWN_DANGLING, own)

    def _settle_times(self) -> None:
        """What was made here has the AppDir's time, so that the same AppDir gives the same bytes."""
        times = (self.times.st_atime_ns, self.times.st_mtime_ns)
        for folder, folders, names in os.walk(os.path.join(self.stage, OURS), topdown=False):
            for name in names + folders:
                path = os.path.join(folder, name)
                if os.path.islink(path) or os.path.isdir(path):
                    os.utime(path, ns=times, follow_symlinks=False)
        os.utime(os.path.join(self.stage, OURS), ns=times)
        os.utime(self.stage, ns=times)
