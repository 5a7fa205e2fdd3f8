"""What the files are called that an app gets in a menu: as libappimage, appimaged and AppImageLauncher call theirs."""

from __future__ import annotations

import hashlib
import os
import re
from urllib.parse import quote

PREFIX = "appimagekit"
LONGEST = 100  # characters of a name that an image chose


def identifier(path: str) -> str:
    """The MD5 of the file's URI, as those tools and the thumbnails have it. It tells files apart and protects nothing.

    What is not escaped is what GLib leaves in a file's URI.
    """
    uri = "file://" + quote(os.fsencode(path), safe="/!$&'()*+,-.:=@_~")
    return hashlib.md5(uri.encode(), usedforsecurity=False).hexdigest()


def safe(name: str) -> str:
    """A name that an image chose, as a part of a file name that means nothing to anybody."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)[:LONGEST] or "_"


def is_of(file: str, owner: str) -> bool:
    """Whether a file is one of those that the app with this identifier has."""
    return file.startswith((f"{PREFIX}_{owner}-", f"{PREFIX}_{owner}_"))
