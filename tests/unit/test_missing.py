"""Without one of the packages that it uses, every command either works or says in one line what to install."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from kit.foreign_images import COMPRESSORS, mksquashfs, sample_tree, write_image
from kit.packing import script

from tmprun.missing import missing

REPOSITORY = Path(__file__).parents[2]

# What pip is told, by what is imported.
BROUGHT_BY = {
    "elftools": "pyelftools", "psutil": "psutil", "rich": "rich", "typer": "typer", "zstandard": "zstandard",
    "numpy": "tmprun[bench]", "scipy": "tmprun[bench]", "matplotlib": "tmprun[bench]",
}  # fmt: skip

# Runs each of the commands that it is given in a child; to which a package is missing from the beginning.
DRIVER = """
import json, os, sys, tempfile
sys.modules[sys.argv[1]] = None
sys.path[:0] = sys.argv[2:]
from tmprun import main
try:
    import tmprun.cli
except ImportError:
    pass
ends = []
for words in json.load(sys.stdin):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        pid = os.fork()
        if not pid:
            os.dup2(out.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            sys.argv = ["tmprun", *words]
            try:
                status = main.main()
            except SystemExit as end:
                status = end.code or 0
            finally:
                sys.stdout.flush()
            os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        errors.seek(0)
        ends.append([status, errors.read().decode()])
json.dump(ends, sys.stdout)
"""


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """Every command, with an image of every codec."""
    top = tmp_path_factory.mktemp("missing")
    tree = sample_tree(top / "tree")
    script(tree / "AppRun")
    squashed = {name: mksquashfs(tree, top / "squashfs", "-comp", name) for name in COMPRESSORS}
    images = [str(write_image(top / name, squashfs)) for name, squashfs in squashed.items()]
    into, other = str(top / "into"), [str(top / "out"), str(top / "squashfs-root")]
    return [
        ["--version"], ["--help"], ["help", "pack"], ["run", images[0]],
        ["pack", str(tree), "-o", other[0]],
        *(["info", image] for image in images),
        ["extract", images[1], "-C", other[1]],
        *(["cache", *words] for words in (["list"], ["prune"], ["path", images[0]], ["verify"], ["clear"])),
        ["doctor"], ["bench", "--list"], ["bench", images[1], "--picture", into, "--runs", "0"],
        ["bench", "--case", "nosuch"], ["bench", "--case", "nosuch", "--picture", f"{into}.svg"],
    ]  # fmt: skip


@pytest.mark.parametrize("module", BROUGHT_BY)
def test_no_command_is_surprised(module: str, commands: list[list[str]], tmp_path: Path) -> None:
    command = [sys.executable, "-c", DRIVER, module, str(REPOSITORY), str(REPOSITORY / "bench")]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPRUN_STORE": str(tmp_path / "store")}
    done = subprocess.run(command, input=json.dumps(commands), env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = 0
    for words, (status, errors) in zip(commands, json.loads(done.stdout), strict=True):
        assert "Traceback" not in errors and "bug" not in errors and "internal" not in errors, (words, errors)
        if "not installed" in errors:
            told += 1
            assert status in (126, 127) and errors.count("\n") == 1, (words, status, errors)
            assert module in errors or BROUGHT_BY[module] in errors, (words, errors)
            assert errors.endswith(f"; pip install '{BROUGHT_BY[module]}'\n"), (words, errors)
    assert told, "nothing needs it"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModuleNotFoundError("No module named 'elftools'", name="elftools.elf"), "package pyelftools is not installed"),
        (ImportError("cannot import name 'X' from 'typer'", name="typer"), "typer cannot be used (cannot import name"),
        (ModuleNotFoundError("No module named '_lzma'", name="_lzma"), "this Python is not complete: No module named"),
        (ModuleNotFoundError("No module named 'tmprun.x'", name="tmprun.x"), "install tmprun again"),
        (ImportError("nothing is known"), "install tmprun again"),
    ],
)
def test_what_is_said_about_an_error(error: ImportError, words: str) -> None:
    assert words in str(missing(error))
