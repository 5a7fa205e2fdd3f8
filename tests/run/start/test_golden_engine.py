"""The engine agrees with tests/data: what is good it unpacks, what is bad it refuses before anything is there.

Each case also goes through a front door with sanitizers for addresses and undefined behaviour, which abort.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from kit import craft
from kit.harness import Harness
from kit.trees import below

DATA = Path(__file__).parents[2] / "data"
BAD: dict[str, dict[str, str]] = json.loads((DATA / "bad.json").read_text())
GOOD = sorted(path.name for path in (DATA / "good").iterdir() if path.suffix != ".json")


@pytest.fixture(params=["release", "sanitized"])
def either(request: pytest.FixtureRequest, in_memory: Harness) -> Harness:
    """The harness with one of the two builds of the front door."""
    if request.param == "sanitized":
        in_memory.door = request.getfixturevalue("sanitized_door")
    return in_memory


def as_bundle(name: str) -> bytes:
    """A golden bundle, or a golden index in a bundle whose footer is right about it."""
    data = (DATA / name).read_bytes()
    return craft.bundle(data) if name.endswith(".index") else data


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_ones_are_refused(either: Harness, name: str) -> None:
    image = either.base / "bad"
    image.write_bytes(as_bundle(f"bad/{name}"))
    result = either.run(either.door, image, status=None, timeout=20)
    either.refused(result)
    if BAD[name]["when"] == "index":
        assert not either.store.exists(), "something was begun before the index was checked"


@pytest.mark.parametrize("name", [name for name in GOOD if name != "foreign.index"])
def test_good_ones_are_listed_as_their_json_says(either: Harness, name: str) -> None:
    image = either.base / "good"
    image.write_bytes(as_bundle(f"good/{name}"))
    nodes: list[dict[str, Any]] = json.loads((DATA / "good" / name).with_suffix(".json").read_text())["nodes"]
    expected = b"".join(os.fsencode(node["path"]) + b"\n" for node in nodes[1:])
    assert either.run(either.door, image, "--appimage-list").stdout == expected


def test_the_good_bundle_is_unpacked_as_its_json_says(either: Harness) -> None:
    either.run(either.door, DATA / "good" / "golden.bundle", "--appimage-extract")
    out = either.work / "squashfs-root"
    nodes: list[dict[str, Any]] = json.loads((DATA / "good" / "golden.json").read_text())["nodes"]
    assert {str(path.relative_to(out)) for path in below(out)} == {node["path"] for node in nodes[1:]}
    for node in nodes:
        path = out / node["path"]
        facts = path.lstat()
        assert int(facts.st_mtime) == node["mtime"], node
        if node["type"] == "symlink":
            assert os.readlink(path) == node["target"]
            continue
        assert facts.st_mode & 0o7777 == node["mode"] & 0o777, node
        if node["type"] == "file":
            assert hashlib.sha256(path.read_bytes()).hexdigest() == node["sha256"]
        if node["type"] == "link":
            assert path.samefile(out / node["link"])
    assert either.run(either.door, DATA / "good" / "golden.bundle", "to", "you").stdout == b"golden to you\n"
