"""What the engine's build and the wheel take from the command line's declarations, as files.

    python -m tmprun.cli.shipped FOLDER

`help.bin` is built into the front door, which answers `tmprun --help` without Python: pairs of texts, each ended by a
NUL, the words behind `tmprun` that name a command, and its page. `share/` is what an installation has there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tmprun.cli import completions
from tmprun.cli.app import IN_SHORT, everything
from tmprun.cli.declared import Declared, all_of
from tmprun.cli.manual import manual
from tmprun.cli.pages import page
from tmprun.menus import system

ALONE = "-"
"""The name of what `tmprun` alone prints, among the pages of commands."""


def pages(top: Declared) -> list[tuple[str, str]]:
    """Each command's words (none for `tmprun` itself), and its page."""
    return [(ALONE, IN_SHORT), *((" ".join(each.words), page(each) + "\n") for each in all_of(top))]


def share(top: Declared) -> dict[str, str]:
    """The files of an installation's `share`, by their paths there."""
    return {
        "bash-completion/completions/tmprun": completions.bash(top),
        "zsh/site-functions/_tmprun": completions.zsh(top),
        "fish/vendor_completions.d/tmprun.fish": completions.fish(top),
        "man/man1/tmprun.1": manual(top),
        f"applications/{system.HANDLER}": system.handler("tmprun"),
        system.THUMBNAILER: system.thumbnailer("tmprun"),
        "systemd/user/tmprun-integrate.service": system.unit("tmprun"),
    }


def write(folder: Path) -> None:
    """Make all of it in the folder; what is as it should be is not touched."""
    top = everything()
    files = {f"share/{path}": text for path, text in share(top).items()}
    files["help.bin"] = "".join(f"{words}\0{text}\0" for words, text in pages(top))
    for path, text in files.items():
        file = folder / path
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_name(f"{file.name}.{os.getpid()}")  # another build may read it now
            partial.write_text(text, encoding="utf-8")
            partial.replace(file)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
