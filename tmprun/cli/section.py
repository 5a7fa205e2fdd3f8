"""What the front door asks for with `--appimage-updateinformation` and its like."""

from __future__ import annotations

import os

from tmprun.bundle.footer import read_footer
from tmprun.cli.output import say_raw
from tmprun.elf import sections
from tmprun.errors import TmprunError
from tmprun.images import iso
from tmprun.images.formats import read_head
from tmprun.images.image import Image
from tmprun.images.source import Source


def section(what: str, path: str, fd: str = "") -> int:
    """Print the payload's offset, the update information or the signature of an image, as its own runtime would.

    `fd` is the number of the image's descriptor, if the front door has opened it.
    """
    with Image(path, int(fd) if fd else None) as image:
        if what == "offset":
            footer = read_footer(image.fd)
            offset = footer.offset if footer else read_head(Source(image.fd, image.size)).payload
            say_raw(str(offset).encode())
            return 0
        name = {"updateinformation": sections.UPDATE_INFORMATION, "signature": sections.SIGNATURE}[what]
        content = sections.section(image.fd, name)
        if not content and what == "updateinformation" and iso.is_iso(image.fd):
            content = iso.update_information(image.fd)
        if content is None:
            raise TmprunError(f"has no {os.fsdecode(name)} section", path, "it may be no AppImage")
        say_raw(content)
    return 0
