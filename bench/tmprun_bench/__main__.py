"""`python -m tmprun_bench`: make the corpora, run cases, report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tmprun.errors import TmprunError
from tmprun_bench import machine, report
from tmprun_bench.cases import CASES, summary_of
from tmprun_bench.context import Context
from tmprun_bench.corpora import catalogue, images
from tmprun_bench.corpora.cache import describe
from tmprun_bench.errors import BenchError
from tmprun_bench.installation import installed
from tmprun_bench.results import Result
from tmprun_bench.workspace import workspace

app = typer.Typer(add_completion=False, no_args_is_help=True, help="What tmprun costs, and what its peers cost.")
console = Console(stderr=True)

Level = Annotated[int, typer.Option(help="zstd level of both kinds of image.")]
Block = Annotated[str, typer.Option(help="Block size of the squashfs images.")]
STANDARD = images.Packing()
WIDTH = 150  # of tables that go to a file


@app.command("list")
def list_cases() -> None:
    """List the cases."""
    for name, case in CASES.items():
        typer.echo(f"{name:18} {summary_of(case)}")


@app.command("corpora")
def make_corpora(
    names: Annotated[list[str] | None, typer.Argument(help="Which; all by default.")] = None,
    level: Level = STANDARD.level,
    block: Block = STANDARD.block,
) -> None:
    """Make the AppDirs and images, which are kept in build/corpora."""
    packing = images.Packing(level, block)
    for name in names or list(catalogue.all_apps()):
        one = catalogue.named(name)
        facts = describe(one.appdir)
        typer.echo(f"{name}: {', '.join(f'{count:,} {what}' for what, count in facts.items())}")
        for path in (images.type2(one, packing), images.bundled(one, packing)):
            typer.echo(f"  {path.name}: {path.stat().st_size:,} bytes")


@app.command("run")
def run_cases(
    names: Annotated[list[str], typer.Argument(metavar="CASE...", help="Which; `all` for all.")],
    runs: Annotated[int | None, typer.Option(min=1, help="Rounds; by default what each case finds right.")] = None,
    level: Level = STANDARD.level,
    block: Block = STANDARD.block,
    memory: Annotated[bool, typer.Option("--memory", help="Watch memory, too, in a round of its own.")] = False,
    work: Annotated[Path, typer.Option(help="A directory on tmpfs to work in.")] = Path("/dev/shm"),
    door: Annotated[Path | None, typer.Option("--bin", help="The bin directory of the tmprun to measure.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write everything, raw numbers included, here.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables here.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when a limit is missed.")] = False,
) -> None:
    """Run cases and print their tables."""
    chosen = list(CASES) if names == ["all"] else names
    unknown = [name for name in chosen if name not in CASES]
    if unknown:
        raise BenchError(f"there is no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    out = Console(width=None if sys.stdout.isatty() else WIDTH)
    results: list[Result] = []
    with workspace(work) as space:
        context = Context(space, images.Packing(level, block), installed(door, space.root), runs, memory)
        facts = machine.describe(context.door) | {"level": level, "block": block}
        _warn(machine.busy())
        for name in chosen:
            results.append(CASES[name](context))
            report.show(results[-1], out)
            _warn(machine.busy())
    if json:
        json.write_text(report.as_json(results, facts))
    if markdown:
        markdown.write_text(report.markdown(results, facts))
    missed = [comparison for result in results for comparison in result.comparisons if comparison.verdict == "missed"]
    if strict and missed:
        raise typer.Exit(1)


def _warn(text: str) -> None:
    if text:
        console.print(text, style="bold yellow", markup=False)


def main() -> None:
    """The command line; its own failures are one line and exit status 2."""
    try:
        app(standalone_mode=True)
    except (BenchError, TmprunError) as error:
        console.print(f"bench: {error}", style="bold red", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
