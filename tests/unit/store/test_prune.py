"""Pruning removes what was chosen and touches nothing else, whenever it is killed and whoever starts meanwhile."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kit.places import VERSION, shelf
from kit.store_layout import (
    EVERYTHING,
    add_entry,
    as_user,
    key,
    make_root,
    user_folder,
    wait_until,
)
from kit.surroundings import IN_CONTAINER, needs_root
from kit.trees import below

from tmprun.store import entries as store
from tmprun.store.entries import Entry, KnownImage
from tmprun.store.prune import Limits, default_memory, default_shares, prune
from tmprun.store.removal import remove
from tmprun.store.shelves import Root


def tree(path: Path) -> list[str]:
    """Everything below `path`, in order, with types and modes: to see that nothing has changed."""
    return sorted(f"{p.relative_to(path)} {p.lstat().st_mode:o} {p.lstat().st_mtime_ns}" for p in below(path))


def test_prune_removes_read_only_trees(root: Root) -> None:
    for number in range(3):
        add_entry(root, key(number))
    report = prune([root], EVERYTHING)
    assert [why for _, why in report.removed] == ["not in use"] * 3
    assert report.freed > 0
    assert os.listdir(shelf(root.path, "tree")) == os.listdir(shelf(root.path, "trash")) == []


def test_prune_as_ordinary_user() -> None:
    """Only root unlinks from directories without write permission."""

    def build_and_prune() -> tuple[list[str], list[str]]:
        root = make_root(Path(top) / "store")
        made = add_entry(root, key(1))
        (made / "tree" / "usr").chmod(0o755)
        (made / "tree" / "usr" / "closed").mkdir()
        (made / "tree" / "usr" / "closed" / "file").touch()
        (made / "tree" / "usr" / "closed").chmod(0o000)
        report = prune([root], EVERYTHING)
        return [item.key for item, _ in report.removed if isinstance(item, Entry)], os.listdir(
            shelf(root.path, "trash")
        )

    with user_folder() as top:
        assert as_user(build_and_prune) == ([key(1)], [])


def test_dry_run_touches_nothing(root: Root) -> None:
    add_entry(root, key(1))
    (shelf(root.path, "lock") / key(1)).touch()
    before = tree(Path(root.path))
    report = prune([root], EVERYTHING, dry_run=True)
    assert [item for item, _ in report.removed] == store.entries([root])
    assert tree(Path(root.path)) == before


def test_unknown_things_are_never_touched(root: Root) -> None:
    outside = Path(root.path).parent / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    version = Path(root.path) / VERSION
    for part in ("tree", "trash", "stage", "id", "lock"):
        (version / part / "mine").mkdir()
        (version / part / "mine" / "file").touch()
        (version / part / key(1)[:63]).touch()
    for part in ("tree", "trash"):
        (version / part / key(2)).symlink_to(outside)
        (version / part / key(3)).write_text("a file")
    (Path(root.path) / "notes").touch()
    (Path(root.path) / "v2").mkdir()
    before = tree(Path(root.path))
    prune([root], EVERYTHING)
    assert tree(Path(root.path)) == before
    assert (outside / "precious").read_text() == "precious"


def test_symlinks_in_a_tree_are_not_followed(root: Root) -> None:
    outside = Path(root.path).parent / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "precious").touch()
    made = add_entry(root, key(1))
    (made / "tree").chmod(0o755)
    for number, target in enumerate((str(outside), "../../../../../outside", "/", ".", "..")):
        (made / "tree" / f"link{number}").symlink_to(target)
    (made / "more").symlink_to(outside)
    before = tree(outside)
    assert len(prune([root], EVERYTHING).removed) == 1
    assert tree(outside) == before
    assert os.listdir(shelf(root.path, "trash")) == []


def test_tree_deeper_than_any_limit(root: Root) -> None:
    made = add_entry(root, key(1))
    (made / "tree").chmod(0o755)
    fd = os.open(made / "tree", os.O_RDONLY)
    for _ in range(3000):  # deeper than a path is long, than Python calls, and than descriptors are many
        os.mkdir("d" * 20, dir_fd=fd)
        below = os.open("d" * 20, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    assert len(prune([root], EVERYTHING).removed) == 1
    assert os.listdir(shelf(root.path, "trash")) == []


def test_known_images_go_too(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path(root.path).parent / "cache"))
    (Path(root.path).parent / "cache").mkdir()
    cache = Path(make_root(Path(root.path).parent / "cache" / "tmprun").path) / VERSION
    for part in ("image", "known"):
        (cache / part).mkdir(mode=0o700)
    (cache / "image" / f"{key(1)}.index").write_bytes(b"x" * 10_000)
    (cache / "known" / "fe01-12-3e8-17-17").symlink_to(f"{key(1)}.index")
    report = prune([root], EVERYTHING)
    assert [type(item) for item, _ in report.removed] == [KnownImage]
    assert os.listdir(cache / "image") == os.listdir(cache / "known") == []


@needs_root
def test_mount_in_a_tree_is_not_entered(root: Root) -> None:
    outside = Path(root.path).parent / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    made = add_entry(root, key(1))
    subprocess.run(["mount", "--bind", outside, made / "tree" / "usr" / "bin"], check=True)
    try:
        assert [why for _, why in prune([root], EVERYTHING).kept] == ["in use"]
        trash = shelf(root.path, "trash") / f"{key(1)}.ab"
        os.rename(made, trash)
        prune([root], EVERYTHING)
        fd = os.open(trash.parent, os.O_RDONLY)
        with pytest.raises(OSError, match="busy"):
            remove(fd, trash.name)
        os.close(fd)
        assert (outside / "precious").exists()
    finally:
        mounts = Path("/proc/self/mountinfo").read_text().split("\n")
        for point in [line.split()[4] for line in mounts if str(outside.parent) in line]:
            subprocess.run(["umount", point], check=True)


def test_killed_prune_leaves_nothing_for_ever(root: Root) -> None:
    """Kill prune at many moments: an entry is whole in its place or on its way out, and the next prune ends it."""
    script = f"""
