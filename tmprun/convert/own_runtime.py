"""An image whose payload nobody here can read is unpacked by its own runtime, once, when it is run or converted.

That executes it; so does running it. It gets a directory to work in, and where the kernel has Landlock it can write
nowhere else. What comes out is checked before anything is made of it.
"""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tmprun.archives.confine import fence
from tmprun.errors import BadImage, TmprunError, UnsupportedImage
from tmprun.human import one_line, size_text
from tmprun.images.image import Image

# What runtimes call it. AppBundle's has both (xplshn/pelf, appbundle-runtime/cli.go).
FLAGS = (b"--appimage-extract", b"--pbundle_extract")
# uruntime puts its flags together when it runs, so they stand nowhere in it (VHSgunzo/uruntime, src/main.rs). What does
# is the prefix of its variables, which is another one where it was made for RunImages.
_DWARFS, _RUNIMAGE = b"DWARFS", b"RUNIMAGE"
# AppBundle's writes an attribute to the file that it was started from (appbundle-runtime.go), which is not ours.
_WRITES_TO_ITSELF = b"user.RuntimeConfig"
_PROGRAM = 16 << 20  # bytes of the file that are searched for them
SILENCE = 60.0  # seconds without a sign of work
COMPUTES = 10  # times as long may it compute and write nothing
_STEP = 0.02
_LINES = 300

Told = Callable[[int], None]


def flag_of(fd: int, payload: int) -> bytes | None:
    """The flag that the program at the file's start is likely to know; None when nothing in it tells.

    UnsupportedImage for what is no AppDir: a RunImage.
    """
    program = _program(fd, payload)
    known = next((flag for flag in FLAGS if flag[2:] in program), None)
    if known or not payload or os.pread(fd, len(_DWARFS), payload) != _DWARFS:
        return known
    if _RUNIMAGE in program:
        what = "is a RunImage, a whole system that only its own program starts"
        raise UnsupportedImage(what, remedy="start it without tmprun")
    return FLAGS[0]


def _program(fd: int, payload: int) -> bytes:
    return os.pread(fd, min(payload or _PROGRAM, _PROGRAM), 0)


def unpack(image: Image, payload: int, scratch: str, told: Told | None = None) -> str:
    """Have the image unpack itself below `scratch`; returns the AppDir's path. `told(bytes)` hears how much is there.

    UnsupportedImage when it cannot, BadImage when what comes out is no AppDir.
    """
    flag = flag_of(image.fd, payload)
    if flag is None:
        remedy = "get the app as an AppImage with squashfs, or as an archive"
        raise UnsupportedImage("its payload is unknown, and its own program says no way to unpack it", remedy=remedy)
    work = Path(scratch, "own")
    for name in ("out", "home", "tmp"):
        (work / name).mkdir(parents=True)
    program = _executable(image, work, copy=_WRITES_TO_ITSELF in _program(image.fd, payload))
    _run(program, os.fsdecode(flag), work, told)
    return _appdir(work / "out", os.fsdecode(flag))


def _executable(image: Image, work: Path, *, copy: bool) -> str:
    """A path that leads to the open file, and that can be executed; a copy when there is none, or asked for."""
    path = os.path.realpath(image.path)
    if not copy and image.settled and os.access(path, os.X_OK) and not os.statvfs(path).f_flag & os.ST_NOEXEC:
        return path
    own = work / "image"
    with open(own, "xb") as file:
        at = 0
        while at < image.size:
            at += os.sendfile(file.fileno(), image.fd, at, image.size - at) or image.size
    own.chmod(0o700)
    return str(own)


