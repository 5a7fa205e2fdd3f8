"""Makes what fuzz_frames begins with: a bundle's index, its size before it, and the bytes that its frames lie in."""

import sys
from pathlib import Path

from tmprun.bundle.footer import read_footer, read_index

with open("tests/data/good/golden.bundle", "rb") as bundle:
    footer = read_footer(bundle.fileno())
    assert footer is not None
    index = read_index(bundle.fileno(), footer)
    bundle.seek(footer.offset)
    payload = bundle.read(1 << 15)
(Path(sys.argv[1]) / "golden").write_bytes(len(index).to_bytes(8, "little") + index + payload)
