"""Helpers that outlive their app: only their environment names its tree, or nobody may look at them."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from kit.apps import noise, write
from kit.gating import LINGER, helpers
from kit.harness import Harness, wait_until
from kit.places import shelf
from kit.surroundings import needs_root

from tmprun.pack.pack import pack

# As an agent is started: it closes what it inherited, leaves its session, and forbids to be looked at.
AGENT = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(int argc, char **argv) {
    if (fork()) return 0;
    setsid();
    if (fork()) _exit(0);
    for (int i = 0; i < 1024; i++) close(i);
    if (chdir("/") < 0) return 1;
    prctl(PR_SET_DUMPABLE, 0);
    close(open(argv[2], O_WRONLY | O_CREAT, 0644));
    while (access(argv[3], F_OK) != 0) usleep(10000);
    char path[4096], buffer[65536];
    snprintf(path, sizeof path, "%s/data/30", getenv("APPDIR"));
    int in = open(path, O_RDONLY), out = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0644);
    for (long got; in >= 0 && (got = read(in, buffer, sizeof buffer)) > 0;)
        if (write(out, buffer, got) != got) return 1;
    close(open(argv[4], O_WRONLY | O_CREAT, 0644));
}
"""

# A helper that Python's subprocess started, which closes descriptors by itself: a program of the machine.
SCRIPT = """#!/usr/bin/env python3
import subprocess, sys
out, ready, go, done = sys.argv[1:]
ORDERS = 'touch "$1"; while [ ! -e "$2" ]; do sleep 0.01; done; cat "$APPDIR/data/30" > "$0"; touch "$3"'
subprocess.Popen(
    ["sh", "-c", ORDERS, out, ready, go, done],
    cwd="/", start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""

ORDINARY = 54321


def made(into: Path, kind: str) -> Path:
    """An app whose AppRun ends at once and leaves a helper."""
    appdir = into / "Helper.AppDir"
    for number in range(40):
        write(appdir / "data" / f"{number:02}", noise(150_000, number))
    if kind == "a script's":
        write(appdir / "AppRun", SCRIPT, 0o755)
    else:
        source = write(into / "agent.c", AGENT)
        subprocess.run(["musl-gcc", "-static", "-Os", "-o", appdir / "AppRun", source], check=True)
    pack(appdir, into / "helper app", level=1)
    return into / "helper app"


@needs_root
@pytest.mark.parametrize("mode", ["eager", "background", "demand"])
@pytest.mark.parametrize("kind", ["hidden", "a script's"])
def test_a_helper_keeps_its_tree(in_memory: Harness, kind: str, mode: str) -> None:
    """Of an ordinary user: root may look at everybody. On demand the tree goes with the helper, not before."""
    image = made(in_memory.base, kind)
    here = in_memory.base / "anybody"
    here.mkdir()
    for path in (here, in_memory.base / "home"):
        os.chown(path, ORDINARY, ORDINARY)
    out, ready, go, done = (here / name for name in ("out", "ready", "go", "done"))
    settings = {"TMPRUN_FILL": mode, "TMPRUN_STORE": str(here / "store")}
    in_memory.run(image, out, ready, go, done, env=settings, user=ORDINARY, group=ORDINARY, extra_groups=[])
    wait_until(ready.exists)
    time.sleep(5)  # the filler has looked
    go.touch()
    wait_until(done.exists)
    assert out.read_bytes() == noise(150_000, 30)
    if mode == "demand":
        wait_until(lambda: not helpers(here / "store") and not any(shelf(here / "store", "tree").iterdir()), 2 * LINGER)
