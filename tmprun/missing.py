"""What is said when a Python package that we use cannot be imported: which one, and the command that brings it.

Loaded when that has happened, and not before.
"""

from __future__ import annotations

import sys

from tmprun.errors import TmprunError

# What pip calls a package, where that is not the name it is imported by.
DISTRIBUTIONS = {"elftools": "pyelftools", "libarchive": "libarchive-c"}
# What `pip install tmprun` alone does not bring, and the extra that does.
EXTRAS = {
    "matplotlib": "bench", "numpy": "bench", "scipy": "bench",
}  # fmt: skip


def missing(error: ImportError) -> TmprunError:
    """`error`, as a person can act on it."""
    module = (error.name or "").partition(".")[0]
    name = DISTRIBUTIONS.get(module, module)
    if module == "tmprun" or not module:
        return TmprunError(f"this installation is not complete: {error}", remedy="install tmprun again")
    if module in sys.stdlib_module_names:
        return TmprunError(f"this Python is not complete: {error}", sys.executable, "install all of its packages")
    wanted = f"tmprun[{EXTRAS[module]}]" if module in EXTRAS else name
    why = "is not installed" if isinstance(error, ModuleNotFoundError) else f"cannot be used ({error})"
    return TmprunError(f"the Python package {name} {why}", remedy=f"pip install '{wanted}'")
