"""The layout of an index and its limits, as docs/format.md has them."""

from __future__ import annotations

import struct

MAGIC = b"TMPRIDX1"
HEADER = struct.Struct("<8sIIIIIIIIQQ32s40s")
FRAME = struct.Struct("<QIIII32s")
NODE = struct.Struct("<IHHBBHIIIqQ")
SEGMENT = struct.Struct("<IIII")
FIXUP = struct.Struct("<IIQQII")
INTERPRETER = struct.Struct("<IIIIIIII")
HOT = struct.Struct("<I")
FLAG_FOREIGN, FLAG_AT_ONCE, FLAG_UNHASHED = 1, 2, 4
CODEC_STORED, CODEC_ZSTD, CODEC_ZLIB = CODECS = 0, 1, 2
CODEC_XZ, CODEC_LZ4, CODEC_LZO = FOREIGN_CODECS = 3, 4, 5  # only in the index of an image that is no bundle
DIRECTORY, FILE, SYMLINK, HARD_LINK = 0, 1, 2, 3
NODE_FIRST = 1
HOLE = 0xFFFFFFFF
FIXUP_INTERPRETER, FIXUP_ELF, FIXUP_SCRIPT = 0, 1, 2
AT_END = 0xFFFFFFFF
MAX_NODES = 4 << 20
MAX_PLAIN = 8 << 20
MAX_STORED = 9 << 20
MAX_DEPTH = 256
MAX_PATH = 3072
MAX_NAME = 255
MAX_TARGET = 4095
MAX_INDEX = 128 << 20
MAX_INTERPRETER = 255
MAX_INTERPRETERS = 8
PROGRAM_HEADER = 56
