"""The package's build: compiles the engine into the wheel, puts the decoders' sources into the sdist.

And the package's description: README.md as a page that is not beside the files it links to.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

WHEEL_MACHINE = "TMPRUN_WHEEL_MACHINE"
LINK = re.compile(r"(!?)\[([^][]*)\]\((?![a-z]+:|#)([^()\s]+)\)")


class EngineHook(BuildHookInterface):  # type: ignore[type-arg]
    """Called by hatchling for each wheel and sdist; stub/build.py does the work."""

    PLUGIN_NAME = "custom"

    @cached_property
    def engine(self) -> ModuleType:
        """stub/build.py, which is part of no package."""
        spec = importlib.util.spec_from_file_location("tmprun_engine_build", Path(self.root) / "stub" / "build.py")
        assert spec is not None and spec.loader is not None
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    @property
    def machine(self) -> str:
        """The machine that the wheel is for: TMPRUN_WHEEL_MACHINE, by default this one."""
        return os.environ.get(WHEEL_MACHINE, "").strip() or str(self.engine.host_machine())

    def machines(self) -> list[str]:
        """The machines that programs are built for: nobody who installs tmprun here waits for zig (80 MB, and 400
        when unpacked) to make another one's stub, unless TMPRUN_ENGINE_ARCHES asks for it."""
        machines: list[str] = self.engine.wanted_machines([self.machine])
        if self.machine not in machines:
            raise self.engine.BuildError(f"TMPRUN_ENGINE_ARCHES must name {self.machine}, the machine of this wheel")
        return machines

    def dependencies(self) -> list[str]:
        """What this build needs beside hatchling. What is wrong is said when it begins."""
        try:
            machines = [] if self.target_name == "sdist" else self.machines()
        except self.engine.BuildError:
            machines = []
        needs: list[str] = self.engine.build_requires(machines)
        return needs

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        try:
            if self.target_name == "sdist":
                self._add_sources(build_data)
            else:
                self._add_engine(build_data)
        except self.engine.BuildError as error:
            self.app.abort(f"tmprun: {error}")

    def _add_sources(self, build_data: dict[str, Any]) -> None:
        """With the pinned sources and the help pages in it, building from an sdist needs neither an index nor typer."""
        for source in self.engine.fetch():
            build_data["force_include"][str(source.file)] = str(source.file.relative_to(self.engine.ROOT))
        build_data["force_include"][str(self.engine.shipped())] = "stub/made"

    def _add_engine(self, build_data: dict[str, Any]) -> None:
        """The stubs become package data; the front door is the script `tmprun`, and is nowhere else in the wheel.

        Static programs run with any C library, so the wheel has the tags of both families.
        """
        machine = self.machine
        for program in self.engine.build(self.machines()):
            if program.name == "stub":
                build_data["artifacts"].append(f"/{program.relative_to(self.engine.ROOT)}")
        build_data["shared_scripts"][f"tmprun/engine/{machine}/tmprun"] = "tmprun"
        for file in self.engine.share():
            build_data["shared_data"][str(file)] = str(file.relative_to(self.engine.shipped()))
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-manylinux_2_17_{machine}.manylinux2014_{machine}.musllinux_1_1_{machine}"


class DescriptionHook(MetadataHookInterface):
    """The description and the project's addresses.

    `repository`, in pyproject.toml's table of this hook, is where the source tree can be read on the web: where links
    to its files lead, and what an index shows. As long as it is empty, such links are plain text.
    """

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        repository = str(self.config.get("repository", "")).rstrip("/")
        text = description((Path(self.root) / "README.md").read_text(encoding="utf-8"), repository)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        metadata["urls"] = {}
        if repository:
            metadata["urls"] = {
                "Source": repository,
                "Documentation": f"{repository}/tree/HEAD/docs",
                "Changes": f"{repository}/blob/HEAD/CHANGELOG.md",
            }


def description(text: str, repository: str) -> str:
    """The Markdown `text` with links to the source tree's files made absolute; without a `repository`, to text.

    `/blob/HEAD/` and `/raw/HEAD/` are what the large hosts have in common. A picture without an address is left out.
    """

    def link(match: re.Match[str]) -> str:
        picture, label, path = match.groups()
        if not repository:
            return "" if picture else label
        return f"{picture}[{label}]({repository}/{'raw' if picture else 'blob'}/HEAD/{path})"

    return LINK.sub(link, text)
