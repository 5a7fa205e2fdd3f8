"""A machine without glibc, as Alpine is: a root with busybox and musl from this machine's packages, and chroot."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from kit.harness import Harness, Result, Word
from kit.surroundings import require_root, unshare

BUSYBOX = Path("/usr/bin/busybox")
FOLDERS = ("bin", "etc", "proc", "dev/shm", "tmp", "run", "home/user", "root", "lib", "usr/bin", "apps")
DEVICES = ("null", "zero", "urandom", "tty")
PASSWD = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n"

# No /dev/fuse; what a store may be put into is an empty tmpfs each time.
PRELUDE = """
set -e
mount --make-rprivate /
mount --rbind "$ROOT" "$ROOT"
mount --bind "$APPS" "$ROOT/apps"
[ -z "$PROC" ] || mount -t proc proc "$ROOT/proc"
for place in tmp dev/shm run; do mount -t tmpfs -o mode=1777 none "$ROOT/$place"; done
for device in null zero urandom tty; do mount --bind /dev/$device "$ROOT/dev/$device"; done
cd "$ROOT"
"""


USERS = pytest.mark.parametrize("user", [0, 1000], ids=["root", "user"])
Enter = Callable[..., Result]


def made_once(apps: Path, name: str, make: Callable[[Path], Path], pack: Callable[[Path, Path], object]) -> str:
    """The path in the root of the app of that name, packed when first asked for of the AppDir that is made for it."""
    if not (apps / name).exists():
        work = apps / f"{name}.work"
        work.mkdir()
        pack(make(work), apps / name)
    return f"/apps/{name}"


def make_root(root: Path) -> Path:
    """Build the root: no Python in it, no glibc, no FUSE."""
    machine = os.uname().machine
    musl = Path(f"/lib/ld-musl-{machine}.so.1").resolve()
    for needed in (BUSYBOX, musl):
        assert needed.is_file(), f"{needed} is missing: .ci/packages installs it"
    for name in FOLDERS:
        (root / name).mkdir(parents=True)
    for name in DEVICES:
        (root / "dev" / name).touch()
    shutil.copy(BUSYBOX, root / "bin" / "busybox")
    shutil.copy(musl, root / "lib" / f"ld-musl-{machine}.so.1")
    names = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for name in names:
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")
    (root / "usr" / "bin" / "env").symlink_to("../../bin/busybox")
    (root / "etc" / "passwd").write_text(PASSWD)
    (root / "home" / "user").chmod(0o777)
    return root


def in_musl(
    harness: Harness,
    root: Path,
    apps: Path,
    *command: Word,
    user: int = 0,
    env: Mapping[str, str] | None = None,
    status: int | None = 0,
    proc: bool = True,
    **options: object,
) -> Result:
    """Run `command` in the root as `user`, with the directory `apps` at /apps. Only root can be somebody else. Without
    `proc` there is no /proc."""
    if user:
        require_root()
    settings = {"PATH": "/usr/bin:/bin", "HOME": "/home/user" if user else "/root", "TERM": "dumb", **(env or {})}
    words = [f"{name}={value}" for name, value in settings.items()]
    identity: Sequence[str] = [f"--userspec={user}:{user}", "--groups="] if user else []
    # chroot is this machine's: the root has only what Alpine would have.
    script = PRELUDE + 'exec "$CHROOT" "$@"'
    inside = [*identity, str(root), "/usr/bin/env", "-i", *words, *command]
    places = {"ROOT": str(root), "APPS": str(apps), "CHROOT": shutil.which("chroot") or "/usr/sbin/chroot",
              "PROC": "yes" if proc else ""}  # fmt: skip
    return harness.run(
        *unshare("-m", "-p", "--fork", "--kill-child"),
        "sh",
        "-c",
        script,
        "sh",
        *inside,
        env=places,
        status=status,
        **options,
    )  # type: ignore[arg-type]
