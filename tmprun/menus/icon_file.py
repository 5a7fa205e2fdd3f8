"""The icon of an app as a file, for thumbnails and whoever else wants to show it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from tmprun.desktop.icons import Icon, best_png
from tmprun.errors import TmprunError
from tmprun.human import one_line
from tmprun.menus.app_files import app_files
from tmprun.menus.integrate import app_icons

# What makes a picture of a drawing, as Debian calls it; IN, OUT and SIZE are replaced.
RASTERIZERS = (
    ("rsvg-convert", "-w", "SIZE", "-h", "SIZE", "-o", "OUT", "IN"),
    ("inkscape", "-w", "SIZE", "-h", "SIZE", "-o", "OUT", "IN"),
    ("gdk-pixbuf-thumbnailer", "-s", "SIZE", "IN", "OUT"),
)


def write_icon(app: str, out: Path, size: int) -> None:
    """Write the app's icon to `out`: a drawing when that ends so and there is one, else a picture of that size or more.

    TmprunError when there is no icon, or only a drawing and nothing here that makes pictures of drawings.
    """
    with app_files(app) as files:
        found = app_icons(files)
    drawing = next((icon for icon in found if icon.kind == "svg" and icon.folder != "symbolic"), None)
    picture = best_png(found, size)
    where = one_line(app)
    if not found:
        raise TmprunError("there is no icon in it", where)
    if out.suffix == ".svg":
        if not drawing:
            raise TmprunError("its icon is no drawing", where, "name a .png")
        content = drawing.content
    elif picture and (picture.size >= size or not drawing):
        content = picture.content
    else:
        content = _picture_of(drawing, size) or (picture.content if picture else b"")
    if not content:
        raise TmprunError(
            "its icon is a drawing, and nothing here makes a picture of it", where, "install rsvg-convert"
        )
    try:
        out.write_bytes(content)
    except OSError as error:
        raise TmprunError(error.strerror or str(error), one_line(str(out))) from None


def _picture_of(drawing: Icon | None, size: int) -> bytes:
    """A PNG of the drawing, by what is here; nothing where that fails."""
    tool = next((command for command in RASTERIZERS if shutil.which(command[0])), None)
    if tool is None or drawing is None:
        return b""
    with tempfile.TemporaryDirectory() as folder:
        words = {"IN": f"{folder}/in.svg", "OUT": f"{folder}/out.png", "SIZE": str(size)}
        Path(words["IN"]).write_bytes(drawing.content)
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            command = [words.get(word, word) for word in tool]
            subprocess.run(command, check=False, timeout=20, **options)  # type: ignore[call-overload]
            return Path(words["OUT"]).read_bytes()
        except (OSError, subprocess.TimeoutExpired):
            return b""
