"""A directory that nobody else can put another one in the place of: the rule of stub/store/chain.c, for Python.

Whoever may rename a directory on the way to ours, or turn a symlink, decides what we find there the next time.
"""

from __future__ import annotations

import os
import stat

# The owner that a user namespace shows for everybody who does not exist in it, root included (user_namespaces(7)).
_OVERFLOW_USER = 65534
_LINKS = 40  # as many as the kernel follows (path_resolution(7))
_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def open_chain(path: str) -> int:
    """The directory at the absolute `path`, opened with O_PATH.

    PermissionError when somebody who is neither we nor root could exchange a step of the path; OSError when there is no
    such directory.
    """
    left, links = path.split("/"), 0
    at = os.open("/", _STEP)
    try:
        _check(at, "/")
        while left:
            name = left.pop(0)
            if not name:
                continue
            at, before = os.open(name, _STEP, dir_fd=at), at
            facts = os.fstat(at)
            if not stat.S_ISLNK(facts.st_mode):
                os.close(before)
                _check(at, name)
                continue
            target = os.readlink("", dir_fd=at)
            os.close(at)
            at, links = before, links + 1
            if not _is_trusted(facts.st_uid) or links > _LINKS:
                raise PermissionError(f"lies behind a symlink of another user ({name})")
            left = target.split("/") + left
            if target.startswith("/"):
                at, before = os.open("/", _STEP), at
                os.close(before)
    except BaseException:
        os.close(at)
        raise
    return at


def _check(fd: int, name: str) -> None:
    facts = os.fstat(fd)
    if not stat.S_ISDIR(facts.st_mode):
        raise NotADirectoryError(f"lies in something that is no directory ({name})")
    if not _is_trusted(facts.st_uid):
        raise PermissionError(f"lies in a directory of another user ({name})")
    # In a sticky one only the owner of a thing, or of the directory, renames and removes it.
    mode = 0 if facts.st_mode & stat.S_ISVTX else facts.st_mode
    if mode & stat.S_IWOTH or (mode & stat.S_IWGRP and not _is_ours_alone(facts.st_gid)):
        raise PermissionError(f"lies in a directory that others may write to ({name})")


def _is_trusted(user: int) -> bool:
    return user in (os.geteuid(), 0) or (user == _OVERFLOW_USER and _in_user_namespace())


def _in_user_namespace() -> bool:
    try:
        with open("/proc/self/uid_map", "rb") as file:
            return file.read().split() != [b"0", b"0", b"4294967295"]
    except OSError:
        return False


def _is_ours_alone(group: int) -> bool:
    """Whether nobody else is in the group, as with the private groups of Debian's users.

    A group that stands in no file may have anybody in it.
    """
    number = str(group).encode()
    try:
        groups = [line for line in _lines("/etc/group") if line[2] == number]
        users = _lines("/etc/passwd")
    except OSError:
        return False
    ours = {b"0", str(os.geteuid()).encode()}
    strangers = {line[0] for line in users if line[2] not in ours}
    known = {line[0] for line in users} - strangers
    members = {name for line in groups for name in line[3].split(b",") if name}
    return bool(groups) and members <= known and all(line[2] in ours for line in users if line[3] == number)


def _lines(path: str) -> list[list[bytes]]:
    with open(path, "rb") as file:
        lines = [line.split(b":") for line in file.read().splitlines()]
    return [line for line in lines if len(line) > 3]
