"""The programs of a tree whose interpreter can be changed where it is lacking: an index's fixups (docs/elf.md)."""

from __future__ import annotations

from tmprun.elf.interpreter_slot import Slot, Unfit, slot_of
from tmprun.errors import BadImage
from tmprun.index.nodes import Fixup, Interpreter, Node, show
from tmprun.index.rules import FILE, FIXUP_ELF, FIXUP_SCRIPT, MAX_INTERPRETER, MAX_INTERPRETERS
from tmprun.index.walk import directories, find, joined, with_paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Part = Callable[[Node, int, int], bytes]

SCRIPT_HEAD = 256  # bytes of a script that the kernel looks at
SCRIPT_LARGEST = 1 << 20
ANY_GLIBC = 2 << 16
# The loaders' file names are part of each machine's ABI.
GLIBC_LOADERS = frozenset((b"ld-linux-x86-64.so.2", b"ld-linux-aarch64.so.1", b"ld-linux-riscv64-lp64d.so.1"))
LOADERS = GLIBC_LOADERS | {b"ld-musl-x86_64.so.1", b"ld-musl-aarch64.so.1", b"ld-musl-riscv64.so.1"}


class Libc:
    """The C library that was packed with the tree: the loader's `node`, and what it needs of a machine to stay unused.

    `need` is the lowest version of the machine's own library that will do; `link` and `target` as in an Interpreter.
    """

    def __init__(self, node: Node, need: int, link: Node, target: bytes) -> None:
        self.node = node
        self.need = need
        self.link = link
        self.target = target


class Plan:
    """`fixups` for the index; `skipped` are lines about programs that cannot be changed."""

    def __init__(self) -> None:
        self.fixups: list[Fixup] = []
        self.skipped: list[str] = []
        self.interpreters: dict[bytes, Interpreter | None] = {}


def plan(root: Node, part: Part, libc: Libc | None = None) -> Plan:
    """The plan for the tree below `root`; `part(node, offset, length)` reads a file of it.

    With `libc` programs that ask for its loader get that one. A file that cannot be read is left out.
    """
    made = Plan()
    programs = [each for each in with_paths(root) if each[1].kind == FILE and each[1].first and each[1].size]
    for path, node in programs:
        try:
            _look(made, root, node, part, libc)
        except Unfit as reason:
            made.skipped.append(f"{show(path)}: {reason}")
        except BadImage:
            continue  # the engine will say so, when the file is needed
    return made


def _look(made: Plan, root: Node, node: Node, part: Part, libc: Libc | None) -> None:
    def read(offset: int, length: int) -> bytes:
        return part(node, offset, length)

    if read(0, 2) == b"#!":
        script = _script(read, node.size)
        interpreter = _interpreter(made, root, script.path, None) if script else None
        if script and interpreter and interpreter.node is not node:
            made.fixups.append(Fixup(node, interpreter, FIXUP_SCRIPT, script.header, 0, len(script.path)))
        return
    slot = slot_of(read, node.size)
    interpreter = _interpreter(made, root, slot.path, libc) if slot else None
    if slot and interpreter and interpreter.node is not node:
        made.fixups.append(Fixup(node, interpreter, FIXUP_ELF, slot.header, slot.at, slot.room))


def _script(read: Callable[[int, int], bytes], size: int) -> Slot | None:
    """The path in a script's first line. None when that is none, or would have no room to grow."""
    line, newline, _ = read(0, SCRIPT_HEAD).partition(b"\n")
    rest = line[2:].lstrip(b" \t")
    path = rest.replace(b"\t", b" ").split(b" ")[0]
    fine = path.startswith(b"/") and b"\0" not in path and len(path) <= MAX_INTERPRETER and size <= SCRIPT_LARGEST
    return Slot(path, len(line) - len(rest), 0, 0) if fine and (newline or size < SCRIPT_HEAD) else None


def _interpreter(made: Plan, root: Node, path: bytes, libc: Libc | None) -> Interpreter | None:
    """What the tree has for those who ask for `path`; None when it has nothing."""
    if path not in made.interpreters:
        found = _find(root, path, libc)
        count = sum(1 for each in made.interpreters.values() if each)
        made.interpreters[path] = found if count < MAX_INTERPRETERS else None
    return made.interpreters[path]


def _find(root: Node, path: bytes, libc: Libc | None) -> Interpreter | None:
    name = path.rpartition(b"/")[2]
    glibc = name in GLIBC_LOADERS
    if libc and glibc and name == libc.node.name:
        return Interpreter(path, libc.node, libc.need, libc.link, libc.target)
    node = find(root, path.lstrip(b"/")) or (_named(root, name) if name in LOADERS else None)
    if node is None or node.kind != FILE or not node.first:
        return None
    return Interpreter(path, node, ANY_GLIBC if glibc else 0)


def _named(root: Node, name: bytes) -> Node | None:
    """The file that has that name, through symlinks; of several the one that is nearest to the top."""
    for above, directory in directories(root):
        if name in directory.children:
            node = find(root, joined(above, name))
            if node is not None and node.kind == FILE:
                return node
    return None
