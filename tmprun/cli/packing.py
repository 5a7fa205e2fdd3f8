"""The options of commands that make a bundle."""

from __future__ import annotations

from typing import Annotated

import typer

from tmprun.pack.levels import DEFAULT_LEVEL

Output = Annotated[str, typer.Option("-o", "--output", metavar="OUT", help="The bundle to write.")]
Arguments = Annotated[list[str] | None, typer.Argument(metavar="[-- ARGS...]", help="With --trace: the app's own.")]
Level = Annotated[int, typer.Option(metavar="N", help="zstd's level, 1 (fast) to 22 (small).")]
Threads = Annotated[int, typer.Option(metavar="N", min=0, help="So many at once; 0: one a processor.")]
WithLibc = Annotated[
    bool, typer.Option("--with-libc", help="Bring what it needs of this machine, the C library included.")
]
Tracing = Annotated[bool, typer.Option("--trace", help="Run the app once, and put first what its start opens.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Report errors only.")]

__all__ = ["DEFAULT_LEVEL", "Arguments", "Level", "Output", "Quiet", "Threads", "Tracing", "WithLibc"]
