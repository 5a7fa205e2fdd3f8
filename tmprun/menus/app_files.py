"""Reading single files out of an app, of whatever format: the one place where menus and icons meet the images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tmprun.images.image import Image
from tmprun.images.opened import Opened


@contextmanager
def app_files(path: str) -> Iterator[Opened]:
    """The files of the app at `path`: `root` is its tree, `read(node, limit)` what is in one.

    TmprunError when there is no such file, BadImage when it is no app, or not whole.
    """
    with Image(path) as image, Opened(image) as opened:
        yield opened
