"""An archive, read once from its start to its end: unpacked into a directory, or only looked at.

What it says is taken as tar programs take it, but for these. Names are below the directory: a leading `/` is left out;
a `..` ends it, and so does a name behind a symlink. Owners are left out, and mode bits beyond rwx; its owner can read
everything. Devices, sockets and fifos, extended attributes and access lists are left out and named.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field

from tmprun.archives.child import Message, Say, messages
from tmprun.archives.confine import NAMES, USUAL, Limits
from tmprun.archives.kinds import Kind
from tmprun.archives.library import DIRECTORY, FILE, Disk, Entry, Reader
from tmprun.archives.tree import DESKTOP_SIZE, HEAD, Found, Tree
from tmprun.errors import BadImage, UnsupportedImage
from tmprun.human import one_line

Progress = Callable[[int, int], None]
# A path, and what it is now: `file`, `another` thing; `linked` when a file there has got one more name.
Made = Callable[[bytes, str], None]

_SPECIAL = {0o10000: "fifo", 0o20000: "character device", 0o60000: "block device", 0o140000: "socket"}
_MOST_ENTRIES = 2_000_000
_SMALL_CONTENT = 1 << 30
_MOST_EXPANSION = 100
_TOLD = 4 << 20  # bytes of content between two words of progress
_NAMED = 20  # of the things that are left out, by path


@dataclass
class Package:
    """What a package says of itself."""

    name: str
    version: str = ""
    machine: str = ""
    depends: str = ""


@dataclass
class Read:
    """What was found: `size` is that of all content in bytes; `lost` are what was left out, a line each; `notes` more
    to be said; `newest` the latest time in it. `tree` is what is in it, when it was only looked at."""

    entries: int = 0
    size: int = 0
    newest: int = 0
    lost: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    package: Package | None = None
    tree: Tree = field(default_factory=Tree)


def unpack(
    fd: int,
    kind: Kind,
    into: str,
    *,
    force: bool = False,
    wanted: Set[bytes] | None = None,
    made: Made | None = None,
    progress: Progress | None = None,
) -> Read:
    """Unpack the archive of that kind into the directory `into`. BadImage when it is damaged, or made to do harm.

    With `force` also when it claims to hold more than any app does. `wanted` are the paths to be unpacked; their
    directories have to be among them. `made` hears of each thing some time after it is there. `progress(done, total)`
    counts bytes of the file.
    """
    size = os.fstat(fd).st_size
    stream = messages(lambda say: _unpack(fd, kind, size, force, wanted, say), into, size, _limits(kind))
    return _gather(stream, size, progress, made)


def look(fd: int, kind: Kind, directory: str = "/", *, progress: Progress | None = None) -> Read:
    """What is in the archive, without unpacking it: nothing is written."""
    size = os.fstat(fd).st_size
    return _gather(messages(lambda say: _look(fd, kind, size, say), directory, size, _limits(kind)), size, progress)


def _limits(kind: Kind) -> Limits:
    return NAMES if kind.format == "iso" else USUAL


def _gather(stream: Iterator[Message], size: int, progress: Progress | None, made: Made | None = None) -> Read:
    read = Read()
    for message in stream:
        for kind, value in message.items():
            if kind == "at" and progress:
                progress(min(int(str(value)), size), size)
            elif kind == "made" and made:
                made(os.fsencode(value[0]), value[1])
            elif kind == "found":
                read.tree.files[os.fsencode(value[0])] = Found.of(value[1:])
            elif kind == "text":
                read.tree.texts[os.fsencode(value[0])] = os.fsencode(value[1])
            elif kind == "package":
                read.package = Package(*value)
            elif kind in ("lost", "notes"):
                getattr(read, kind).append(value)
            elif kind in ("entries", "size", "newest"):
                setattr(read, kind, value)
    return read


# In the child.


class _Pass:
    """One way through an archive: entries with their names as we take them, and what is left out, said."""

    def __init__(self, fd: int, kind: Kind, size: int, force: bool, say: Say) -> None:
        self._say = say
        self._most = None if force else _SMALL_CONTENT + _MOST_EXPANSION * size
        self._left_out: dict[str, list[bytes]] = {}
        self._told = 0
        self.entries = self.content = self.claimed = self.newest = 0
        start, end = _payload(fd, kind, size, say)
        self._base = start
        self.reader = Reader(fd, kind.format, start, end)

    def __iter__(self) -> Iterator[tuple[bytes, Entry]]:
        absolute = False
        for entry in self.reader:
            self.entries += 1
            if self.entries > _MOST_ENTRIES:
                raise BadImage(f"it holds more than {_MOST_ENTRIES} files", remedy="it may be a bomb")
            absolute |= entry.path.startswith(b"/")
            path = inside(entry.path)
            link = None if entry.hard_link is None else inside(entry.hard_link)
            mtime = entry.mtime
            self.newest = max(self.newest, mtime or 0)
            self._say_progress()
            for name in entry.attributes():
                self._left_out.setdefault(name, []).append(path)
            if entry.type in _SPECIAL and link is None:
                self._left_out.setdefault(_SPECIAL[entry.type], []).append(path)
                continue
            if entry.mode & 0o6000 and entry.type != DIRECTORY:
                self._left_out.setdefault("set-user-id or set-group-id bit", []).append(path)
            readable = 0o700 if entry.type == DIRECTORY else 0o600
            if path:
                entry.change(path, entry.mode & 0o777 | readable, link, None if mtime is not None else self.newest)
                yield path, entry
        if absolute:
            self._say({"notes": "it has absolute names; they are taken as below the app's own directory"})

    def claim(self, size: int) -> None:
        """A whole file of that size, in bytes: a hole has no content, and takes its room when it is packed."""
        self.claimed += size
        self._check(self.claimed)

    def count(self, size: int) -> None:
        """So many more bytes of content."""
        self.content += size
        self._check(self.content)
        if self.content - self._told > _TOLD:
            self._told = self.content
            self._say_progress()

    def _check(self, size: int) -> None:
        if self._most is not None and size > self._most:
            raise BadImage(
                f"it holds more than {self._most} bytes", remedy="it may be a bomb; --force takes it all the same"
            )

    def _say_progress(self) -> None:
        if self.entries % 256 == 0 or self._told == self.content:
            self._say({"at": self._base + self.reader.read_so_far})

    def finish(self) -> None:
        for what, twice in self._left_out.items():
            paths = list(dict.fromkeys(twice))
            names = ", ".join(one_line(path) for path in paths[:_NAMED])
            more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
            self._say({"lost": f"{what}: {names}{more}"})
        for text in list(self.reader.warnings)[:_NAMED]:
            self._say({"notes": f"what is odd in it: {one_line(text)}"})
        self._say({"entries": self.entries, "size": self.content, "newest": self.newest})


def inside(name: bytes) -> bytes:
    """The name as one below the directory; BadImage when it leads out of it. Empty for the directory itself."""
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise BadImage(f"it has a name that leads out of it: {one_line(name)}", remedy="it may be made to do harm")
    return b"/".join(parts)


def _unpack(fd: int, kind: Kind, size: int, force: bool, wanted: Set[bytes] | None, say: Say) -> None:
    """Into the working directory."""
    disk, run = Disk(), _Pass(fd, kind, size, force, say)
    directories: set[bytes] = set()
    above: set[bytes] = {b""}
    for path, entry in run:
        if wanted is not None and path not in wanted:
            continue
        if entry.type == DIRECTORY:
            directories.add(path)
        up = path
        while up and (up := up.rpartition(b"/")[0]) not in above:
            above.add(up)
        disk.begin(entry)
        if entry.type == FILE:
            for address, length, at in run.reader.blocks():
                run.count(length)
                disk.write(address, length, at)
            run.claim(entry.size)
        disk.end()
        _say_made(path, entry, say)
    disk.close()
    # What the archive does not name has no time of its own; the same for everybody is the only one that is no accident.
    for path in above - directories:
        os.utime(path or b".", (run.newest, run.newest))
    run.finish()


def _say_made(path: bytes, entry: Entry, say: Say) -> None:
    link = entry.hard_link
    if link is not None:
        say({"made": [os.fsdecode(link), "linked"]})
    say({"made": [os.fsdecode(path), "file" if entry.type == FILE and link is None else "another"]})


def _look(fd: int, kind: Kind, size: int, say: Say) -> None:
    run = _Pass(fd, kind, size, True, say)
    for path, entry in run:
        link = entry.hard_link
        kind_, length = entry.type, entry.size
        head = b""
        if kind_ == FILE and link is None:
            run.content += length
            head = run.reader.head(DESKTOP_SIZE if path.endswith(b".desktop") else HEAD)
            if path.endswith(b".desktop"):
                say({"text": [os.fsdecode(path), os.fsdecode(head)]})
        target = link if link is not None else entry.target
        found = Found("h" if link is not None else Found.letter(kind_), entry.mode, length, target, head[:HEAD])
        say({"found": [os.fsdecode(path), *found.message()]})
    run.finish()


def _payload(fd: int, kind: Kind, size: int, say: Say) -> tuple[int, int]:
    """Where in the file the archive proper begins and ends; says what a package's other parts say."""
    if kind.format == "deb":
        members = list(_members(fd, size))
        data = next((each for each in members if each[0].startswith(b"data.tar")), None)
        control = next((each for each in members if each[0].startswith(b"control.tar")), None)
        if data is None:
            raise BadImage("it has no data.tar", remedy="download it again")
        if control:
            _say_control(fd, control[1], control[2], say)
        return data[1], data[2]
    if kind.format == "rpm":
        lead = os.pread(fd, 96, 0)
        name, _, rest = lead[10:76].split(b"\0")[0].decode("utf-8", "replace").rpartition("-")
        name, _, version = name.rpartition("-")
        say({"package": [name or rest, f"{version}-{rest}" if version else ""]})
    return (_behind_skippable(fd, size), size) if kind.format == "tar" else (0, size)


