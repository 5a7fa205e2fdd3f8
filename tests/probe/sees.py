"""An app that says everything that it can see of itself and of its directory, as JSON: what a start must not change.

AppRun of test_what_an_app_sees.py; runs by path as well. Each `see_` function is one section.
"""

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import json
import mmap
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile

APPDIR = os.environ["APPDIR"]
FLAGS = {
    "read": os.O_RDONLY, "nonblock": os.O_RDONLY | os.O_NONBLOCK, "noatime": os.O_RDONLY | os.O_NOATIME,
    "direct": os.O_RDONLY | os.O_DIRECT, "nofollow": os.O_RDONLY | os.O_NOFOLLOW, "path": os.O_PATH,
    "directory": os.O_RDONLY | os.O_DIRECTORY, "sync": os.O_RDONLY | os.O_SYNC,
    "nonblock path": os.O_PATH | os.O_NONBLOCK,
}  # fmt: skip
WRITE_FLAGS = {"write": os.O_WRONLY, "both": os.O_RDWR, "append": os.O_WRONLY | os.O_APPEND}
MODIFY, ATTRIB, CLOSE_WRITE, MOVED, CREATE, DELETE = 0x2, 0x4, 0x8, 0xC0, 0x100, 0x200


def below():
    for folder, folders, files in os.walk(APPDIR):
        folders.sort()
        for name in sorted(folders + files):
            yield os.path.join(folder, name)


def named(path):
    return ascii(os.path.relpath(path, APPDIR))


def regular():
    return [path for path in below() if stat.S_ISREG(os.lstat(path).st_mode)]


def answer(function, *words):
    try:
        return function(*words)
    except OSError as error:
        return errno.errorcode[error.errno]


def opened(path, flags):
    fd = os.open(path, flags)
    try:
        return os.read(fd, 3).hex() if flags & 3 == os.O_RDONLY and not flags & (os.O_PATH | os.O_DIRECT) else "opened"
    finally:
        os.close(fd)


def see_open_flags():
    """First of all, since any other open would fill what it is asked of. Each file is asked with one flag, in turn."""
    seen = {}
    for number, path in enumerate(below()):
        flag = list(FLAGS)[number % len(FLAGS)]
        seen[named(path)] = [flag, answer(opened, path, FLAGS[flag])]
    return seen


def see_stat():
    seen = {}
    for path in [APPDIR, *below()]:
        facts = os.lstat(path)
        link = os.readlink(path) if stat.S_ISLNK(facts.st_mode) else None
        size = facts.st_size if stat.S_ISREG(facts.st_mode) else None
        links = facts.st_nlink if stat.S_ISREG(facts.st_mode) else None
        mine = facts.st_uid == os.geteuid()
        seen[named(path)] = [stat.filemode(facts.st_mode), size, links, int(facts.st_mtime), link, mine]
    return seen


def see_nonblocking_again():
    return {named(path): answer(opened, path, FLAGS["nonblock"]) for path in regular()}


def see_content():
    def digest(path):
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    return {named(path): answer(digest, path) for path in regular()}


def see_times_again():
    """When each has been opened, and so is full."""
    return {named(path): int(os.lstat(path).st_mtime) for path in regular()}


def see_access():
    return {named(path): [os.access(path, how) for how in (os.R_OK, os.X_OK)] for path in below()}


def see_xattrs():
    return {named(path): answer(os.listxattr, path) for path in regular()}


def see_mmap():
    def mapped(path, protection, flags):
        with open(path, "rb") as file:
            if not os.fstat(file.fileno()).st_size:
                return "empty"
            with mmap.mmap(file.fileno(), 0, flags=flags, prot=protection) as memory:
                return memory[:3].hex()

    ways = [(mmap.PROT_READ, mmap.MAP_SHARED), (mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_PRIVATE)]
    ways.append((mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE))
    return {named(path): [answer(mapped, path, *way) for way in ways] for path in regular()}


