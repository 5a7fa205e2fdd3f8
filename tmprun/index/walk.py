"""Going through a tree of nodes: all of it, its programs, or one path."""

from __future__ import annotations

from tmprun.index.rules import DIRECTORY, FILE, HARD_LINK, SYMLINK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tmprun.index.nodes import Node

MAX_LINKS = 40  # as many as the kernel follows


def below(root: Node) -> Iterator[Node]:
    """The root, and all that is below it, each directory before its content."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(node.children.values())


def directories(root: Node) -> Iterator[tuple[bytes, Node]]:
    """The directories with their paths, the root first, then level by level, each one's own by name."""
    waiting = [(b"", root)]
    for path, directory in waiting:
        yield path, directory
        inner = sorted((name, node) for name, node in directory.children.items() if node.kind == DIRECTORY)
        waiting += [(joined(path, name), node) for name, node in inner]


def with_paths(root: Node) -> Iterator[tuple[bytes, Node]]:
    """All that is below the root, with its path from there.

    The order, which the bytes of an index depend on, must stay as it is: a directory's content by name, and then its
    directories, the last one first.
    """
    waiting = [(b"", root)]
    while waiting:
        above, directory = waiting.pop()
        for name in sorted(directory.children):
            node = directory.children[name]
            path = joined(above, name)
            yield path, node
            if node.kind == DIRECTORY:
                waiting.append((path, node))


def joined(above: bytes, name: bytes) -> bytes:
    """The path of what is called `name` in the directory `above`, which is empty for the root."""
    return above + b"/" + name if above else name


def content_size(root: Node) -> int:
    """Bytes that the files hold, each counted once, however many names it has."""
    return sum(node.size for node in below(root) if node.kind == FILE)


def find(root: Node, path: bytes, passed: list[tuple[bytes, Node]] | None = None) -> Node | None:
    """The file or directory at `path`, through symlinks while they stay in the tree; None when there is none.

    What is come by on the way, the end and the symlinks among it, is added to `passed` with its own path.
    """
    walk = [root]
    names = [b""]
    waiting = path.split(b"/")[::-1]
    links = 0
    while waiting:
        name = waiting.pop()
        if name == b"..":
            walk.pop()
            names.pop()
        node = walk[-1].children.get(name) if walk else None
        if node is not None and passed is not None:
            passed.append((joined(names[-1], name), node))
        if node is not None and node.kind == SYMLINK:
            links += 1
            if links > MAX_LINKS or node.target.startswith(b"/"):
                return None
            waiting += node.target.split(b"/")[::-1]
        elif node is not None:
            walk.append(node.link if node.kind == HARD_LINK and node.link else node)
            names.append(joined(names[-1], name))
        elif not walk or name not in (b"", b".", b".."):
            return None
    return walk[-1]
