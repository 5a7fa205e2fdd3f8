"""What makes a system know tmprun: files for a double click, for thumbnails, for the kernel, for systemd.

Each is a function of the program's name: `tmprun` in what a package installs, which is on PATH there, and an absolute
path in what a user gets.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tmprun.desktop.exec_line import command_line
from tmprun.errors import TmprunError

# shared-mime-info knows them, by *.AppImage and by magic: type 2, and type 1.
TYPES = ("application/vnd.appimage", "application/x-iso9660-appimage")
HANDLER = "tmprun.desktop"
THUMBNAILER = "thumbnailers/tmprun.thumbnailer"
DEFAULTS = "[Default Applications]"
RULE = "tmprun-appimage"
KERNEL = Path("/proc/sys/fs/binfmt_misc")
BINFMT_FILE = Path("/etc/binfmt.d/tmprun.conf")
# The kernel reads it at byte 8; what is behind is the type.
MAGIC = {1: "AI\\x01", 2: "AI\\x02"}


def handler(program: str) -> str:
    """The desktop entry that opens AppImages: applications/tmprun.desktop."""
    lines = (
        "[Desktop Entry]",
        "Type=Application",
        "Name=tmprun",
        "Comment=Run an AppImage",
        f"Exec={command_line([program, '--'], ['%f'])}",
        "NoDisplay=true",
        "Terminal=false",
        f"MimeType={';'.join(TYPES)};",
    )
    return "\n".join(lines) + "\n"


def thumbnailer(program: str) -> str:
    """The entry of a thumbnailer: thumbnailers/tmprun.thumbnailer."""
    line = f"{command_line([program, 'info', '--icon'])} %o --icon-size %s %i"
    return f"[Thumbnailer Entry]\nTryExec={program}\nExec={line}\nMimeType={';'.join(TYPES)};\n"


def unit(program: str) -> str:
    """The systemd user unit that watches ~/Applications.

    systemd looks for programs in a list of its own, without ~/.local/bin; env looks in PATH.
    """
    return f"""\
[Unit]
Description=Apps in ~/Applications are in the menus
Documentation=man:tmprun(1)

[Service]
Environment=PATH=%h/.local/bin:/usr/local/bin:/usr/bin:/bin
ExecStart=/usr/bin/env {program} integrate --watch %h/Applications
Restart=on-failure
Nice=10

[Install]
WantedBy=default.target
"""


def binfmt(program: str, kind: int, kernel: tuple[int, int]) -> str:
    """A line for binfmt.d: the kernel starts AppImages of that type by the program.

    Since 5.12 the kernel also tells that it gives the word that was typed (P); before, that word would look like the
    app's own.
    """
    return f":{RULE}{kind}:M:8:{MAGIC[kind]}::{program}:{'P' if kernel >= (5, 12) else ''}"


def open_by_us(home: Path, config: Path, program: str) -> None:
    """Have a user's desktop open AppImages, and make thumbnails of them, by the program."""
    for name, text in ((f"applications/{HANDLER}", handler(program)), (THUMBNAILER, thumbnailer(program))):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text, encoding="utf-8")
    _choose(config / "mimeapps.list", HANDLER)


def open_by_others(home: Path, config: Path) -> None:
    """Take that back."""
    for name in (f"applications/{HANDLER}", THUMBNAILER):
        (home / name).unlink(missing_ok=True)
    _choose(config / "mimeapps.list", "")


def tell_kernel(rules: Sequence[str], kernel: Path, file: Path) -> None:
    """Register the rules, now and at every boot; without any, take ours away."""
    try:
        for kind in MAGIC:
            if not rules and (kernel / f"{RULE}{kind}").exists():
                (kernel / f"{RULE}{kind}").write_text("-1")
        if not rules:
            file.unlink(missing_ok=True)
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{rule}\n" for rule in rules))
        for rule in rules:
            (kernel / "register").write_text(rule)
    except OSError as error:
        where, why = str(error.filename or kernel), error.strerror or str(error)
        raise TmprunError(why, where, "only root may, and not in a container; see docs/desktop.md") from None


def _choose(file: Path, entry: str) -> None:
    """Make `entry` the default for AppImages, or take ours away where there is none (MIME Application Associations)."""
    lines = file.read_text(encoding="utf-8", errors="surrogateescape").splitlines() if file.exists() else []
    kept, group = [], ""
    for line in lines:
        group = line.strip() if line.startswith("[") else group
        key, _, value = line.partition("=")
        ours = group == DEFAULTS and key.strip() in TYPES
        if not ours or (not entry and value.strip().rstrip(";") != HANDLER):
            kept.append(line)
    if entry:
        if DEFAULTS not in kept:
            kept += ["", DEFAULTS] if kept else [DEFAULTS]
        at = kept.index(DEFAULTS) + 1
        kept[at:at] = [f"{kind}={entry}" for kind in TYPES]
    if kept != lines:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}.tmprun")
        partial.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8", errors="surrogateescape")
        partial.replace(file)
