"""Places of the test's own in a mount namespace: every directory that could hold a store, and what is planted in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kit.harness import Harness, Result, Word
from kit.surroundings import unshare

# Where the harness's base is seen inside: outside of all the directories that get a file system of their own.
INSIDE = "/mnt/base"

PRELUDE = f"""
mount -t tmpfs none /mnt
mkdir {INSIDE}
mount --bind "$BASE" {INSIDE}
for place in /dev/shm /tmp /var/tmp; do mount -t tmpfs -o mode=1777 none $place; done
cd {INSIDE}/work
"""


def confined(
    harness: Harness,
    setup: str,
    *command: Word,
    user: int = 0,
    env: Mapping[str, str | None] | None = None,
    **options: Any,
) -> Result:
    """Run the shell commands `setup` and then `command` as `user`, /dev/shm, /tmp and /var/tmp being empty tmpfs.

    No TMPRUN_STORE is set; `plant COMMAND...` in `setup` does something as another user. Needs root, or a user
    namespace, where there is no other user.
    """
    plant = 'plant() { setpriv --reuid 1000 --regid 1000 --clear-groups "$@"; }\n'
    start = f'exec setpriv --reuid {user} --regid {user} --clear-groups "$@"' if user else 'exec "$@"'
    script = f"set -e\n{plant}{PRELUDE}{setup}\n{start}"
    settings = {
        "BASE": str(harness.base), "TMPRUN_STORE": None, "HOME": f"{INSIDE}/home", "XDG_CACHE_HOME": f"{INSIDE}/cache",
    }  # fmt: skip
    return harness.run(*unshare("-m"), "sh", "-c", script, "sh", *command, env=settings | dict(env or {}), **options)
