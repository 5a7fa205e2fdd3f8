"""From Python to the engine: this process becomes the front door, with the environment that it was started with.

CPython changes three things at its start that the app must not see: it may set LC_CTYPE (PEP 538), and it ignores
SIGPIPE and SIGXFSZ, which `--signals` lets the front door undo.
"""

from __future__ import annotations

import os

from tmprun.engine import programs
from tmprun.errors import TmprunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

_COERCED = (b"C.UTF-8", b"C.utf8", b"UTF-8")


class Environment:
    """What `os.execve` takes for a mapping: keeps the order, and names that occur twice, which a dict would lose.

    An entry without `=`, or without a name before it, is no variable and cannot be handed on.
    """

    def __init__(self, entries: Iterable[bytes]) -> None:
        self._pairs = [entry.partition(b"=")[::2] for entry in entries if b"=" in entry[1:]]

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, name: bytes) -> bytes:
        return next(value for key, value in self._pairs if key == name)

    def keys(self) -> list[bytes]:
        return [key for key, _ in self._pairs]

    def values(self) -> list[bytes]:
        return [value for _, value in self._pairs]


def initial_environment() -> Environment:
    """The environment that this process was started with. Where /proc cannot tell, what Python has, less PEP 538."""
    try:
        with open("/proc/self/environ", "rb") as file:
            raw = file.read()
    except OSError:
        raw = b""
    if raw:
        return Environment(raw.removesuffix(b"\0").split(b"\0"))
    left = {name: value for name, value in os.environb.items() if name != b"LC_CTYPE" or not _was_coerced()}
    return Environment(name + b"=" + value for name, value in left.items())


def _was_coerced() -> bool:
    """Whether LC_CTYPE may be Python's own: it sets one of these values when the locale would be C."""
    get = os.environb.get
    return not get(b"LC_ALL") and get(b"LANG", b"") in (b"", b"C", b"POSIX") and get(b"LC_CTYPE") in _COERCED


def anonymous_file(name: str) -> int:
    """An empty file without a name, open for reading and writing, that a program which we become inherits."""
    try:
        fd = os.memfd_create(name)
    except OSError:  # forbidden, or a kernel without it
        fd = _unlinked_file()
    os.set_inheritable(fd, True)
    return fd


def _unlinked_file() -> int:
    places = [os.environ.get("TMPDIR", ""), "/tmp", "/dev/shm", "/var/tmp"]
    for folder in filter(None, places):
        path = f"{folder}/tmprun-{os.urandom(8).hex()}"
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError:
            continue
        os.unlink(path)
        return fd
    raise TmprunError(
        "no temporary file can be made", " ".join(filter(None, places)), "set TMPDIR to a directory of yours"
    )


def with_content(name: str, data: bytes) -> int:
    """An anonymous file that holds `data`, ready to be read."""
    fd = anonymous_file(name)
    with open(fd, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def become(arguments: list[bytes], environment: Environment) -> NoReturn:
    """Become the front door with these arguments; TmprunError when it cannot be started."""
    door = programs.door()
    try:
        # The stubs know dicts and os.environ only; CPython asks for len, keys and values, in that order.
        os.execve(door, [b"tmprun", *arguments], environment)  # type: ignore[arg-type]
    except OSError as error:
        raise TmprunError(f"cannot be started: {error.strerror}", door) from None
