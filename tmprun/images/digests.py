"""One pass over an image: the SHA-256 of the whole file and of each frame, from the same bytes.

A thread reads the file once, from its start to its end, into buffers, and hashes the whole; the caller takes each
buffer from it and hashes the frames inside. Where no thread is to be had, the caller does both. So what the frames'
digests describe is what the file's digest describes, whoever writes to the file meanwhile. What was read before, to
make sense of the file, is compared with the pass's bytes too.

`_thread` and `_queue` are the C halves of `threading` and `queue`: importing those takes as long as hashing 4 MB.
"""

from __future__ import annotations

import _thread
import hashlib
import mmap
import os
from _queue import SimpleQueue

from tmprun.images.source import changed
from tmprun.index.nodes import Frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

# Both threads hash at the same speed: while the tables are being parsed, the first one need not run ahead far.
_BUFFER = 2 << 20
_BUFFERS = 4


class Pass:
    """A context: the thread runs inside it. `chunks` yields the file's bytes; then `sha256` is the whole file's."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._size = size
        self._offset = 0  # of what is read next
        self._alone = False
        self._whole = hashlib.sha256()
        self._memory = mmap.mmap(-1, _BUFFER * _BUFFERS)
        # Fresh memory costs more than the hashing of it, less so in huge pages; kernels may lack them.
        if hasattr(mmap, "MADV_HUGEPAGE") and size > _BUFFER:
            self._advise(mmap.MADV_HUGEPAGE)
        view = memoryview(self._memory)
        # The last one given back is the next one taken: it is in the processor's cache, and fewer are ever touched.
        self._free = [view[at : at + _BUFFER] for at in range(0, len(view), _BUFFER)]
        self._tokens: SimpleQueue[None] = SimpleQueue()  # one for each in `_free`
        for _ in self._free:
            self._tokens.put(None)
        self._stopped = False
        self._filled: SimpleQueue[tuple[int, memoryview] | BaseException | None] = SimpleQueue()
        self._running = _thread.allocate_lock()

    def _advise(self, advice: int) -> None:
        try:
            self._memory.madvise(advice)
        except OSError:
            return

    def __enter__(self) -> Self:
        self._running.acquire()
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError:  # a limit of processes or of memory
            self._running.release()
            self._alone = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The thread has ended when this returns: the caller may close the file."""
        self._stopped = True
        self._tokens.put(None)
        self._running.acquire()

    @property
    def sha256(self) -> bytes:
        return self._whole.digest()

    def chunks(self) -> Iterator[tuple[int, memoryview]]:
        """(file offset, bytes) of the whole file, in order. A chunk is overwritten when the next one is asked for."""
        while (chunk := self._next()) is not None:
            if isinstance(chunk, BaseException):
                raise chunk
            yield chunk
            self._free.append(chunk[1])  # only the file's last one is shorter
            self._tokens.put(None)

    def _next(self) -> tuple[int, memoryview] | BaseException | None:
        if not self._alone:
            return self._filled.get()
        self._tokens.get()
        return self._read() if self._offset < self._size else None

    def _read(self) -> tuple[int, memoryview]:
        """The next chunk, which the whole file's hash has then seen; into a free buffer."""
        offset = self._offset
        chunk = self._fill(self._free.pop(), offset)
        self._whole.update(chunk)
        self._offset += len(chunk)
        return offset, chunk

    def _run(self) -> None:
        try:
            while self._offset < self._size:
                self._tokens.get()
                if self._stopped:
                    break
                self._filled.put(self._read())
            self._filled.put(None)
        except BaseException as error:
            # Whatever it is: the other thread waits for a chunk, and raises it.
            self._filled.put(error)
        finally:
            self._running.release()

    def _fill(self, buffer: memoryview, offset: int) -> memoryview:
        want = min(len(buffer), self._size - offset)
        have = 0
        while have < want:
            got = os.preadv(self._fd, [buffer[have:want]], offset + have)
            if not got:
                raise changed()
            have += got
        return buffer[:want]


def digest(stream: Pass, frames: list[Frame], seen: list[tuple[int, bytes]]) -> bytes:
    """Set the digest of each of `frames`, which are in ascending order, and return the whole file's.

    `seen` are pieces that were read before, (file offset, bytes). BadImage when the pass finds others in their places.
    """
    waiting = iter(frames)
    frame = next(waiting, None)
    pieces = [(offset, memoryview(data)) for offset, data in seen]
    begun = None  # the hash of a frame whose first bytes were in the chunk before
    for offset, chunk in stream.chunks():
        _compare(pieces, offset, chunk)
        end = offset + len(chunk)
        while frame is not None and frame.offset < end:
            part = chunk[max(frame.offset - offset, 0) : frame.offset + frame.stored - offset]
            if begun is None:
                begun = hashlib.sha256(part)
            else:
                begun.update(part)
            if frame.offset + frame.stored > end:
                break
            frame.digest = begun.digest()
            begun = None
            frame = next(waiting, None)
    return stream.sha256


def _compare(pieces: list[tuple[int, memoryview]], offset: int, chunk: memoryview) -> None:
    for start, data in pieces:
        low, high = max(start, offset), min(start + len(data), offset + len(chunk))
        if low < high and bytes(chunk[low - offset : high - offset]) != data[low - start : high - start]:
            raise changed()
