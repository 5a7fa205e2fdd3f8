"""Archives as apps: LibreOffice's and neovim's trees as .tar.zst and .tar.gz, started as they are.

Their rival is what people do with such a file: `tar x`, to tmpfs here, and then the program. That is timed from the
first byte of the archive to the end of the app, for both. tmprun's first start ever unpacks the archive to disk,
packs it meanwhile into a bundle in the disk cache, and starts that; so it does twice the work, for the sake of all
other starts, of which the cold one stands beside that of a bundle of the same tree. Each app proves its answer. Page
cache warm.
"""

from __future__ import annotations

from tmprun_bench import subjects
from tmprun_bench.corpora import libreoffice, neovim
from tmprun_bench.corpora.app import App
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import measure
from tmprun_bench.measure.results import Result

ROUNDS = 7
MUST, REACH, COLD = 1.6, 1.1, 1.03


def archives(context: Context) -> Result:
    """LibreOffice and neovim as .tar.zst and .tar.gz: first starts against tar x and run, cold against a bundle."""
    result = Result("archives", "Archives started as they are, against unpacking them first")
    for app in (libreoffice.app(), neovim.app(with_libc=False)):
        _compare(context, app, result)
    return result


def _compare(context: Context, app: App, result: Result) -> None:
    prefix = f"{app.name}: "
    tars = {"zstd": subjects.tar_zstd(context, app), "gzip": subjects.tar_gzip(context, app)}
    first = {codec: subjects.archive(context, app, state="first ever", codec=codec) for codec in tars}
    cold, bundle = subjects.archive(context, app, state="cold"), subjects.bundle(context, app, state="cold")
    ways = [*tars.values(), *first.values(), cold, bundle]
    result.add(measure(ways, context.rounds(ROUNDS), context.work.root, memory=context.memory), prefix)
    for codec, ours in first.items():
        what = f"{prefix}first start ever, {codec}"
        result.compare(what, prefix + ours.name, prefix + tars[codec].name, must=MUST, reach=REACH)
    result.compare(f"{prefix}cold, against a bundle", prefix + cold.name, prefix + bundle.name, must=COLD)
