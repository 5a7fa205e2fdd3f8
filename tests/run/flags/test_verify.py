"""`@verify`: every difference between a tree and its image is found, and a tree without one has none."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from kit import craft
from kit.apps import App, write
from kit.harness import Harness

from tmprun.index.encode import encode
from tmprun.index.nodes import Frame, Node
from tmprun.index.rules import CODEC_STORED, DIRECTORY, FILE, HOLE


@pytest.fixture
def tree(harness: Harness, app: App) -> Path:
    harness.run(app.bundle)
    return harness.shelf("tree") / app.key / "tree"


def differences(harness: Harness, image: Path, tree: Path) -> list[str]:
    result = harness.run(harness.door, "@verify", "--tree", tree, "--", image, status=None)
    lines = result.stdout.decode("utf-8", "surrogateescape").splitlines()
    damaged = [line for line in lines if not line.endswith(": added")]
    assert (result.status, result.stderr) == (1 if damaged else 0, b""), result
    return lines


def test_a_published_tree_is_what_its_image_says(harness: Harness, app: App, tree: Path) -> None:
    assert differences(harness, app.bundle, tree) == []


# What is done to the tree, by a shell whose working directory is its `usr`, and a word of what is said about it.
CHANGES = {
    "one byte": (
        "touch -r share/text T; printf X | dd of=share/text conv=notrunc; touch -r T share/text; rm T",
        "content",
    ),
    "longer": ("touch -r share/text T; echo more >> share/text; touch -r T share/text; rm T", "size"),
    "shorter": ("touch -r share/text T; truncate -s 3 share/text; touch -r T share/text; rm T", "size"),
    "mode": ("chmod 0777 share/text", "mode"),
    "time": ("touch -d @1 share/text", "time"),
    "directory's mode": ("chmod 0700 share", "mode"),
    "added": (": > new", "added"),
    "removed": ("rm -f odd*", "missing"),
    "symlink": ("ln -sf x link", "symlink"),
    "file is a symlink": ("ln -sf share/noise hard", "no file"),
    "file is a fifo": ("rm -f hard; mkfifo hard", "no file"),
    "file is a directory": ("rm -f hard; mkdir hard", "no file"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_difference_is_named(harness: Harness, app: App, tree: Path, what: str) -> None:
    change, word = CHANGES[what]
    harness.run("sh", "-ec", change, cwd=tree / "usr")
    assert word in "\n".join(differences(harness, app.bundle, tree))


def test_a_hole_with_something_in_it(harness: Harness) -> None:
    """No frame stands for a hole, so nothing would notice by comparing frames alone."""
    script = b"#!/bin/sh\n"
    root = Node(b"", DIRECTORY)
    apprun = root.add(Node(b"AppRun", FILE, 0o755))
    apprun.segments, apprun.size = [(0, 0, len(script))], len(script)
    sparse = root.add(Node(b"sparse", FILE))
    sparse.segments, sparse.size = [(HOLE, 0, 200_000), (0, 0, 2), (HOLE, 0, 70_000)], 270_002
    frame = Frame(0, len(script), len(script), CODEC_STORED, hashlib.sha256(script).digest())
    image = write(harness.base / "image", craft.bundle(encode(root, [frame]), script))
    harness.run(harness.door, image)
    tree = next(harness.shelf("tree").glob("*/tree"))
    assert differences(harness, image, tree) == []
    content = (tree / "sparse").read_bytes()
    (tree / "sparse").chmod(0o644)
    for at in (0, 199_999, 200_002, 270_001):
        (tree / "sparse").write_bytes(content[:at] + b"x" + content[at + 1 :])
        assert "sparse: other content" in differences(harness, image, tree)
    (tree / "sparse").write_bytes(content)
    assert differences(harness, image, tree) == ["sparse: other mode"]
