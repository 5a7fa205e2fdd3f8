"""From the desktop entry that an app brings to the one that stands in a menu.

What an app says of itself is looked at key by key: what is no known key, or no legal value of it, is left out, so that
desktop-file-validate is content and nothing but the app is ever started.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tmprun.desktop.entry import GROUP
from tmprun.desktop.exec_line import command_line, words_of
from tmprun.desktop.names import PREFIX, safe

KEY = re.compile(r"([A-Za-z0-9-]{1,60})(\[[A-Za-z0-9_@.-]{1,60}\])?")
ACTION = re.compile(r"[A-Za-z0-9-]{1,60}")
MIME_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")
LONGEST = 2000  # characters of a value
MOST = 50  # items of a list, actions

TEXTS = ("Name", "GenericName", "Comment", "X-GNOME-FullName")
SWITCHES = ("Terminal", "StartupNotify", "NoDisplay", "PrefersNonDefaultGPU", "SingleMainWindow")
PLAIN = ("StartupWMClass", "X-AppImage-Version", "X-AppImage-Name", "X-AppImage-Arch", "X-AppImage-BuildId")
_DESKTOPS = """
    GNOME GNOME-Classic GNOME-Flashback KDE LXDE LXQt MATE Razor ROX TDE Unity XFCE EDE Cinnamon Pantheon Budgie
    Enlightenment DDE Old
"""
DESKTOPS = frozenset(_DESKTOPS.split())
# Desktop Menu Specification, "Registered Categories".
_CATEGORIES = """
    AudioVideo Audio Video Development Education Game Graphics Network Office Science Settings System Utility
    Building Debugger IDE GUIDesigner Profiling RevisionControl Translation Calendar ContactManagement Database
    Dictionary Chart Email Finance FlowChart PDA ProjectManagement Presentation Spreadsheet WordProcessor 2DGraphics
    VectorGraphics RasterGraphics 3DGraphics Scanning OCR Photography Publishing Viewer TextTools DesktopSettings
    HardwareSettings Printing PackageManager Dialup InstantMessaging Chat IRCClient Feed FileTransfer HamRadio News
    P2P RemoteAccess Telephony TelephonyTools VideoConference WebBrowser WebDevelopment Midi Mixer Sequencer Tuner TV
    AudioVideoEditing Player Recorder DiscBurning ActionGame AdventureGame ArcadeGame BoardGame BlocksGame CardGame
    KidsGame LogicGame RolePlaying Shooter Simulation SportsGame StrategyGame Art Construction Music Languages
    ArtificialIntelligence Astronomy Biology Chemistry ComputerScience DataVisualization Economy Electricity Geography
    Geology Geoscience History Humanities ImageProcessing Literature Maps Math NumericalAnalysis MedicalSoftware
    Physics Robotics Spirituality Sports ParallelComputing Amusement Archiving Compression Electronics Emulator
    Engineering FileTools FileManager TerminalEmulator Filesystem Monitor Security Accessibility Calculator Clock
    TextEditor Documentation Adult Core KDE GNOME XFCE DDE GTK Qt Motif Java ConsoleOnly
"""
CATEGORIES = frozenset(_CATEGORIES.split())


@dataclass(frozen=True)
class Place:
    """The app that an entry is for: `program` starts it, `path` is where it lies, `mark` tells one state of the file
    from another, `icons` are the names of what was found for the names in its entry. `complete` says that what starts
    the app gives it the arguments of its entry by itself."""

    program: Sequence[str]
    path: str
    identifier: str
    mark: str
    executable: bool
    icons: Mapping[str, str]
    complete: bool = False


def wants_no_menu(groups: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether the app asks not to be put into menus."""
    return groups.get(GROUP, {}).get("X-AppImage-Integrate", "").lower() == "false"


def icon_name(value: str) -> str:
    """The name of an icon, of what stands behind Icon; AppImages also have files there."""
    return re.sub(r"\.(png|svg|xpm)$", "", value.rpartition("/")[2])


def file_name(groups: Mapping[str, Mapping[str, str]], identifier: str, fallback: str) -> str:
    """What the entry is called, as AppImage tools call theirs, so that theirs and ours are one."""
    name = groups.get(GROUP, {}).get("Name", "") or fallback
    return f"{PREFIX}_{identifier}-{safe(name)}.desktop"


