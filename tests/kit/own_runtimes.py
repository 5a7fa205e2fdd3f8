"""Images that only their own program can unpack: imitations of such programs, in C."""

from __future__ import annotations

import subprocess
from pathlib import Path

from kit.apps import write

PAYLOAD = b"DWARFS\2\5" + bytes(4096)
# What a good one does, in a shell: uruntime leaves a link that is called as an AppImage's directory.
GOOD = (
    "mkdir -p AppDir && printf '#!/bin/sh\\\\necho own: $1\\\\n' > AppDir/AppRun && chmod 755 AppDir/AppRun"
    " && ln -s ./AppDir squashfs-root"
)
_SOURCE = """#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
const char *const sign = "{SIGN}";
/* As uruntime has it, the flag stands nowhere in the program. */
const char *volatile prefix = "appimage";
int main(int argc, char **argv)
{
    char flag[64];
    snprintf(flag, sizeof flag, "--%s-extract", prefix);
    {FIRST}
    if (argc > 1 && !strcmp(argv[1], flag))
        return system("{WORK}") ? 7 : 0;
    return puts(sign) < 0;
}
"""
# As AppBundle's: it keeps what it has found out about itself in an attribute of its file, or goes no further.
KEEPS_AN_ATTRIBUTE = """if (setxattr("/proc/self/exe", "user.RuntimeConfig", "x", 1, 0)) return 8;"""


def unpacks_itself(
    folder: Path,
    work: str = GOOD,
    *,
    sign: str = "--appimage-extract",
    first: str = "",
    payload: bytes = PAYLOAD,
) -> Path:
    """An image whose program does `work`, in a shell, when it is asked to unpack itself, and `first`, in C, always.
    `sign` is a text in it."""
    source = _SOURCE.replace("{SIGN}", sign).replace("{FIRST}", first).replace("{WORK}", work.replace('"', '\\"'))
    write(folder / "runtime.c", source)
    subprocess.run(["musl-gcc", "-static", "-s", "-o", folder / "runtime", folder / "runtime.c"], check=True)
    return write(folder / "app.AppImage", (folder / "runtime").read_bytes() + payload, 0o755)
