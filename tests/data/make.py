"""Write the golden files (see README.md) into the directory named on the command line, default: beside this script."""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import golden_bundle
import golden_index
from golden_table import (
    FILE,
    FIXUP_FIELDS,
    FRAME_FIELDS,
    HEADER_FIELDS,
    HOLE,
    INTERPRETER,
    INTERPRETER_FIELDS,
    LINK,
    NODE_FIELDS,
    SEGMENT_FIELDS,
    SYMLINK,
    starts,
)  # fmt: skip

TYPES = ["directory", "file", "symlink", "link"]
Bad = Iterator[tuple[str, str, bytes]]


def rows(table: bytes, part: str, fields: dict[str, tuple[int, str]], size: int) -> list[dict[str, int]]:
    start = starts(table)[part]
    count = struct.unpack_from("<I", table, HEADER_FIELDS[part][0])[0]
    return [
        {
            name: struct.unpack_from("<" + code, table, start + size * number + at)[0]
            for name, (at, code) in fields.items()
        }
        for number in range(count)
    ]


def meaning(table: bytes, files: dict[str, bytes]) -> dict[str, Any]:
    """An index as JSON has it (README.md)."""
    at = starts(table)
    strings = table[at["strings"] : at["metadata"]]
    nodes, runs = rows(table, "nodes", NODE_FIELDS, 40), rows(table, "segments", SEGMENT_FIELDS, 16)
    frames = rows(table, "frames", FRAME_FIELDS, 56)
    paths = [""]
    for row in nodes[1:]:
        above = paths[row["parent"]]
        paths.append(above + "/" * bool(above) + text(strings, row["name"], row["name_length"]))
    size, sha256 = (struct.unpack_from("<Q", table, 48)[0], table[56:88])
    return {
        "key": hashlib.sha256(table).hexdigest(),
        "foreign": {"size": size, "sha256": sha256.hex()} if table[36] else None,
        "content": struct.unpack_from("<Q", table, 40)[0],
        "frames": [
            {name: row[name] for name in ("offset", "stored", "plain", "codec")}
            | {"sha256": table[128 + 56 * number :][24:56].hex()}
            for number, row in enumerate(frames)
        ],
        "nodes": [describe(row, path, strings, paths, runs, files) for row, path in zip(nodes, paths, strict=True)],
        "fixups": list(fixups(table, strings, paths)),
        "hot": [paths[row["node"]] for row in rows(table, "hot", {"node": (0, "I")}, 4)],
        "metadata": json.loads(table[at["metadata"] :]),
    }


def fixups(table: bytes, strings: bytes, paths: list[str]) -> Iterator[dict[str, Any]]:
    interpreters = []
    for as_one, row in zip(
        rows(table, "fixups", INTERPRETER_FIELDS, 32), rows(table, "fixups", FIXUP_FIELDS, 32), strict=True
    ):
        if row["kind"] == INTERPRETER:
            said: dict[str, Any] = {"path": text(strings, as_one["path"], as_one["path_length"])}
            said |= {"node": paths[as_one["node"]], "need": as_one["need"], "link": paths[as_one["link"]]}
            interpreters.append(said | {"target": text(strings, as_one["target"], as_one["target_length"])})
        else:
            numbers = {name: row[name] for name in ("kind", "header", "at", "room")}
            yield {"node": paths[row["node"]], "interpreter": interpreters[row["interpreter"]]} | numbers


def text(strings: bytes, at: int, length: int) -> str:
    return strings[at : at + length].decode("utf-8", "surrogateescape")


def describe(
    row: dict[str, int],
    path: str,
    strings: bytes,
    paths: list[str],
    runs: list[dict[str, int]],
    files: dict[str, bytes],
) -> dict[str, Any]:
    said: dict[str, Any] = {"path": path, "type": TYPES[row["type"]], "mode": row["mode"], "mtime": row["mtime"]}
    if row["type"] == SYMLINK:
        said["target"] = text(strings, row["a"], row["b"])
    elif row["type"] == LINK:
        said["link"] = paths[row["a"]]
    elif row["type"] == FILE:
        said |= {"size": row["size"], "first": bool(row["flags"])}
        mine = runs[row["a"] : row["a"] + row["b"]]
        said["segments"] = [
            [-1 if run["frame"] == HOLE else run["frame"], run["offset"], run["length"]] for run in mine
        ]
        if path in files:
            said["sha256"] = hashlib.sha256(files[path]).hexdigest()
    return said


def write(directory: Path) -> None:
    for name in ("good", "bad"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    for name, make in golden_index.GOOD.items():
        write_good(directory / "good" / f"{name}.index", make().bytes(), make().bytes(), {})
    golden = golden_bundle.payload()
    raw = golden_bundle.bundle(golden)
    write_good(directory / "good" / "golden.bundle", raw, golden.table.bytes(), golden.files)
    rules: dict[str, dict[str, str]] = {}
    write_bad(directory / "bad", ".index", "index", golden_index.bad_indexes(), rules)
    write_bad(directory / "bad", ".bundle", "index", golden_bundle.bad_footers(), rules)
    write_bad(directory / "bad", ".bundle", "frame", golden_bundle.bad_payloads(), rules)
    (directory / "bad.json").write_text(json.dumps(rules, indent=1, sort_keys=True) + "\n")


def write_good(path: Path, raw: bytes, table: bytes, files: dict[str, bytes]) -> None:
    path.write_bytes(raw)
    path.with_suffix(".json").write_text(json.dumps(meaning(table, files), indent=1) + "\n")


def write_bad(directory: Path, suffix: str, when: str, group: Bad, rules: dict[str, dict[str, str]]) -> None:
    for name, rule, raw in group:
        (directory / (name + suffix)).write_bytes(raw)
        assert rules.setdefault(name + suffix, {"rule": rule, "when": when})["rule"] == rule


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
