"""Every corpus, by name."""

from __future__ import annotations

from collections.abc import Sequence

from tmprun_bench.corpora import exit0, git, libreoffice, linuxdeploy, neovim, node, python_numpy
from tmprun_bench.corpora.app import App
from tmprun_bench.corpora.synthetic import synthetic
from tmprun_bench.errors import BenchError

MB = 1_000_000


def many() -> App:
    """As many files and as much data as a usual AppImage of a desktop program: compressed about 100 MB."""
    return synthetic("many", "2,000 files, 280 MB, exit 0", files=2000, size=280 * MB, noise=0.05)


def large() -> App:
    """300 MB in 3,000 files of which the app reads none: how long until it is started."""
    return synthetic("large", "3,000 files, 300 MB, exit 0", files=3000, size=300 * MB, noise=0.05)


def tiny(files: int, reads: Sequence[int] = ()) -> App:
    """Nothing but small files, 500 bytes each on average. The app reads those numbered `reads`, or just exits."""
    work = f"{len(reads)} read" if reads else "exit 0"
    return synthetic(
        f"tiny-{files}",
        f"{files:,} tiny files, {work}",
        files=files,
        size=files * 500,
        noise=0.1,
        spread=1.0,
        reads=reads,
    )


def sparse_use() -> App:
    """1 GB in 1,000 equal files, of which the app reads three: the best case of a mount."""
    reads = (17, 503, 998)
    return synthetic(
        "sparse-use", "1 GB in 1,000 files, 3 read", files=1000, size=1000 * MB, noise=0.1, spread=0, reads=reads
    )


def all_apps() -> dict[str, App]:
    """Every corpus by its name."""
    apps = (
        exit0.app(), git.app(), neovim.app(with_libc=False), neovim.app(with_libc=True), libreoffice.app(), node.app(),
        python_numpy.app(), linuxdeploy.app(), many(), large(), tiny(10_000), tiny(100_000), sparse_use(),
    )  # fmt: skip
    return {app.name: app for app in apps}


def named(name: str) -> App:
    """The corpus with this name; BenchError when there is none."""
    apps = all_apps()
    if name not in apps:
        raise BenchError(f"there is no corpus {name}; there are {', '.join(apps)}")
    return apps[name]