from tmprun.store.prune import prune, Limits
from tmprun.store.shelves import Root
print("ready", flush=True)
prune([Root({root.path!r}, "disk", True, "")], Limits(0, 0, alone=True))
"""
    trash = shelf(root.path, "trash")
    moved = 0
    for step in range(40):
        for number in range(5):
            if not (shelf(root.path, "tree") / key(number)).exists():
                made = add_entry(root, key(number))
                for folder in range(200):
                    os.mkdir(made / f"folder{folder}")
        command = [sys.executable, "-c", script]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]) as process:
            assert process.stdout
            process.stdout.readline()
            if step % 2:  # else it is killed before it has moved anything, most of the time
                wait_until(lambda: any(trash.iterdir()) or process.poll() is not None, pause=0)
            process.send_signal(signal.SIGKILL)
        moved += len(list(trash.iterdir()))
        for found in store.entries([root]):
            assert found.complete
            assert found.files == 4
    prune([root], EVERYTHING)
    assert [os.listdir(shelf(root.path, part)) for part in ("tree", "trash", "stage")] == [[], [], []]
    assert moved, "no prune was killed half-way: the test shows nothing"


STARTER = """
import fcntl, os, random, sys, time
trees, least, most = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
begun, starts = time.monotonic(), 0
while time.monotonic() - begun < (least if starts > 5 else most):
    try:
        entry = f"{trees}/" + (os.listdir(trees) or ["none"])[0]
        fd = os.open(entry, os.O_RDONLY | os.O_DIRECTORY)
        lease = os.open("lease", os.O_RDONLY, dir_fd=fd)
        fcntl.flock(lease, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if not os.path.samestat(os.stat(entry), os.fstat(fd)): raise BlockingIOError
    except OSError:
        pass
    else:
        starts += 1
        for _ in range(random.randrange(20)):
            assert open(f"{entry}/tree/usr/data").read() == "content\\n"
            time.sleep(0.0005)
    finally:
        for name in ("fd", "lease"):
            if name in globals(): os.close(globals().pop(name))
        time.sleep(random.random() / 4)
print(starts)
"""


def test_starts_and_prunes_at_once(root: Root) -> None:
    """Starts, two prunes in a loop, and a builder: who has its lease keeps its files; everything ends."""
    least, most = "8", "45"  # seconds; the second is for a machine on which few of them get far
    add_entry(root, key(1))
    pruner = f"""
import time
from tmprun.store.prune import prune, Limits
from tmprun.store.shelves import Root
begun, removed = time.monotonic(), 0
while time.monotonic() - begun < ({least} if removed > 1 else {most}):
    removed += len(prune([Root({root.path!r}, "disk", True, "")], Limits(0, 0, alone=True)).removed)
print(removed)
"""
    top = Path(__file__).parents[3]
    trees = str(shelf(root.path, "tree"))
    commands = [[sys.executable, "-c", STARTER, trees, least, most]] * 2 + [[sys.executable, "-c", pruner]] * 2
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=top) for command in commands]
    place = Path(trees) / key(1)
    while any(process.poll() is None for process in processes):
        with open(shelf(root.path, "lock") / key(1), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():
                staged = add_entry(root, f"{key(1)}.0", part="stage")
                os.rename(staged, place)
        time.sleep(0.02)
    counts = [int(process.communicate(timeout=30)[0]) for process in processes]
    assert all(process.returncode == 0 for process in processes)
    assert sum(counts[:2]) > 10, "hardly any start: the test shows nothing"
    assert sum(counts[2:]) > 1, "hardly any removal: the test shows nothing"


def test_each_store_keeps_to_its_share(root: Root) -> None:
    """The oldest go, from that store alone, until its trees take no more than its share."""
    other = make_root(Path(root.path).parent / "other")
    for number in range(4):
        add_entry(root, key(number), last_use=1000 + number, content=bytes(100_000))
        add_entry(other, key(number), last_use=1000 + number, content=bytes(100_000))
    size = store.entries([root])[0].size
    limits = Limits(1 << 60, 1 << 60, alone=IN_CONTAINER, shares={root.path: 2 * size + 1000})
    report = prune([root, other], limits)
    assert [item.key for item, _ in report.removed if isinstance(item, Entry)] == [key(0), key(1)]
    assert {why for _, why in report.removed} == {"more than the store's share of its file system"}
    assert len(os.listdir(shelf(other.path, "tree"))) == 4


def test_the_share_is_the_engines(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPRUN_STORE", raising=False)
    facts = os.statvfs(root.path)
    half = facts.f_blocks * facts.f_frsize // 2
    in_memory = Root(root.path, "tmpfs", True, "")
    assert default_shares([root]) == {root.path: half}
    assert default_shares([in_memory]) == {root.path: min(half, default_memory())}
    monkeypatch.setenv("TMPRUN_STORE", root.path)
    assert default_shares([root]) == {}
