"""Processes that use an entry of a store, each in one way only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from kit.store_layout import (
    STAY,
    lease_held,
    python,
    running,
    shell,
    wait_until,
)
from kit.surroundings import needs_root


@contextmanager
def started_and_closed(
    made: Path, *, cwd: str = "/", argv0: str = "", env: dict[str, str] | None = None
) -> Iterator[None]:
    """A program of the tree that was started, and holds no descriptor of it: only what the kernel knows is left."""
    (made / "tree").chmod(0o755)
    shutil.copy("/bin/sleep", made / "tree" / "program")
    program = str(made / "tree" / "program")
    with subprocess.Popen([argv0 or "program", "600"], executable=program, cwd=cwd, env=env or {}) as process:
        try:
            wait_until(lambda: os.readlink(f"/proc/{process.pid}/exe") == program)
            yield
        finally:
            process.kill()


def leased(made: Path) -> AbstractContextManager[object]:
    return lease_held(made)


def executable(made: Path) -> AbstractContextManager[object]:
    return started_and_closed(made)


def working_directory(made: Path) -> AbstractContextManager[object]:
    return shell(STAY, cwd=made / "tree" / "usr", env={})


@contextmanager
def open_file(made: Path) -> Iterator[None]:
    with open(made / "tree" / "AppRun") as file, shell(STAY, pass_fds=[file.fileno()], env={}):
        file.close()
        yield


def mapping_only(made: Path) -> AbstractContextManager[object]:
    script = """
import mmap, os, sys
path = bytes.fromhex('%s').decode()
fd = os.open(path, os.O_RDONLY); m = mmap.mmap(fd, 1, prot=mmap.PROT_READ); os.close(fd)
"""
    # Python keeps a duplicate of the descriptor beside its mapping: close whatever leads to the tree.
    closing = "for fd in range(3, 64):\n try: os.close(fd)\n except OSError: pass\n"
    return python(script % os.fsencode(made / "tree" / "AppRun").hex() + closing, env={})


def daemon(made: Path) -> AbstractContextManager[object]:
    """A grandchild that left the session, closed everything, and is a host program in /: only its environment tells."""
    script = f"exec 3<&0; (setsid sh -c '{STAY}' <&3 3<&- &)"
    return shell(script, env={"APPDIR": str(made / "tree"), "PATH": os.environ["PATH"]}, cwd="/")


def script_by_host_interpreter(made: Path) -> AbstractContextManager[object]:
    (made / "tree").chmod(0o755)
    script = made / "tree" / "app.py"
    script.write_text("import sys, time; print('ready', flush=True); time.sleep(600)")
    return running(sys.executable, str(script), env={}, cwd="/")


def root_directory(made: Path) -> AbstractContextManager[object]:
    return python(f"import os; os.chroot(bytes.fromhex('{os.fsencode(made / 'tree').hex()}'))", cwd="/", env={})


def other_threads(made: Path) -> AbstractContextManager[object]:
    """Its first thread has ended: /proc/PID shows neither program nor directory, only its other thread does."""
    (made / "tree").chmod(0o755)
    source, program = made.parent.parent / "leader.c", made / "tree" / "program"
    source.write_text("""
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static void *stay(void *nothing) { sleep(1); puts("ready"); fflush(stdout); sleep(600); return nothing; }
int main(void) { pthread_t other; pthread_create(&other, NULL, stay, NULL); pthread_exit(NULL); }
""")
    subprocess.run(["gcc", "-pthread", "-o", program, source], check=True)
    return running("program", executable=str(program), env={}, cwd="/")


def mounted_elsewhere(made: Path) -> AbstractContextManager[object]:
    """A part of the tree under a name that has nothing of ours, in a mount namespace of its own."""
    command = f"mount --bind {made}/tree/usr /mnt && cd /mnt && {STAY}"
    return running("unshare", "--mount", "sh", "-c", command, env={"PATH": os.environ["PATH"]}, stdin=subprocess.PIPE)


USES = [
    leased, executable, working_directory, open_file, mapping_only, daemon, script_by_host_interpreter, other_threads,
    pytest.param(root_directory, marks=needs_root), pytest.param(mounted_elsewhere, marks=needs_root),
]  # fmt: skip
