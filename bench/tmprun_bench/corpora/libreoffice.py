"""LibreOffice Writer from Debian's packages; its run converts a text to PDF, with a profile of its own each time."""

from __future__ import annotations

import re
import shutil
import zlib
from dataclasses import replace
from pathlib import Path

from tmprun_bench.corpora import debian
from tmprun_bench.corpora.app import App, write_script
from tmprun_bench.corpora.cache import make
from tmprun_bench.errors import WrongAnswer

# Dependencies of the packages' installation scripts and of signing e-mail, not of a program that converts a text.
SYSTEM = (
    "adduser", "dirmngr", "gnupg", "gnupg-l10n", "gnupg-utils", "gpg", "gpg-agent", "gpg-wks-client", "gpg-wks-server",
    "gpgconf", "gpgsm", "gpgv", "libperl5.36", "login", "passwd", "perl", "perl-modules-5.36", "pinentry-curses",
    "systemd", "ucf", "ucpp", "usrmerge", "usr-is-merged",
)  # fmt: skip

# Debian's files name absolute paths; ${ORIGIN} is the directory of the file that says it.
RELATIVE = {
    "usr/lib/libreoffice/program/fundamentalrc": (
        ("file:///usr/lib/libreoffice", "${ORIGIN}/.."),
        ("file:///etc/libreoffice", "${ORIGIN}/../../../../etc/libreoffice"),
    ),
    "usr/lib/libreoffice/program/sofficerc": (
        ("file:///etc/libreoffice", "${ORIGIN}/../../../../etc/libreoffice"),
    ),
}  # fmt: skip

FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">../../usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
"""

APPRUN = """#!/bin/sh
# AppRun TEXT DIRECTORY: convert TEXT to a PDF in DIRECTORY, where the profile goes, too.
here=$(cd "${0%/*}" && pwd)
usr=$here/usr
export LD_LIBRARY_PATH="$usr/lib/libreoffice/program:$usr/lib/x86_64-linux-gnu:$here/lib/x86_64-linux-gnu"
export FONTCONFIG_FILE="$here/etc/fonts/fonts.conf" XDG_CACHE_HOME="$2/cache" XDG_CONFIG_HOME="$2/config"
export XDG_DATA_DIRS="$usr/share" SAL_USE_VCLPLUGIN=svp
exec "$usr/lib/libreoffice/program/oosplash" "-env:UserInstallation=file://$2/profile" \\
    --headless --norestore --nologo --convert-to pdf:writer_pdf_Export --outdir "$2" "$1"
"""

PARAGRAPH = (
    "The quick brown fox jumps over the lazy dog, and %d more sentences follow in this paragraph of plain text. "
)
PAGES = 10  # at least; two hundred paragraphs


def app() -> App:
    """A large program: about 370 MB, 3,300 files, of which a conversion opens a tenth."""
    # As root it makes a directory var/spool/libreoffice/uno_packages/cache/uno_packages in its own.
    return App("libreoffice", "LibreOffice Writer converts a text", _build, _arguments, _check, alters_itself=True)


def starting() -> App:
    """The same AppDir, asked for its version: it starts, loads what it needs to know itself, and ends."""
    return replace(
        app(), title="LibreOffice says its version", arguments=lambda scratch: ("--version", str(scratch)), check=_named
    )


def _build(root: Path) -> None:
    debian.tree(root, ["libreoffice-writer-nogui"], without=(*debian.LIBC, *SYSTEM))
    for name, changes in RELATIVE.items():
        path = root / name
        text = path.read_text()
        for absolute, relative in changes:
            text = text.replace(absolute, relative)
        path.unlink()
        path.write_text(text)
    # The packages' installation scripts copy it; the names that point there are in the packages.
    shutil.copytree(root / "usr/lib/libreoffice/share/.registry", root / "etc/libreoffice/registry", dirs_exist_ok=True)
    (root / "etc/fonts/fonts.conf").write_text(FONTS)
    write_script(root / "AppRun", APPRUN)


def _document() -> Path:
    def write(path: Path) -> None:
        path.write_text("\n".join("".join(PARAGRAPH % n for n in range(p, p + 5)) for p in range(200)) + "\n")

    return make(app().folder / "document.txt", write)


def _arguments(scratch: Path) -> tuple[str, ...]:
    return str(_document()), str(scratch)


def _named(output: bytes, _scratch: Path) -> None:
    if not re.fullmatch(rb"LibreOffice \d+(\.\d+)+ .*\s*", output):
        raise WrongAnswer(f"printed {output[:200]!r}, which is no version of LibreOffice")


def _check(_output: bytes, scratch: Path) -> None:
    """The PDF is whole, has the pages that the text needs, and its text was really set."""
    path = scratch / "document.pdf"
    if not path.exists():
        raise WrongAnswer("no PDF was made")
    pdf = path.read_bytes()
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    if not pdf.startswith(b"%PDF-") or not pdf.rstrip().endswith(b"%%EOF") or pages < PAGES:
        raise WrongAnswer(f"the PDF has {pages} pages, not {PAGES} or more")
    shown = sum(_glyphs(stream) for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL))
    wanted = len(_document().read_text().replace("\n", ""))
    if not 0.9 * wanted < shown < 1.1 * wanted:
        raise WrongAnswer(f"the PDF shows {shown} glyphs, not the {wanted} of the text")


def _glyphs(stream: bytes) -> int:
    """How many glyphs a page's content shows: hex strings in text operators, one byte a glyph (PDF 32000-1, 9.4.3)."""
    try:
        content = zlib.decompress(stream)
    except zlib.error:
        return 0
    if b" Tf" not in content:
        return 0
    return sum(len(text) // 2 for text in re.findall(rb"<([0-9A-Fa-f]+)>", content))
