"""`tmprun bench`. The benchmark is a package of its own, `tmprun_bench`, and is loaded when it is asked for."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from tmprun.errors import TmprunError

NEEDED = ("tmprun_bench", "numpy", "scipy")
FOR_PICTURES = "matplotlib"
# Where a wheel has it, so that "tmprun" is all that it puts into site-packages. In a source tree it is bench/, which an
# editable installation has on its path.
INSTALLED = Path(__file__).parents[1] / "bench"


class BenchFailed(TmprunError):
    """The benchmark could not be done, or an answer was wrong."""

    status = 2


def bench(
    image: Annotated[str | None, typer.Argument(metavar="APP", help="An AppImage of type 2, or a bundle.")] = None,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARGS", help="The app's own, which make it end; --version unless given."),
    ] = None,
    case: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Run this case of the suite; again for more; or `all`.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the cases and what they run, and end.")] = False,
    make: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Make this corpus, or `all`; measure nothing.")
    ] = None,
    ci: Annotated[
        bool, typer.Option("--ci", help="Run the short case for CI: no downloads, no root, no FUSE.")
    ] = False,
    earlier: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="FILE", help="Take these results of --json; of a case, the last ones count."),
    ] = None,
    runs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Rounds; by default what each case finds right.")
    ] = None,
    memory: Annotated[bool, typer.Option("--memory", help="Watch memory, too, in a round of its own.")] = False,
    drop_caches: Annotated[
        bool, typer.Option("--drop-caches", help="As root: drop the page cache before each run.")
    ] = False,
    level: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=22, help="zstd's level for the images made here; 9.")
    ] = None,
    block: Annotated[str, typer.Option(metavar="SIZE", help="Block size of the squashfs images made here.")] = "128K",
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0.1, help="For one run; 60 for APP, 600 for a case."),
    ] = None,
    work: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Work there; by default on a tmpfs with room, as /dev/shm.")
    ] = None,
    door: Annotated[
        Path | None, typer.Option("--bin", metavar="DIR", help="Measure the tmprun that is installed there.")
    ] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write everything, raw numbers included.")] = None,
    markdown: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the tables.")] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write limits and skips as JUnit XML.")] = None,
    picture: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it: .svg or .png.")] = None,
    draw: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Of --picture: show this case alone; again for more.")
    ] = None,
    save_baseline: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep the ratios for later runs.")] = None,
    baseline: Annotated[Path | None, typer.Option(metavar="FILE", help="What --fail-if compares with.")] = None,
    fail_if: Annotated[
        list[str] | None, typer.Option(metavar="EXPR", help="A limit, as 'warm_start>1.10'; exit status 1 beyond it.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit status 1 also when a case's own limit is missed.")
    ] = False,
) -> None:
    """Measure an app, run in every way there is.

    Mounted, extracted, by tmprun; or cases of the suite, in the same ways.

    Examples:
        tmprun bench app.AppImage --version
        tmprun bench --ci --fail-if 'warm_start>1.10' --baseline before.json
    """
    if not (image or case or listing or make or ci or earlier):
        wanted = "give APP, --case, --ci, --list, --make or --from"
        raise TmprunError(f"nothing to measure: {wanted}", remedy="see tmprun --help")
    if INSTALLED.is_dir():
        sys.path.insert(0, str(INSTALLED))
    _look_for(*NEEDED, *((FOR_PICTURES,) if picture else ()))
    from tmprun_bench import command
    from tmprun_bench.errors import BenchError

    request = command.Request(
        image=Path(image) if image else None, arguments=tuple(arguments or ()), cases=tuple(case or ()),
        listing=listing, make=tuple(make or ()), ci=ci, earlier=tuple(map(Path, earlier or ())), runs=runs,
        memory=memory, drop_caches=drop_caches, level=level, block=block, timeout=timeout, work=work, door=door,
        json=json, markdown=markdown, junit=junit, picture=picture, draw=tuple(draw or ()),
        save_baseline=save_baseline, baseline=baseline, fail_if=tuple(fail_if or ()), strict=strict,
    )  # fmt: skip
    try:
        status = command.run(request)
    except (BenchError, TmprunError) as error:
        raise BenchFailed(str(error)) from None
    except OSError as error:
        raise BenchFailed(error.strerror or str(error), str(error.filename or "the system")) from None
    if status:
        raise typer.Exit(status)


def _look_for(*modules: str) -> None:
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise TmprunError(f"{' and '.join(missing)} not installed", "bench", "pip install 'tmprun[bench]'")
