"""Legal indexes, and others that are one step away from a legal one: (name, the rule that it breaks, the table)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from golden_table import (
    AT_END,
    ELF,
    FILE,
    HOLE,
    INTERPRETER,
    LZ4,
    LZO,
    SCRIPT,
    STORED,
    SYMLINK,
    TABLES,
    XZ,
    ZLIB,
    ZSTD,
    Table,
    fixup,
    frame,
    header,
    hot,
    interpreter,
    node,
    renamed,
    segment,
)  # fmt: skip

Bad = Iterator[tuple[str, str, bytes]]


def root_only() -> Table:
    table = Table()
    table.directory(0, b"", 1, 0, mtime=1700000000)
    return table


def everything() -> Table:
    """Each kind of node, segment and frame; names that are no text; what a reader must ignore."""
    table = Table()
    table.frame(0, 100, 4096, ZSTD)
    table.frame(4096, 50, 50, STORED)
    table.frame(4146, 9437184, 8388608, ZLIB)
    table.directory(0, b"", 1, 8, mtime=-1)
    table.file(0, b"AppRun", (0, 512, 100), (2, 0, 8388608), mode=0o4755, mtime=1, first=True)
    table.directory(0, b"empty", 9, 0, mtime=2)
    table.file(0, b"empty file", mtime=1 << 40)
    table.link(0, b"hard link to a later node", 9, mtime=3)
    table.file(0, b"same bytes as AppRun", (0, 512, 100), mtime=4)
    table.symlink(0, b"to nowhere", b"/" + b"long/" * 30, mtime=5)
    table.directory(0, b"usr", 9, 4, mtime=-(1 << 63))
    table.file(0, b"\xff no UTF-8", (0, 4095, 1), (1, 0, 50), mode=0o600, mtime=(1 << 63) - 1)
    table.file(7, b"\n", (HOLE, 0, HOLE), (1, 49, 1), (HOLE, 0, 1), mtime=6)
    table.symlink(7, b" ", b"../AppRun", mtime=7)
    table.link(7, b"linked twice", 1, mode=0o4755, mtime=1)
    table.file(7, b"z" * 255, (0, 0, 4096), mode=0, mtime=8, first=True)
    table.interpreter(12, b"/lib64/ld-linux-x86-64.so.2", 2 << 16 | 36, 10, b"libc")
    table.interpreter(1, b"/" + b"i" * 254)
    table.program(1, ELF, 64, 8388708, AT_END, 0)
    table.program(12, SCRIPT, 255, 0, 255, 1)
    table.hot = [12, 1, 9]
    table.metadata = '{"name":"ein Käse","level":19}'.encode()
    return table


def foreign() -> Table:
    table = Table()
    table.image = (123456, bytes(range(32)))
    table.frame(96, 20, 131072, ZLIB)
    table.frame(116, 4, 1048576, XZ)
    table.frame(120, 4, 131072, LZ4)
    table.frame(124, 4, 131072, LZO)
    table.directory(0, b"", 1, 1)
    table.file(0, b"AppRun", (0, 131071, 1), (1, 0, 1048576), (2, 0, 1), (3, 1, 1), mode=0o755, first=True)
    return table


def deepest(depth: int = 256) -> Table:
    """`depth` directories within each other."""
    table = Table()
    for number in range(depth + 1):
        table.directory(max(0, number - 1), b"d" if number else b"", number + 1, 1 if number < depth else 0)
    return table


def longest(last_but_one: int = 254) -> Table:
    """A path of 11 * 256 + `last_but_one` + 2 bytes: 3,072 with 254."""
    table = Table()
    lengths = [0, *[255] * 11, last_but_one, 1]
    for number, length in enumerate(lengths):
        table.directory(max(0, number - 1), b"n" * length, number + 1, 1 if number < 13 else 0)
    return table


GOOD = {
    "root-only": root_only, "everything": everything, "foreign": foreign, "deepest": deepest, "longest": longest,
}  # fmt: skip


def base() -> Table:
    table = Table()
    table.frame(0, 100, 1000, ZSTD)
    table.frame(100, 200, 200, STORED)
    table.directory(0, b"", 1, 5)
    table.file(0, b"AppRun", (0, 0, 600), (1, 0, 200), mode=0o755, first=True)  # 1
    table.directory(0, b"bin", 6, 2)  # 2
    table.link(0, b"hard", 1)  # 3
    table.symlink(0, b"link", b"bin/tool")  # 4
    table.directory(0, b"share", 8, 1)  # 5
    table.file(2, b"data", (0, 600, 400), (HOLE, 0, 4096))  # 6
    table.file(2, b"tool", mode=0o755, first=True)  # 7
    table.file(5, b"words", (1, 100, 100))  # 8
    table.interpreter(7, b"/lib/ld.so", 0, 4, b"share")
    table.program(1, ELF, 64, 500, 300, 0)
    table.program(7, SCRIPT, 2, 0, 10, 0)
    table.hot = [1, 8]
    return table


def bad_heads(good: bytes) -> Bad:
    strings = struct.unpack_from("<I", good, 28)[0]
    yield "empty-file", "an index has a header", b""
    yield "header-only", "a header and its tables", good[:128]
    yield "header-cut", "the header has 128 bytes", good[:127]
    yield "magic", "the magic", header(good, magic=b"TMPRIDX0")
    yield "version", "the version", header(good, magic=b"TMPRIDX2")
    yield "flags", "unknown flags are zero", header(good, flags=4)
    yield "reserved", "reserved fields are zero", header(good, reserved=bytes(39) + b"\1")
    yield "no-nodes", "at least one node", header(Table().bytes(), nodes=0)
    yield "longer", "the size is the sum of the parts", good + b"\0"
    yield "shorter", "the size is the sum of the parts", good[:-1]
    for name, _ in TABLES:
        yield f"many-{name}", "the size is the sum of the parts", header(good, **{name: 0xFFFFFFFF})
    # 56 * 2^29 is 0 modulo 2^32.
    yield "sum-wraps", "the size is the sum of the parts, in more than 32 bits", header(good, frames=2 + (1 << 29))
    yield "strings-borrowed", "names lie in the strings", header(good, strings=strings - 4, metadata=2 + 4)
    yield "content-size", "the content size is the sum of the files", header(good, content=5297)
    yield "image-size", "no image size unless foreign", header(good, image_size=1)
    yield "image-digest", "no image digest unless foreign", header(good, image_sha256=bytes(31) + b"\1")


def bad_frames(good: bytes) -> Bad:
    yield "codec", "known codecs", frame(GOOD["foreign"]().bytes(), 0, codec=6)
    yield "codec-foreign", "codecs of bundles, unless foreign", frame(good, 0, codec=3)
    yield "frame-reserved", "reserved fields are zero", frame(good, 0, reserved=1)
    yield "frame-stored-0", "a frame's stored size", frame(good, 0, stored=0)
    yield "frame-stored-large", "a frame's stored size", frame(frame(good, 1, offset=1 << 40), 0, stored=9437185)
    yield "frame-plain-0", "a frame's plain size", frame(good, 0, plain=0)
    yield "frame-plain-large", "a frame's plain size", frame(good, 0, plain=8388609)
    yield "frame-stored-two-sizes", "a stored frame has one size", frame(good, 1, stored=201)
    yield "frames-overlap", "frames do not overlap", frame(good, 1, offset=99)
    yield "frames-disordered", "frames ascend", frame(good, 0, offset=300)
    yield "frame-offset-wraps", "frames lie in a file", frame(good, 1, offset=(1 << 64) - 100)


def bad_names(good: bytes) -> Bad:
    illegal = {
        "empty": b"", "dot": b".", "dot-dot": b"..", "slash": b"a/b", "absolute": b"/etc", "climb": b"../x",
        "nul": b"a\0b", "256": b"b" * 256,
    }  # fmt: skip
    for name, text in illegal.items():
        yield f"name-{name}", "legal names", renamed(good, 2, text)
    yield "name-out-of-range", "names lie in the strings", node(good, 2, name=1 << 20)
    yield "name-wraps", "names lie in the strings", node(good, 2, name=0xFFFFFFFF)
    yield "name-twice", "names in a directory ascend", renamed(good, 2, b"AppRun")
    yield "names-disordered", "names in a directory ascend", renamed(good, 2, b"A")
    yield "names-disordered-prefix", "names ascend as bytes, the shorter first", renamed(good, 1, b"bin0")
    yield "names-signed", "names are compared as unsigned bytes", renamed(good, 2, b"\xff")


def bad_nodes(good: bytes) -> Bad:
    yield "type", "known types", node(good, 7, type=4)
    yield "node-flags", "unknown flags are zero", node(good, 1, flags=3)
    yield "node-reserved", "reserved fields are zero", node(good, 1, reserved=1)
    yield "mode", "permission bits only", node(good, 1, mode=0o10755)
    yield "root-file", "the root is a directory", node(good, 0, type=FILE)
    yield "root-symlink", "the root is a directory", node(good, 0, type=SYMLINK)
    yield "root-parent", "the root's parent is 0", node(good, 0, parent=1)
    yield "root-named", "the root has no name", node(good, 0, name_length=6)
    yield "root-name-offset", "the root has no name", node(good, 0, name=1)
    yield "root-sized", "directories have size 0", node(good, 0, size=1)
    yield "parent-self", "a parent comes before its child", node(good, 2, parent=2)
    yield "parent-later", "a parent comes before its child", node(good, 2, parent=5)
    yield "parent-out-of-range", "a parent comes before its child", node(good, 2, parent=9)
    yield "parent-file", "a parent is a directory", node(good, 6, parent=1)
    yield "parent-other", "a child's parent is the directory whose child it is", node(good, 8, parent=2)
    yield "children-earlier", "children are contiguous, in order of their directories", node(good, 2, a=1)
    yield "children-skipped", "children are contiguous, in order of their directories", node(good, 5, a=9)
    yield "children-swapped", "children are in order of their directories", node(node(good, 2, a=7), 5, a=6)
    yield "children-cycle", "no directory is below itself", node(node(good, 2, parent=2, a=2, b=1), 0, b=5)
    yield "children-many", "nodes are children of one directory", node(good, 5, b=2)
    yield "children-few", "nodes are children of a directory", node(good, 5, b=0)
    yield "children-wrap", "the number of children", node(good, 2, b=0xFFFFFFFF)
    yield "children-wrap-to-sum", "the number of children", node(node(good, 2, b=0xFFFFFFFF), 5, b=4)
    yield "directory-sized", "directories have size 0", node(good, 2, size=1)
    yield "deep", "at most 256 components", deepest(257).bytes()
    yield "long", "at most 3,072 bytes", longest(255).bytes()


def bad_files(good: bytes) -> Bad:
    yield "file-segments-shared", "files use segments in order", node(good, 6, a=1)
    yield "file-segments-skipped", "files use segments in order", node(node(good, 6, a=3, b=1, size=4096), 8, a=4)
    yield "file-segments-many", "segments exist", node(good, 8, b=2)
    yield "file-segments-wrap", "segments exist", node(good, 8, b=0xFFFFFFFD)
    yield "file-segments-left", "segments belong to a file", header(node(good, 8, b=0, size=0), content=800 + 4496)
    yield "file-larger", "a file's size is the sum of its segments", header(node(good, 8, size=101), content=5397)
    yield "file-smaller", "a file's size is the sum of its segments", header(node(good, 8, size=99), content=5395)
    yield "file-huge", "a file's size is the sum of its segments", node(good, 8, size=(1 << 64) - 1)
    yield "symlink-empty", "a target has 1 to 4,095 bytes", node(good, 4, b=0, size=0)
    yield "symlink-long", "a target has 1 to 4,095 bytes", long_target(4096)
    yield "symlink-size", "a symlink's size is its target's", node(good, 4, size=9)
    yield "symlink-out-of-range", "targets lie in the strings", node(good, 4, a=1 << 20)
    yield "symlink-wraps", "targets lie in the strings", node(good, 4, a=0xFFFFFFFF)
    yield "symlink-nul", "a target has no NUL", long_target(3, b"a\0b")
    yield "link-to-directory", "a hard link's target is a file", node(good, 3, a=2)
    yield "link-to-symlink", "a hard link's target is a file", node(good, 3, a=4)
    yield "link-to-itself", "a hard link's target is a file", node(good, 3, a=3)
    yield "link-to-root", "a hard link's target is a file", node(good, 3, a=0)
    yield "link-out-of-range", "a hard link's target exists", node(good, 3, a=9)
    yield "link-far-out-of-range", "a hard link's target exists", node(good, 3, a=0xFFFFFFFF)
    yield "link-b", "a hard link's b is 0", node(good, 3, b=1)
    yield "link-sized", "a hard link's size is 0", node(good, 3, size=800)


def bad_segments(good: bytes) -> Bad:
    yield "segment-frame", "a segment's frame exists", segment(good, 0, frame=2)
    yield "segment-frame-wraps", "a segment's frame exists", segment(good, 0, frame=0xFFFFFFFE)
    yield "segment-range", "a segment lies in its frame", segment(good, 0, offset=401)
    yield "segment-wraps", "a segment lies in its frame", segment(good, 0, offset=0xFFFFFFFF)
    empty = node(header(segment(good, 0, length=0), content=4696), 1, size=200)
    yield "segment-empty", "a segment has a byte", empty
    yield "segment-reserved", "reserved fields are zero", segment(good, 0, reserved=1)
    yield "hole-offset", "a hole has no offset", segment(good, 3, offset=1)
    yield "hot-out-of-range", "hot names files", hot(good, 0, 9)
    yield "hot-directory", "hot names files", hot(good, 0, 2)
    yield "hot-link", "hot names files", hot(good, 0, 3)
    yield "hot-twice", "hot names each file once", hot(good, 1, 1)


def bad_fixups(good: bytes) -> Bad:
    yield "fixup-program", "a fixup's program exists", fixup(good, 1, node=9)
    yield "fixup-program-directory", "a fixup's program is a file", fixup(good, 1, node=2)
    yield "fixup-program-gated", "a fixup's program is complete before the app starts", fixup(good, 1, node=6)
    yield "fixup-order", "fixups are in the order of their nodes", fixup(good, 2, node=1)
    yield "fixup-kind", "a fixup's kind is known", fixup(good, 1, kind=3)
    yield "fixup-header", "a program header lies in its file", fixup(good, 1, header=745)
    yield "fixup-header-wraps", "a program header lies in its file", fixup(good, 1, header=(1 << 64) - 8)
    yield "fixup-room", "the room lies in the file", fixup(good, 1, room=301)
    yield "fixup-room-wraps", "the room lies in the file", fixup(good, 1, at=(1 << 64) - 8)
    yield "fixup-no-room", "there is room", fixup(good, 1, room=0)
    yield "fixup-behind-the-end", "what is appended is appended at the end", fixup(good, 1, room=AT_END)
    yield "fixup-interpreter", "a fixup's interpreter exists", fixup(good, 1, interpreter=1)
    yield "fixup-script-at", "nothing is appended to scripts", fixup(good, 2, at=1)
    yield "fixup-script-header", "a script's interpreter stands in its first line", fixup(good, 2, header=1)
    yield "fixup-script-room", "a script names its interpreter as it is", fixup(good, 2, room=9)
    yield "interpreter-node", "what takes an interpreter's place exists", interpreter(good, 0, node=9)
    yield "interpreter-gated", "what takes an interpreter's place is a program", interpreter(good, 0, node=6)
    yield "interpreter-late", "interpreters come first", fixup(good, 2, kind=INTERPRETER)
    yield "interpreter-path", "an interpreter's path lies in the strings", interpreter(good, 0, path=1 << 20)
    yield "interpreter-path-empty", "an interpreter has a path", interpreter(good, 0, path_length=0)
    yield "interpreter-path-relative", "an interpreter's path is absolute", interpreter(good, 0, path=0)
    yield "interpreter-link", "an interpreter's link is a symlink", interpreter(good, 0, link=2)
    yield "interpreter-link-range", "an interpreter's link exists", interpreter(good, 0, link=9)
    yield "interpreter-target", "an interpreter's link has a target", interpreter(good, 0, target_length=0)
    yield "interpreter-target-alone", "no target without a link", interpreter(good, 0, link=0)
    many = base()
    many.fixups = []
    for number in range(9):
        many.interpreter(7, b"/%d" % number)
    yield "interpreters-nine", "there are at most eight interpreters", many.bytes()
    line = base()
    line.fixups = []
    line.interpreter(7, b"/lib\n/ld")
    yield "interpreter-newline", "an interpreter's path is one line", line.bytes()


def long_target(length: int, text: bytes = b"t" * 4096) -> bytes:
    table = Table()
    table.directory(0, b"", 1, 1)
    table.symlink(0, b"link", text[:length])
    return table.bytes()


def bad_indexes() -> Bad:
    good = base().bytes()
    for group in (bad_heads, bad_frames, bad_names, bad_nodes, bad_files, bad_segments, bad_fixups):
        yield from group(good)