def see_locks():
    def locked(path):
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_UN)
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return "locked"

    def leased(path):
        with open(path, "rb") as file:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            return fcntl.fcntl(file, fcntl.F_GETLEASE)

    return {named(path): [answer(locked, path), answer(leased, path)] for path in regular()}


def see_exec():
    def run(path):
        done = subprocess.run(
            [path, "word"], stdin=subprocess.DEVNULL, capture_output=True, check=False, close_fds=False
        )
        return [done.returncode, done.stdout.decode(), done.stderr.decode()]

    programs = [path for path in regular() if os.access(path, os.X_OK) and os.path.basename(path) != "AppRun"]
    return {named(path): answer(run, path) for path in programs}


def see_copies():
    """An app that brings its defaults to a directory of the user's and changes them there."""
    seen = {}
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(APPDIR, os.path.join(folder, "copy"), symlinks=True)
        for path in regular():
            if not os.access(path, os.X_OK):
                there = os.path.join(copy, os.path.relpath(path, APPDIR))
                seen[named(path)] = [answer(opened, there, flags) for flags in WRITE_FLAGS.values()]
        for path in below():
            if os.path.isdir(path) and not os.path.islink(path):
                new = os.path.join(copy, os.path.relpath(path, APPDIR), "new")
                seen[named(path)] = answer(os.mkdir, new)
        for path in [folder, *(inner for inner, _, _ in os.walk(folder))]:
            os.chmod(path, 0o700)  # or it cannot be removed
    return seen


def see_inotify():
    """What an app is told that watches its own files while it reads them."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    for path in [path for path in [APPDIR, *below()] if os.path.isdir(path)]:
        libc.inotify_add_watch(fd, os.fsencode(path), MODIFY | CLOSE_WRITE | MOVED | CREATE | DELETE)
    for path in regular():
        opened(path, os.O_RDONLY)
    with contextlib.suppress(BlockingIOError):
        return len(os.read(fd, 1 << 16)) > 0
    return False


def see_itself():
    children = f"/proc/self/task/{os.getpid()}/children"
    return {
        "argv": [word.replace(APPDIR, "APPDIR") for word in sys.argv],
        "exe": os.readlink("/proc/self/exe"),
        "cwd": os.getcwd(),
        "umask": os.umask(os.umask(0)),
        "children": open(children).read() if os.path.exists(children) else "",
        "parent": os.getppid(),
        "group": os.getpgid(0) == os.getpgid(os.getppid()),
        "session": os.getsid(0) == os.getsid(os.getppid()),
        "nice": os.nice(0),
        "policy": os.sched_getscheduler(0),
        "processors": sorted(os.sched_getaffinity(0)),
        "users": [os.getresuid(), os.getresgid(), sorted(os.getgroups())],
        "terminal": [os.isatty(fd) for fd in range(3)],
        "timers": [
            signal.getitimer(which) for which in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
        ],
        "score": open("/proc/self/oom_score_adj").read(),
    }


def see_limits():
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {name: resource.getrlimit(getattr(resource, name)) for name in names}


def see_status():
    wanted = (
        "SigBlk",
        "SigIgn",
        "SigCgt",
        "SigPnd",
        "ShdPnd",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "NoNewPrivs",
        "Seccomp",
        "Threads",
        "TracerPid",
    )
    with open("/proc/self/status") as file:
        return {line.split(":")[0]: line.split()[1:] for line in file if line.split(":")[0] in wanted}


def see_environment():
    return {name: value.replace(APPDIR, "APPDIR") for name, value in sorted(os.environ.items())}


def see_descriptors():
    seen = {}
    for name in sorted(os.listdir("/proc/self/fd"), key=int):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{name}")
            seen[name] = target if not target.startswith(("pipe:", "/proc/")) else target.split(":")[0]
    return seen


def main():
    sections = [name for name in globals() if name.startswith("see_")]
    # The order in which they are defined; what opens nothing comes first where that matters.
    print(json.dumps({name.removeprefix("see_"): globals()[name]() for name in sections}))


main()
