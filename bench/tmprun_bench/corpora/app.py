"""What a case runs: an AppDir, how to start it, and how to tell that it did what it should."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tmprun_bench.corpora.cache import make
from tmprun_bench.errors import WrongAnswer
from tmprun_bench.places import CORPORA


@dataclass(frozen=True)
class App:
    """An AppDir that `build(directory)` makes, the arguments that make it work, and the check of its work.

    `arguments(scratch)` are AppRun's; `scratch` is a directory that is empty before each run. `check(output, scratch)`
    raises WrongAnswer unless the run's stdout and what lies in `scratch` are right; that its exit status is `status`
    is proven already. `image`, when set, makes the type-2 AppImage that somebody else has packed; otherwise it is
    packed here. What was made of another `revision` is not used. `alters_itself`: started by root it writes into its
    own directory, after which tmprun unpacks it anew; a warm start is one whose tree is right, so that is done
    beforehand.
    """

    name: str
    title: str
    build: Callable[[Path], None]
    arguments: Callable[[Path], tuple[str, ...]]
    check: Callable[[bytes, Path], None]
    image: Callable[[Path], None] | None = None
    revision: str = "1"
    status: int = 0
    alters_itself: bool = False

    @property
    def folder(self) -> Path:
        """Where everything that is made of it is kept."""
        return CORPORA / f"{self.name}-{self.revision}"

    @property
    def appdir(self) -> Path:
        """The AppDir, made now if need be."""
        return make(self.folder / f"{self.name}.AppDir", self.build)


def no_arguments(_scratch: Path) -> tuple[str, ...]:
    """For an AppRun that needs none."""
    return ()


def prints(expected: bytes) -> Callable[[bytes, Path], None]:
    """A check that stdout is exactly `expected`."""

    def check(output: bytes, _scratch: Path) -> None:
        if output != expected:
            raise WrongAnswer(f"printed {output[:200]!r}, not {expected[:200]!r}")

    return check


def write_script(path: Path, text: str) -> None:
    """An executable script."""
    path.write_text(text)
    path.chmod(0o755)