def _run(program: str, flag: str, work: Path, told: Told | None) -> None:
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(work / "home"),
        "TMPDIR": str(work / "tmp"),
        "LC_ALL": "C",
    }
    with open(work / "log", "w+b") as log:
        try:
            process = subprocess.Popen(
                [program, flag], cwd=work / "out", env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=lambda: fence(str(work)),
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            raise UnsupportedImage(f"its own program cannot be started: {error}") from None
        try:
            status = _wait(process, work, told)
        finally:
            _end(process)
        log.seek(max(0, log.seek(0, os.SEEK_END) - _LINES))
        last = log.read().strip().split(b"\n")[-1]
    if status:
        said = f": {one_line(last)}" if last else ""
        space = os.statvfs(work)
        if space.f_bavail * space.f_frsize < 1 << 20:
            raise TmprunError("no room to unpack it", str(work), "set XDG_CACHE_HOME to a directory of yours with room")
        how = f"status {status}" if status > 0 else signal.Signals(-status).name
        raise UnsupportedImage(f"{flag} of its own program ended with {how}{said}", remedy="get another release of it")


def _wait(process: subprocess.Popen[bytes], work: Path, told: Told | None) -> int:
    """Its exit status. As long as it writes it may take its time, and some time as long as it computes."""
    written = computed = -1
    wrote = worked = time.monotonic()
    step = _STEP
    while True:
        try:
            return process.wait(step)
        except subprocess.TimeoutExpired:
            step = min(1.0, 2 * step)
        size, ticks, now = _taken(work), _computed(process.pid), time.monotonic()
        if told:
            told(size)
        if size != written:
            written, wrote, worked = size, now, now
        if ticks != computed:
            computed, worked = ticks, now
        if now - worked > SILENCE or now - wrote > COMPUTES * SILENCE:
            what = f"its own program hangs when it unpacks ({size_text(max(0, written))} so far)"
            raise UnsupportedImage(what, remedy="get another release of it")


def _taken(work: Path) -> int:
    """Bytes that were written so far, as the file system counts them."""
    total = 0
    for folder, _, files in os.walk(work / "out"):
        for name in files:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks
            except OSError:
                continue
    return 512 * total


def _computed(group: int) -> int:
    """Ticks of the processor that it and the programs that it started, which are in its group, have had."""
    total = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        if len(fields) > 14 and int(fields[2]) == group:
            total += sum(int(each) for each in fields[11:15])
    return total


def _end(process: subprocess.Popen[bytes]) -> None:
    """It, and what it started, which is in its session's group unless it took pains."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _appdir(out: Path, flag: str) -> str:
    """The one directory that was made, which some runtimes also leave a link to; BadImage unless an AppDir is in it."""
    made = [path for path in out.iterdir() if path.is_dir() and not path.is_symlink()]
    others = [path.name for path in out.iterdir() if path not in made and not path.is_symlink()]
    if len(made) != 1 or others:
        what = f"{flag} of its own program made {len(made)} directories and {len(others)} files, and not one directory"
        raise BadImage(what, remedy="get another release of it")
    run = made[0] / "AppRun"
    try:
        facts = run.stat()
    except OSError:
        raise BadImage(f"{flag} of its own program made no AppRun", remedy="get another release of it") from None
    if not stat.S_ISREG(facts.st_mode) or not facts.st_mode & 0o111:
        raise BadImage(
            f"{flag} of its own program made an AppRun that cannot be executed", remedy="get another release of it"
        )
    return str(made[0])


# How runtimes call themselves, and what stands before their version, or around it.
_NAMES = (
    ("uruntime", rb"uruntime[ /v]*([0-9]+\.[0-9]+\.[0-9]+)?"),
    ("go-appimage", rb"probonopd/go-appimage()"),
    ("AppBundle (pelf)", rb"pbundle_()"),
    ("type2-runtime", rb"AppImage runtime version: ()"),
    ("AppImageKit", rb"version of AppImageKit()"),
)
_COMMIT = re.compile(rb"\0([0-9a-f]{7})\0")  # AppImageKit's version is one


def version_of(fd: int, payload: int) -> str:
    """What the program at the file's start says that it is, as far as that can be read in it; not that it is true."""
    program = os.pread(fd, min(payload or _PROGRAM, _PROGRAM), 0)
    for name, pattern in _NAMES:
        found = re.search(pattern, program)
        if not found:
            continue
        commits = set(_COMMIT.findall(program)) if name == "AppImageKit" else set()
        version = commits.pop() if len(commits) == 1 else found[1] or b""
        return f"{name} {version.decode()}".strip()
    return ""
