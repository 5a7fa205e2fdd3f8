"""This machine, as a place that a slice's files come from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from tmprun.host.libraries import SystemLibraries
from tmprun.host.packages import Package, copyright_file, files_of, packages_of


class System:
    """The machine's libraries for `machine`, and the packages that they came from."""

    def __init__(self, machine: str) -> None:
        self.libraries = SystemLibraries(machine)

    def find(self, name: str, search: Sequence[str] = ()) -> str | None:
        return self.libraries.find(name, search)

    def locate(self, path: str) -> str:
        return path

    def libraries_of(self, package: str) -> list[str]:
        files = {os.path.realpath(path) for path in files_of(package)}
        return sorted(name for name, path in self.libraries.known.items() if os.path.realpath(path) in files)

    def packages_of(self, paths: Iterable[str]) -> list[Package]:
        return packages_of(paths)

    def copyright_file(self, package: str) -> str | None:
        return copyright_file(package)
