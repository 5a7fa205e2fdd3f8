"""Which packages of this machine files came from, and under which licences: for those whom a bundle is passed on to."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

DOCUMENTS = "/usr/share/doc"
_FACTS = "-f=${Version}\\t${source:Package} ${source:Version}"
_ROW = "%{NAME}\\t%{VERSION}-%{RELEASE}\\t%{LICENSE}\\t%{SOURCERPM}\\n"
_LICENSE = re.compile(r"^License:[ \t]*(\S.*)$", re.MULTILINE)
_COMMON = re.compile(r"/usr/share/common-licenses/([A-Za-z]+(?:-[0-9]+(?:\.[0-9]+)*)?)")


@dataclass(frozen=True, order=True)
class Package:
    """`licences` are names as the package's own copyright file uses them; empty when it does not say. `source` is name
    and version of the source package, empty where that was not asked for."""

    name: str
    version: str
    licences: tuple[str, ...]
    source: str = ""


def packages_of(paths: Iterable[str]) -> list[Package]:
    """The packages that own these files, sorted; those of files that no package manager knows are missing."""
    if shutil.which("dpkg-query"):
        return _debian(paths)
    if shutil.which("rpm"):
        return _rpm(paths)
    return []


def files_of(package: str) -> list[str]:
    """The paths that the package of that name has installed; none when there is no such package."""
    if shutil.which("dpkg-query"):
        return _ask("dpkg-query", "-L", package).splitlines()
    return _ask("rpm", "-ql", package).splitlines() if shutil.which("rpm") else []


def copyright_file(package: str) -> str | None:
    """The file with the licence's text, when this machine has it."""
    path = f"{DOCUMENTS}/{package}/copyright"
    return path if os.path.isfile(path) else None


def _ask(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    return done.stdout


def _debian(paths: Iterable[str]) -> list[Package]:
    # A package may have been built before /lib became a symlink to /usr/lib: both names are asked for.
    wanted = {path for real in paths for path in (real, real.removeprefix("/usr"), "/usr" + real.removeprefix("/usr"))}
    lines = _ask("dpkg-query", "-S", *sorted(wanted)).splitlines() if wanted else []
    names = sorted({line.rpartition(": ")[0].split(",")[0] for line in lines if not line.startswith("diversion by")})
    found = set()
    for name in filter(None, names):
        version, source = _ask("dpkg-query", "-W", _FACTS, name).partition("\t")[::2]
        short = name.partition(":")[0]
        found.add(Package(short, version, _debian_licences(short), source))
    return sorted(found)


def _debian_licences(name: str) -> tuple[str, ...]:
    path = copyright_file(name)
    if path is None:
        return ()
    with open(path, encoding="utf-8", errors="replace") as file:
        return licences_of(file.read())


def licences_of(text: str) -> tuple[str, ...]:
    """From a machine-readable copyright file (DEP 5); else the common licences that it refers to."""
    if text.startswith("Format:"):
        return tuple(sorted({found.strip() for found in _LICENSE.findall(text)}))
    return tuple(sorted({found.rstrip(".") for found in _COMMON.findall(text)}))


def _rpm(paths: Iterable[str]) -> list[Package]:
    lines = _ask("rpm", "-qf", "--qf", _ROW, *paths).splitlines()
    rows = {tuple(line.split("\t")) for line in lines if line.count("\t") == 3}
    return sorted(Package(name, version, (licence,), source) for name, version, licence, source in rows)
