"""The directory on tmpfs in which a benchmark happens, and the environment that every subject gets."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tmprun.host import memory
from tmprun_bench.corpora.cache import remove
from tmprun_bench.errors import BenchError
from tmprun_bench.measure.timer import Step

# Pages that a virtual machine never touched before cost ten times as much. Whoever writes more would pay more for them,
# and in some rounds only. Which ones the kernel will hand out nobody knows, so nearly all that are free are touched.
TOUCHED = 1 << 50
SHARE = 0.8  # of what is free, at most
CHUNK = 8 << 20
ROOM = 1 << 30  # bytes that a tmpfs must have to be taken without being asked for: Docker's /dev/shm has 64 MB
CLONE_NEWNS = 0x00020000  # linux/sched.h


@dataclass(frozen=True)
class Workspace:
    """Our directory, and what is in it: where each kind of subject may write, all of it on the same tmpfs."""

    root: Path

    @property
    def store(self) -> Path:
        """tmprun's store. Empty: a cold start."""
        return self.root / "store"

    @property
    def cache(self) -> Path:
        """XDG_CACHE_HOME: what tmprun knows of former starts, foreign images' indexes and which files were opened."""
        return self.root / "cache"

    @property
    def forgotten(self) -> Path:
        """An XDG_CACHE_HOME that is emptied before each run, for starts of which nothing may be known."""
        return self.root / "forgotten"

    @property
    def temporary(self) -> Path:
        """TMPDIR: where AppImage runtimes mount and extract."""
        return self.root / "tmp"

    @property
    def scratch(self) -> Path:
        """An app's own output; empty before each run."""
        return self.root / "scratch"

    @property
    def mount(self) -> Path:
        """A mount point."""
        return self.root / "mount"

    @property
    def tree(self) -> Path:
        """Where unsquashfs extracts to."""
        return self.root / "tree"

    def plain(self, name: str) -> Path:
        """The copy of an AppDir on tmpfs."""
        return self.root / "plain" / name

    def environment(self, **more: str) -> dict[str, str]:
        """What every process gets, and nothing of the caller's."""
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.root / "home"),
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.temporary),
            "XDG_CACHE_HOME": str(self.cache),
            "TMPRUN_STORE": str(self.store),
            **more,
        }

    def step(
        self,
        *argv: str | Path,
        timed: bool = False,
        answer: bool = False,
        always: bool = False,
        more: Mapping[str, str] | None = None,
    ) -> Step:
        """A process in our environment; see tmprun_bench.measure.timer.Step."""
        program, *arguments = map(str, argv)
        found = shutil.which(program)
        if found is None:
            raise BenchError(f"{program} is missing")
        return Step(
            (found, *arguments), self.environment(**(more or {})), timed, answer, always, directory=str(self.root)
        )

    def emptied(self, *directories: Path) -> tuple[Step, ...]:
        """Make each of them an empty directory, 0700, whatever is in it."""
        if not directories:
            return ()
        steps = [self.step("mkdir", "-p", *directories), self.step("rm", "-rf", *directories)]
        if os.geteuid() != 0:  # trees in the store are write-protected, which does not stop root
            steps.insert(1, self.step("chmod", "-R", "u+rwX", *directories))
        return (*steps, self.step("mkdir", "-m", "0700", *directories))


@contextmanager
def workspace(parent: Path | None, *, touch: int = TOUCHED) -> Iterator[Workspace]:
    """A new workspace under `parent`, a directory that programs may be run from, by default on a tmpfs; afterwards it
    is gone, with whatever is mounted in it.

    Touches `touch` bytes of memory. As root it is a tmpfs of its own, on which nobody else's files are counted, in a
    mount namespace of its own: this process's, so that neither it nor what subjects mount in it outlives us or is
    seen by others.
    """
    parent = _usual_place() if parent is None else parent
    if not _programs_run(parent):
        raise BenchError(f"{parent} is no directory of yours that programs can be run from; name another with --work")
    root, mounted = None, False
    try:
        root = Path(tempfile.mkdtemp(prefix="tmprun-bench-", dir=parent))
        mounted = _own_namespace() and _quietly("mount", "-t", "tmpfs", "-o", "mode=0700,size=90%", "tmpfs", str(root))
        for name in ("store", "cache", "forgotten", "tmp", "scratch", "mount", "tree", "home", "plain"):
            (root / name).mkdir(mode=0o700)
        _touch_memory(root / "touched", touch)
        yield Workspace(root)
    finally:
        if root is not None:
            _unmount_below(root)
            if mounted:
                _quietly("umount", "--lazy", str(root))
            remove(root)


def file_system(path: Path) -> str:
    """The type of the file system that `path` is on, as the kernel names it; `unknown` where it does not say."""
    where = os.path.realpath(path)
    mounts = [part for part in psutil.disk_partitions(all=True) if Path(where).is_relative_to(part.mountpoint)]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "unknown"


def _usual_place() -> Path:
    """A tmpfs that has room; where there is none, what has most. Root mounts a tmpfs there, if the kernel lets it."""
    named = ("/dev/shm", os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/var/tmp")
    places = [Path(name) for name in named if name.startswith("/") and _programs_run(Path(name))]
    if not places:
        raise BenchError("there is no directory to work in; name one with --work")
    roomy = [place for place in places if file_system(place) == "tmpfs" and _free(place) >= ROOM]
    return roomy[0] if roomy else max(places, key=_free)


def _programs_run(place: Path) -> bool:
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK) and not os.statvfs(place).f_flag & os.ST_NOEXEC


def room(place: Path) -> int:
    """Bytes that can be written there: on a tmpfs, that is memory, of which a control group may allow us less than the
    machine has."""
    free = _free(place)
    if file_system(place) != "tmpfs":
        return free
    allowed = memory.look()
    left = allowed.available if allowed.limit is None else allowed.limit - (allowed.used or 0)
    return max(0, min(free, left, allowed.available))


def _free(place: Path) -> int:
    facts = os.statvfs(place)
    return facts.f_bavail * facts.f_frsize


def _unmount_below(root: Path) -> None:
    """What a subject had mounted when its run was cut short. A FUSE mount without its daemon is still one."""
    below = [part.mountpoint for part in psutil.disk_partitions(all=True) if root in Path(part.mountpoint).parents]
    for mountpoint in sorted(below, key=len, reverse=True):
        if os.geteuid() == 0:
            _quietly("umount", "--lazy", mountpoint)
        else:
            _quietly("fusermount3", "-u", "-z", mountpoint)


def _own_namespace() -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    return os.geteuid() == 0 and libc.unshare(CLONE_NEWNS) == 0 and _quietly("mount", "--make-rprivate", "/")


def _quietly(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def _touch_memory(path: Path, size: int) -> None:
    """Never more than `SHARE` of what there is."""
    chunk = b"\1" * CHUNK
    with path.open("wb") as file:
        for _ in range(min(size, int(room(path.parent) * SHARE)) // CHUNK):
            file.write(chunk)
    path.unlink()
