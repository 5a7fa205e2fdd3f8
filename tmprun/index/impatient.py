"""Images whose programs open files without waiting: those are filled before the app starts (docs/how-it-works.md).

`open(O_NONBLOCK)` of a file that has no content yet fails. Wine's server opens every file so, which is why all that
brings Windows programs counts, and so do GNU tar, `file` and `grep -r`.
"""

from __future__ import annotations

from tmprun.errors import BadImage
from tmprun.index.rules import DIRECTORY, FILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tmprun.index.nodes import Node

    Part = Callable[[Node, int, int], bytes]

SCRIPT_LARGEST = 1 << 16
PROGRAMS = frozenset((b"tar", b"gtar", b"rgrep", b"file", b"wine", b"wine64", b"wineserver", b"wineserver64"))
GREPS = frozenset((b"grep", b"egrep", b"fgrep", b"zgrep"))
WINDOWS = (b".exe", b".dll", b".ocx")
# Python packages and node modules bring launchers for Windows, which nobody opens here.
LAUNCHERS = frozenset((b"site-packages", b"dist-packages", b"distutils", b"node_modules"))
# What desktops share asks `file` about the user's documents, and LibreOffice's about the machine's e-mail program.
OF_OTHERS = frozenset((b"xdg-mime", b"xdg-open", b"senddoc"))
# .NET's own programs have the form of Windows', and are opened as any other file.
DOTNET = (b"libcoreclr.so", b"libmonosgen-2.0.so")

# What stands between commands, and between words, in a shell's and most other scripts.
_COMMANDS = bytes.maketrans(b"()`|;&!{}\n\t,[]", b";;;;;;;;;;    ")
_QUOTES = b"\"'\\"
# How a path begins that is no word of a text.
_LEADS = (b"/", b"./", b"../", b"$", b"~")
# Words behind which another command begins.
_BEFORE = frozenset(
    b"if then do else elif while until exec xargs sudo nice time command env eval -c -exec -execdir".split()
)


def is_impatient(root: Node, part: Part) -> bool:
    """Whether an app of the tree below `root` may open files of it without waiting; `part(node, offset, length)` reads
    one. A file that cannot be read says nothing: the engine will, when it is needed."""
    windows: list[Node] = []
    dotnet = False
    scripts: list[Node] = []
    for node, launchers, module in _files(root):
        program = node.kind != FILE or node.mode & 0o111
        if program and node.name in PROGRAMS:
            return True
        if node.kind != FILE:
            continue
        dotnet = dotnet or node.name in DOTNET
        if not launchers and node.name[-4:].lower() in WINDOWS:
            windows.append(node)
        elif module or node.name in OF_OTHERS or node.size > SCRIPT_LARGEST:
            continue
        elif program or node.name.endswith(b".sh"):
            scripts.append(node)
    return any(_begins(node, part, b"MZ") for node in windows if not dotnet) or any(
        _begins(node, part, b"#!") and calls_one(_read(node, part, node.size)) for node in scripts
    )


def _files(root: Node) -> Iterator[tuple[Node, bool, bool]]:
    """All that is no directory, whether it lies where launchers do, and whether it is one of Python's own modules,
    which some distributions let start by themselves, and nobody does."""
    waiting = [(root, False)]
    while waiting:
        directory, launchers = waiting.pop()
        modules = directory.name.startswith(b"python")
        for node in directory.children.values():
            if node.kind == DIRECTORY:
                waiting.append((node, launchers or node.name in LAUNCHERS))
            else:
                yield node, launchers, modules and node.name.endswith(b".py")


def _read(node: Node, part: Part, length: int) -> bytes:
    try:
        return part(node, 0, length)
    except BadImage:
        return b""


def _begins(node: Node, part: Part, magic: bytes) -> bool:
    return node.size > 0 and _read(node, part, len(magic)) == magic


def calls_one(script: bytes) -> bool:
    """Whether the script calls a program that does not wait. Comments do not count, nor does what is only said."""
    if not any(word in script for word in (b"tar", b"grep", b"file", b"wine")):
        return False
    lines = (line for line in script.split(b"\n") if not line.lstrip().startswith(b"#"))
    text = b"\n".join(lines).translate(_COMMANDS, _QUOTES)
    return any(_is_call(words) for command in text.split(b";") for words in _calls(command.split()))


def _calls(words: list[bytes]) -> Iterator[list[bytes]]:
    """A command's words without what comes in front, and the words of the command that it is to start, if any."""
    begins = True
    for number, word in enumerate(words):
        if begins and word not in _BEFORE and b"=" not in word and word[:1] not in b"-0123456789":
            yield words[number:]
            begins = False
        begins = begins or word in _BEFORE


def _is_call(words: list[bytes]) -> bool:
    name, arguments = words[0].rpartition(b"/")[2], words[1:]
    if name == b"file":  # an English word, too: "[--flag] url/file ...", "basename(file, '.js')"
        called = words[0] == name or words[0].startswith(_LEADS)
        return called and bool(arguments) and arguments[0].startswith((b"-", b"<", *_LEADS))
    return name in PROGRAMS or (name in GREPS and any(_asks_for_all(each) for each in arguments))


def _asks_for_all(argument: bytes) -> bool:
    """Whether that is grep's -r, alone or among other letters, or what it is called in full."""
    if argument.startswith(b"--"):
        return b"recurs" in argument
    return argument.startswith(b"-") and (b"r" in argument or b"R" in argument)
