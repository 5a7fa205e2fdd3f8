"""Bundles that `tmprun pack` would never write, made from an index and a payload of the test's own."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from typing import NamedTuple

import zstandard

from tmprun.index.encode import encode
from tmprun.index.nodes import Frame, Node
from tmprun.index.rules import CODEC_ZSTD, DIRECTORY, FILE, SYMLINK

ALIGN = 4096
STUB = b"where a stub would be".ljust(ALIGN, b"\0")

Tree = Mapping[str, "File | Link | Folder"]


class File(NamedTuple):
    content: bytes
    mode: int = 0o644


class Link(NamedTuple):
    target: bytes


class Folder(NamedTuple):
    children: Tree
    mode: int = 0o755


SCRIPT = File(b"#!/bin/sh\necho ran\n", 0o755)


def bundle(
    table: bytes, payload: bytes = b"", *, stub: bytes = STUB, stored: bytes | None = None, **footer: object
) -> bytes:
    """A bundle of any index at all, its key right. `stored` is the compressed index, `footer` replaces fields of it."""
    head = stub.ljust(-(-len(stub) // ALIGN) * ALIGN, b"\0")
    stored = zstandard.ZstdCompressor().compress(table) if stored is None else stored
    size, key = len(table), hashlib.sha256(table).digest()
    fields = {"offset": len(head), "stored": len(stored), "size": size, "key": key, "version": 1} | footer
    values = (fields[name] for name in ("version", "offset", "stored", "size", "key"))
    tail = struct.pack("<II7sBQII32s", 0x184D2A5E, 56, b"TMPRUN\0", *values)
    return head + payload + struct.pack("<II", 0x184D2A5D, len(stored)) + stored + tail


def index_of(tree: Tree) -> tuple[bytes, bytes]:
    """Index and payload of a tree, each file in a frame of its own, with exactly the modes given."""
    frames: list[Frame] = []
    payload = bytearray()
    root = Node(b"", DIRECTORY, 0o755)
    waiting = [(root, tree)]
    for node, entries in waiting:
        for name, entry in entries.items():
            child = node.add(_node(name.encode("utf-8", "surrogateescape"), entry))
            if isinstance(entry, Folder):
                waiting.append((child, entry.children))
            elif isinstance(entry, File) and entry.content:
                child.segments = [(len(frames), 0, len(entry.content))]
                frames.append(_frame(payload, entry.content))
    return encode(root, frames), bytes(payload)


def _node(name: bytes, entry: File | Link | Folder) -> Node:
    if isinstance(entry, Folder):
        return Node(name, DIRECTORY, entry.mode)
    if isinstance(entry, Link):
        node = Node(name, SYMLINK, 0o777)
        node.target = entry.target
        return node
    node = Node(name, FILE, entry.mode)
    node.size = len(entry.content)
    node.first = bool(entry.mode & 0o111)
    return node


def _frame(payload: bytearray, content: bytes) -> Frame:
    stored = zstandard.ZstdCompressor(level=1).compress(content)
    frame = Frame(len(payload), len(stored), len(content), CODEC_ZSTD, hashlib.sha256(stored).digest())
    payload += stored
    return frame
