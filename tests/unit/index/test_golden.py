"""The golden files of tests/data: our reader agrees with what they mean, and refuses each bad one."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kit.bundle_reader import Bundle
from kit.trees import below

from tmprun.bundle.footer import read_footer, read_index
from tmprun.errors import TmprunError
from tmprun.index.decode import decode
from tmprun.index.encode import encode
from tmprun.index.nodes import Fixup, Index, Node, key_of
from tmprun.index.rules import DIRECTORY, FILE, HARD_LINK, HOLE, SYMLINK

DATA = Path(__file__).parents[2] / "data"
RULES: dict[str, dict[str, str]] = json.loads((DATA / "bad.json").read_text())
GOOD = sorted(path.name for path in (DATA / "good").iterdir() if path.suffix != ".json")
TYPES = {DIRECTORY: "directory", FILE: "file", SYMLINK: "symlink", HARD_LINK: "link"}


def table_of(path: Path) -> bytes:
    """The index in a golden file, which may be a bundle."""
    if path.suffix == ".index":
        return path.read_bytes()
    fd = os.open(path, os.O_RDONLY)
    try:
        footer = read_footer(fd)
        assert footer is not None
        return read_index(fd, footer)
    finally:
        os.close(fd)


def described(index: Index, table: bytes) -> dict[str, Any]:
    """A decoded index in the words of tests/data/README.md, without the digests of contents."""
    paths = [os.fsdecode(path) for path in index.paths()]
    return {
        "key": key_of(table),
        "foreign": {"size": index.image_size, "sha256": index.image_sha256.hex()} if index.foreign else None,
        "content": index.content_size,
        "frames": [
            {"offset": f.offset, "stored": f.stored, "plain": f.plain, "codec": f.codec, "sha256": f.digest.hex()}
            for f in index.frames
        ],
        "nodes": [node_in_words(node, path, paths) for node, path in zip(index.nodes, paths, strict=True)],
        "fixups": [fixup_in_words(fixup, paths) for fixup in index.fixups],
        "hot": [paths[number] for number in index.hot],
        "metadata": json.loads(index.metadata),
    }


def fixup_in_words(fixup: Fixup, paths: list[str]) -> dict[str, Any]:
    interpreter = fixup.interpreter
    said = {
        "path": os.fsdecode(interpreter.path),
        "node": paths[interpreter.node.number],
        "need": interpreter.need,
        "link": paths[interpreter.link.number] if interpreter.link else "",
        "target": os.fsdecode(interpreter.target),
    }
    numbers = {"kind": fixup.kind, "header": fixup.header, "at": fixup.at, "room": fixup.room}
    return {"node": paths[fixup.node.number], "interpreter": said} | numbers


def node_in_words(node: Node, path: str, paths: list[str]) -> dict[str, Any]:
    said: dict[str, Any] = {"path": path, "type": TYPES[node.kind], "mode": node.mode, "mtime": node.mtime}
    if node.kind == SYMLINK:
        said["target"] = os.fsdecode(node.target)
    elif node.kind == HARD_LINK:
        assert node.link is not None
        said["link"] = paths[node.link.number]
    elif node.kind == FILE:
        said |= {"size": node.size, "first": node.first}
        said["segments"] = [[-1 if frame == HOLE else frame, at, length] for frame, at, length in node.segments]
    return said


def test_the_files_are_those_that_the_script_writes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-B", DATA / "make.py", tmp_path], check=True)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in below(tmp_path) if path.is_file()}
    kept = {path: (DATA / path).read_bytes() for path in made if (DATA / path).exists()}
    assert made == kept
    there = {path.name for folder in ("good", "bad") for path in (DATA / folder).iterdir()}
    assert there == {path.name for path in made if path.name != "bad.json"}


@pytest.mark.parametrize("name", GOOD)
def test_good_ones_mean_what_their_json_says(name: str) -> None:
    path = DATA / "good" / name
    expected = json.loads(path.with_suffix(".json").read_text())
    for node in expected["nodes"]:
        node.pop("sha256", None)
    table = table_of(path)
    assert described(decode(table), table) == expected


@pytest.mark.parametrize("name", GOOD)
def test_good_ones_can_be_written_again_with_the_same_meaning(name: str) -> None:
    path = DATA / "good" / name
    index = decode(table_of(path))
    table = encode(
        index.nodes[0],
        index.frames,
        hot=[index.nodes[number] for number in index.hot],
        fixups=index.fixups,
        metadata=index.metadata,
        image_size=index.image_size,
        image_sha256=index.image_sha256 if index.foreign else b"",
    )
    words = described(decode(table), table)
    assert words | {"key": ""} == described(index, b"") | {"key": ""}


def test_the_golden_bundle_has_the_content_that_its_json_says() -> None:
    path = DATA / "good" / "golden.bundle"
    expected = json.loads(path.with_suffix(".json").read_text())["nodes"]
    found = {os.fsdecode(name): hashlib.sha256(content).hexdigest() for name, content in Bundle(path).files().items()}
    assert found == {node["path"]: node["sha256"] for node in expected if node["type"] == "file"}
    assert len(found) == 4


def test_zstd_and_tar_list_the_golden_bundle() -> None:
    command = "tail -c +4097 good/golden.bundle | zstd -dc | tar --quoting-style=literal -t"
    listed = subprocess.run(["sh", "-ec", command], cwd=DATA, check=True, capture_output=True).stdout
    assert listed.split(b"\n") == [
        b"usr/", b"usr/link", b"AppRun", b"usr/data", b"usr/empty", b"usr/\xff odd", b"usr/hard", b""
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(RULES))
def test_bad_ones_are_refused(name: str) -> None:
    path = DATA / "bad" / name
    if RULES[name]["when"] == "frame":
        decode(table_of(path))  # legal, until the frame is met
        with pytest.raises(TmprunError):
            Bundle(path)
    else:
        with pytest.raises(TmprunError) as caught:
            decode(table_of(path))
        assert caught.value.status == 126
