"""What the front door has Python run (`python -I -c`): find the package that belongs to it, and call its main.

-I keeps PYTHONPATH, the working directory and everything else that is meant for the app from breaking, or steering, our
own Python. It also keeps the user's own site-packages out, and `pip install --target` puts packages where no Python
looks: so the package is looked for where a front door that lies at argv[1] was installed together with it.
"""

import errno
import os
import site
import sys
from collections.abc import Iterator

PYTHON = f"python{sys.version_info[0]}.{sys.version_info[1]}"  # also read by versions of Python that are too old for us


def places(prefix: str) -> Iterator[str]:
    """Where packages may lie, seen from the parent of the folder that holds the scripts."""
    yield prefix  # pip install --target
    for lib in ("lib", "lib64"):
        yield os.path.join(prefix, lib, PYTHON, "site-packages")
    for python in (PYTHON, "python3"):
        yield os.path.join(prefix, "lib", python, "dist-packages")  # Debian's name for it


def belongs(place: str, door: str) -> bool:
    """Whether the package lies there, and nobody put it there who could not have changed the front door itself."""
    try:
        owner = os.stat(os.path.join(place, "tmprun", "main.py")).st_uid
    except OSError:
        return False
    return owner in (0, os.geteuid(), os.stat(door).st_uid)


def put_first(place: str) -> None:
    """Look in `place` before any other folder of packages, but not before Python's own modules."""
    before = set(sys.path)
    if place not in before:
        site.addsitedir(place)
    new = [path for path in sys.path if path not in before] or [place]
    old = [path for path in sys.path if path not in new]
    at = next((i for i, path in enumerate(old) if path.endswith("-packages")), len(old))
    sys.path[:] = old[:at] + new + old[at:]


def boot(door: str) -> None:
    """Does not return."""
    for place in places(os.path.dirname(os.path.dirname(door))):
        if belongs(place, door):
            put_first(place)
            break
    try:
        from tmprun.main import main

        sys.exit(main(door))
    except ModuleNotFoundError as error:
        if error.name not in ("tmprun", "tmprun.main"):
            raise
        sys.stderr.write(f"tmprun: {ascii(door)[1:-1]}: {sys.executable} has no package tmprun; install it with pip\n")
    except (MemoryError, OSError) as error:
        if getattr(error, "errno", errno.ENOMEM) != errno.ENOMEM:
            raise
        sys.stderr.write("tmprun: no memory for Python; raise the limits, see ulimit -d and -v\n")
    sys.exit(127)


boot(sys.argv.pop(1))
