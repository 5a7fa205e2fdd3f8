"""How long an LZO1X block is when decoded, found without decoding it.

The decoder at hand cannot be told when to stop, and a block can expand 255-fold. This walks over the instructions only,
as they are described in the kernel's Documentation/staging/lzo.rst: each copies a match from what was decoded before,
then 0 to 3 literals from the input (its *state*), or copies a run of literals (state 4).
"""

from __future__ import annotations


def plain_length(block: bytes, limit: int) -> int:
    """The bytes that `block` decodes to; some number above `limit` when they are more than that."""
    try:
        return _walk(block, limit)
    except IndexError:  # cut short: the decoder will refuse it
        return 0


def _walk(block: bytes, limit: int) -> int:
    at = total = state = 0
    if block[0] > 17:  # the block begins with literals
        total = block[0] - 17
        at = 1 + total
        state = min(total, 4)
    while total <= limit:
        code = block[at]
        at += 1
        if code < 16 and state == 0:
            length, at = _long(block, at, code, 15)
            total += 3 + length
            at += 3 + length
            state = 4
            continue
        if code >= 64:
            total += 3 + (code >> 5 & 1) if code < 128 else 5 + (code >> 5 & 3)
            literals, at = code & 3, at + 1
        elif code >= 16:
            mask = 31 if code >= 32 else 7
            length, at = _long(block, at, code & mask, mask)
            if code < 32 and not code & 8 and block[at] < 4 and not block[at + 1]:
                return total  # a distance of zero ends the block
            total += 2 + length
            literals, at = block[at] & 3, at + 2
        else:
            total += 2 if state < 4 else 3
            literals, at = code & 3, at + 1
        total += literals
        at += literals
        state = literals
    return total


def _long(block: bytes, at: int, short: int, most: int) -> tuple[int, int]:
    """A length, and where the input goes on: `short`, or if 0, `most` + 255 for each zero byte + the next byte."""
    if short:
        return short, at
    start = at
    while not block[at]:
        at += 1
    return most + 255 * (at - start) + block[at], at + 1