def menu_entry(groups: Mapping[str, Mapping[str, str]], place: Place, fallback: str) -> str:
    """The desktop entry for a menu; `fallback` is the app's name if it does not say one."""
    keys = groups.get(GROUP, {})
    lines = ["[Desktop Entry]", "Type=Application", *_texts(keys, TEXTS)]
    if not any(line.startswith("Name=") for line in lines):
        lines.append(f"Name={_escaped(_clean(fallback)) or 'App'}")
    lines += _icon(keys, place)
    lines.append(f"Exec={_exec(keys, place, complete=place.complete)}")
    if place.executable:
        lines.append(f"TryExec={_escaped(place.path)}")
    lines += [f"{key}={keys[key]}" for key in SWITCHES if keys.get(key) in ("true", "false")]
    lines += [f"{key}={_clean(keys[key])}" for key in PLAIN if _clean(keys.get(key, ""))]
    lines += _list(keys, "Categories", lambda item: item in CATEGORIES)
    lines += _list(keys, "MimeType", lambda item: bool(MIME_TYPE.fullmatch(item)))
    lines += _list(keys, "OnlyShowIn", DESKTOPS.__contains__) or _list(keys, "NotShowIn", DESKTOPS.__contains__)
    for key in keys:
        if key == "Keywords" or (key.startswith("Keywords[") and KEY.fullmatch(key)):
            lines += _list(keys, key, lambda item: bool(item.strip()))
    actions = [name for name in _items(keys.get("Actions", "")) if ACTION.fullmatch(name)][:MOST]
    actions = [
        name for name in dict.fromkeys(actions) if _clean(groups.get(f"Desktop Action {name}", {}).get("Name", ""))
    ]
    if actions:
        lines.append(f"Actions={';'.join(actions)};")
    lines.append(f"X-AppImage-Identifier={place.identifier}")
    lines += [f"X-Tmprun-App={_escaped(place.path)}", f"X-Tmprun-State={place.mark}"]
    for name in actions:
        inner = groups[f"Desktop Action {name}"]
        lines += ["", f"[Desktop Action {name}]", *_texts(inner, ("Name",)), *_icon(inner, place)]
        lines.append(f"Exec={_exec(inner, place)}")
    return "\n".join(lines) + "\n"


def _texts(keys: Mapping[str, str], wanted: Sequence[str]) -> Iterator[str]:
    """The texts of these keys in all languages, those without a language first, as the specification wants it."""
    for key in sorted(keys, key=lambda key: "[" in key):
        match = KEY.fullmatch(key)
        if match and match[1] in wanted and _clean(keys[key]):
            yield f"{key}={_clean(keys[key])}"


def _icon(keys: Mapping[str, str], place: Place) -> list[str]:
    there = place.icons.get(icon_name(keys.get("Icon", "")))
    return [f"Icon={there}"] if there else []


def _exec(keys: Mapping[str, str], place: Place, *, complete: bool = False) -> str:
    """The app with the arguments that it has in its own entry; a program `env` before it is left out with its words.

    When it is `complete` without them, those stay that stand for what it is to open.
    """
    words = words_of(keys.get("Exec", "")[:LONGEST])
    if words and words[0].rpartition("/")[2] == "env":
        words = words[1:]
        while words and "=" in words[0]:
            words = words[1:]
    return command_line(place.program, [word for word in words[1:] if "%" in word or not complete])


def _list(keys: Mapping[str, str], key: str, legal: Callable[[str], bool]) -> list[str]:
    items = [item for item in dict.fromkeys(_items(keys.get(key, ""))) if legal(item)][:MOST]
    return [f"{key}={';'.join(items)};"] if items else []


def _items(value: str) -> list[str]:
    return [item.strip() for item in _clean(value).split(";") if item.strip()]


def _clean(value: str) -> str:
    """A value without what is not printable, and without escapes that are none."""
    shown = "".join(char for char in value[:LONGEST] if char.isprintable() and char != "\ufffd").strip()
    return re.sub(r"\\(?![sntr\\])", "", re.sub(r"\\\\", "", shown))


def _escaped(text: str) -> str:
    """Any text as a value."""
    for char, name in (("\\", "\\\\"), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        text = text.replace(char, name)
    return f"\\s{text[1:]}" if text.startswith(" ") else text


def unescaped(value: str) -> str:
    """What a value says."""
    names = {"s": " ", "n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
    return re.sub(r"\\(.)", lambda match: names.get(match[1], match[0]), value)
