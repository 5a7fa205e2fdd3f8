"""The package's build: compiles the engine into the wheel, puts the decoders' sources into the sdist."""

from __future__ import annotations

import importlib.util
import sys
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


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

    def dependencies(self) -> list[str]:
        """What this build needs beside hatchling: zig (80 MB) only when it has to compile for another machine."""
        machines = [] if self.target_name == "sdist" else self.engine.wanted_machines()
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
        build_data["force_include"][str(self.engine.help_pages())] = "stub/help.bin"

    def _add_engine(self, build_data: dict[str, Any]) -> None:
        """All machines' programs become package data, and the front door of this machine is the script `tmprun`.

        Static programs run with any C library, so the wheel has the tags of both families.
        """
        host = self.engine.host_machine()
        machines = self.engine.wanted_machines()
        if host not in machines:
            self.app.abort(f"tmprun: TMPRUN_ENGINE_ARCHES must name {host}, the machine of this wheel")
        programs = [program.relative_to(self.engine.ROOT) for program in self.engine.build(machines)]
        build_data["artifacts"] += [f"/{program}" for program in programs]
        build_data["shared_scripts"][f"tmprun/engine/{host}/tmprun"] = "tmprun"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-manylinux_2_17_{host}.manylinux2014_{host}.musllinux_1_1_{host}"