def _members(fd: int, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, begin and end of each member of an ar archive (deb(5))."""
    at = 8
    while at + 60 <= size:
        header = os.pread(fd, 60, at)
        digits = header[48:58].strip()
        if header[58:] != b"`\n" or not re.fullmatch(rb"[0-9]{1,10}", digits):
            raise BadImage("is damaged (a member's header)", remedy="download it again")
        begin, end = at + 60, at + 60 + int(digits)
        if end > size:
            raise BadImage("is cut short", remedy="download it again")
        yield header[:16].strip().rstrip(b"/"), begin, end
        at = end + end % 2


def _say_control(fd: int, start: int, end: int, say: Say) -> None:
    reader = Reader(fd, "deb", start, end)
    for entry in reader:
        if inside(entry.path) == b"control":
            text = reader.head(DESKTOP_SIZE).decode("utf-8", "replace")
            fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", text, re.MULTILINE))
            say({"package": [fields.get(name, "") for name in ("Package", "Version", "Architecture", "Depends")]})
            return


def _behind_skippable(fd: int, size: int) -> int:
    """Where the first zstd frame begins that holds something: older libarchives know the format by that alone."""
    at = 0
    while at + 8 <= size:
        head = os.pread(fd, 8, at)
        if not re.match(rb"[\x50-\x5f]\x2a\x4d\x18", head):
            return at
        at += 8 + int.from_bytes(head[4:], "little")
    if at:
        raise UnsupportedImage("holds no archive, only zstd frames to be skipped", remedy="check the file")
    return at
