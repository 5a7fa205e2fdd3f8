"""Keeping the menus as some directories are: what appears there is integrated, what goes is taken out.

What a directory holds is the truth, and a change only says where to look: so it does not matter who else watches, or
what was missed. A file that is still being written cannot be read as an app, and is looked at again when it is closed.
"""

from __future__ import annotations

import os
import select
import stat
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tmprun.engine import programs
from tmprun.errors import BadImage, TmprunError
from tmprun.human import one_line
from tmprun.menus import aside, integrate
from tmprun.menus.inotify import GONE, OVERFLOW, Inotify

SETTLES = 0.15  # seconds that a name has to be left alone
LOOKS = 0.5  # seconds between two looks for what no change tells: a directory that is gone, one on a network
# Changes that others make there are not told to this machine.
REMOTE = ("9p", "afs", "ceph", "cifs", "fuse", "nfs", "smb", "virtiofs", "vboxsf")

Say = Callable[[str], None]


@dataclass
class Watcher:
    """Directories that are watched. `say` is told what is done, a line each; `prefill` also unpacks apps, at idle."""

    directories: Sequence[str]
    say: Say
    prefill: bool = False
    _watches: dict[int, str] = field(default_factory=dict)
    _due: dict[str, float] = field(default_factory=dict)
    _listed: dict[str, list[tuple[str, int, int, int]]] = field(default_factory=dict)
    _remote: set[str] = field(default_factory=set)
    _told: set[str] = field(default_factory=set)
    _to_fill: list[str] = field(default_factory=list)
    _filling: subprocess.Popen[bytes] | None = None
    _archives: list[str] = field(default_factory=list)
    _reading: aside.Work | None = None
    _changed: bool = False

    def __post_init__(self) -> None:
        self.directories = [os.path.abspath(directory) for directory in dict.fromkeys(self.directories)]
        self._inotify = Inotify()

    def run(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Go on until `stop` says so, which is asked at least twice a second."""
        try:
            while not stop():
                self.step()
        finally:
            self._inotify.close()
            if self._filling:
                self._filling.terminate()
            if self._reading:
                self._reading.end()

    def step(self, longest: float = LOOKS) -> None:
        """Wait for something to do, and do it."""
        self._look()
        now = time.monotonic()
        soon = min([self._due[path] - now for path in self._due] + [longest])
        if soon > 0:
            select.select([self._inotify.fd], [], [], soon)
        for change in self._inotify.changes():
            self._note(change.watch, change.mask, os.fsdecode(change.name))
        now = time.monotonic()
        for path in [path for path, due in self._due.items() if due <= now]:
            del self._due[path]
            self._settle(path)
        self._go_on_with_archives()
        if not self._due:
            self._rest()

    def _look(self) -> None:
        """Watch what is there and was not, and list what does not tell."""
        for directory in self.directories:
            if directory not in self._watches.values():
                self._begin(directory)
            elif directory in self._remote:
                self._compare(directory)

    def _begin(self, directory: str) -> None:
        try:
            watch = self._inotify.add(directory)
        except OSError:  # it is not there, or there are no watches left: then it is listed again and again
            self._compare(directory)
            return
        self._watches[watch] = directory
        if is_remote(directory):
            self._remote.add(directory)
        self._all_of(directory)

    def _compare(self, directory: str) -> None:
        """Look at it when it is not as it was."""
        if self._listed.get(directory) != _listing(directory):
            self._all_of(directory)

    def _all_of(self, directory: str) -> None:
        """Look at each name in it, and at each app that was there."""
        self._listed[directory] = _listing(directory)
        there = {os.path.join(directory, row[0]) for row in self._listed[directory]}
        known = {each.app: each.state for each in integrate.integrated() if os.path.dirname(each.app) == directory}
        for path in there | known.keys():
            if path not in known or _state(path) != known[path]:
                self._due.setdefault(path, time.monotonic() + SETTLES)
            elif self.prefill and path not in self._to_fill:
                self._to_fill.append(path)

    def _note(self, watch: int, mask: int, name: str) -> None:
        directory = self._watches.get(watch, "")
        if mask & OVERFLOW:
            for each in self.directories:
                self._all_of(each)
        elif mask & GONE and directory:
            self._inotify.drop(watch)
            del self._watches[watch]
            self._all_of(directory)
        elif name and directory:
            self._due[os.path.join(directory, name)] = time.monotonic() + SETTLES

    def _settle(self, path: str) -> None:
        """Make the menus agree with what is at the path now."""
        try:
            if aside.is_archive(path) and not is_candidate(path):
                self._read_later(path)
                return
            if not is_candidate(path):
                gone = integrate.remove(path)
                self._changed |= gone
                if gone:
                    self.say(f"removed {one_line(path)}")
                return
            if integrate.known_state(path) == integrate.state_of(path):
                return
            integrate.integrate(path, asked=False)
        except (BadImage, integrate.NoMenu, OSError):
            return  # no app, or none yet
        except TmprunError as error:
            self._tell_once(str(error))
            return
        self._is_integrated(path)

    def _is_integrated(self, path: str) -> None:
        self._changed = True
        self.say(f"integrated {one_line(path)}")
        if self.prefill and path not in self._to_fill:
            self._to_fill.append(path)

    def _read_later(self, path: str) -> None:
        """An archive that the menus do not have as it is; what they had in its place goes when it is none of theirs."""
        if integrate.known_state(path) != integrate.state_of(path) and path not in self._archives:
            self._archives.append(path)

    def _go_on_with_archives(self) -> None:
        found = self._reading.result() if self._reading else None
        if self._reading and found:
            integrated, hindered = found
            path, self._reading = self._reading.path, None
            if integrated:
                self._is_integrated(path)
            elif integrate.remove(path):
                self._changed = True
                self.say(f"removed {one_line(path)}")
            if hindered:
                self._tell_once(hindered)
        if self._archives and not self._reading:
            self._reading = aside.begin(self._archives.pop(0))

    def _tell_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.say(text)

    def _rest(self) -> None:
        """What can wait until nothing changes."""
        if self._changed:
            self._changed = False
            integrate.refresh()
        if self._filling and self._filling.poll() is not None:
            self._filling = None
        if self._to_fill and not self._filling:
            self._filling = fill_at_idle(self._to_fill.pop(0))


def is_candidate(path: str) -> bool:
    """Whether there is a file that may be an app: they all begin as programs do."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def is_remote(directory: str) -> bool:
    """Whether others may change the directory without this machine's knowing."""
    try:
        device = os.stat(directory).st_dev
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
            rows = [line.split() for line in mounts]
    except OSError:
        return False
    wanted = f"{os.major(device)}:{os.minor(device)}"
    return any(row[2] == wanted and row[row.index("-") + 1].startswith(REMOTE) for row in rows if "-" in row)


def fill_at_idle(path: str) -> subprocess.Popen[bytes]:
    """Unpack an app with what processor time nobody else wants."""

    def idle() -> None:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))

    command = [programs.door(), "@build", "--", path]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=idle
    )


def _listing(directory: str) -> list[tuple[str, int, int, int]]:
    """What is in a directory, so that two looks can be compared; nothing when it is not there."""
    found = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    facts = entry.stat()
                    found.append((entry.name, facts.st_size, facts.st_mtime_ns, facts.st_ino))
                except OSError:
                    found.append((entry.name, 0, 0, 0))
    except OSError:
        return []
    return sorted(found)


def _state(path: str) -> str:
    try:
        return integrate.state_of(path)
    except (OSError, TmprunError):
        return ""
