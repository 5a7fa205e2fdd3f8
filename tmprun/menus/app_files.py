"""Reading single files out of an app, of whatever format: the one place where menus and icons meet the images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tmprun.bundle.footer import read_footer, read_index
from tmprun.images.compile import compile_opened, squashfs_files
from tmprun.images.files import Files
from tmprun.images.image import Image
from tmprun.index.decode import decode


@contextmanager
def app_files(path: str) -> Iterator[Files]:
    """The files of the app at `path`: `root` is its tree, `read(node, limit)` what is in one.

    TmprunError when there is no such file, BadImage or UnsupportedImage when it is no app, or not whole.
    """
    with Image(path) as image:
        footer = read_footer(image.fd)
        if footer:
            index = decode(read_index(image.fd, footer))
            yield Files(image.fd, index.nodes[0], index.frames, footer.offset)
        else:
            yield squashfs_files(image.fd, compile_opened(image).squashfs)
