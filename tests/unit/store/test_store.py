"""What `tmprun.store.entries` shows of a store, and what it does not let itself be shown."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest
from kit.places import VERSION, shelf
from kit.store_layout import add_entry, as_user, key, lease_held, make_root, user_folder
from kit.surroundings import needs_root
from kit.trees import below

from tmprun.store import entries as store
from tmprun.store.shelves import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return make_root(tmp_path / "store")


def test_entry_is_described(root: Root) -> None:
    entry = add_entry(root, key(1), content=b"x" * 100_000, source="/opt/a b.AppImage", last_use=1_700_000_000)
    (found,) = store.entries([root])
    assert (found.key, found.source, found.last_use) == (key(1), "/opt/a b.AppImage", 1_700_000_000)
    assert found.path == str(entry / "tree")
    assert found.complete
    assert not found.locked
    assert found.files == 4  # AppRun, data and its twin, the symlink


def test_size_counts_blocks_and_each_hard_link_once(root: Root) -> None:
    entry = add_entry(root, key(1), content=b"x" * 1_000_000)
    (found,) = store.entries([root])
    assert 1_000_000 <= found.size < 1_100_000
    blocks = {p.lstat().st_ino: p.lstat().st_blocks for p in (entry, *below(entry))}
    assert found.size == 512 * sum(blocks.values())


def test_sparse_file_takes_what_it_takes(root: Root) -> None:
    entry = add_entry(root, key(1))
    (entry / "tree" / "usr").chmod(0o755)
    with open(entry / "tree" / "usr" / "sparse", "wb") as file:
        file.truncate(1 << 30)
    assert store.entries([root])[0].size < 1_000_000


@pytest.mark.parametrize("missing", ["watch", "lease", "index", "tree"])
def test_entry_without_a_part_is_incomplete(root: Root, missing: str) -> None:
    entry = add_entry(root, key(1))
    os.rename(entry / missing, entry / "elsewhere")
    assert not store.entries([root])[0].complete
    assert store.locate([root], key(1)) is None


def test_locked_while_an_app_runs(root: Root) -> None:
    entry = add_entry(root, key(1))
    with lease_held(entry):
        assert store.entries([root])[0].locked
    assert not store.entries([root])[0].locked


def test_locked_while_it_is_built_anew(root: Root) -> None:
    add_entry(root, key(1))
    with open(shelf(root.path, "lock") / key(1), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert store.entries([root])[0].locked


def test_unknown_names_are_not_shown(root: Root, tmp_path: Path) -> None:
    trees = shelf(root.path, "tree")
    (trees / "README").touch()
    (trees / key(1).upper().replace("0", "A")).mkdir()
    (trees / key(2)).symlink_to(tmp_path)
    (trees / key(3)).touch()
    os.mkfifo(trees / key(4))
    assert store.entries([root]) == []


def test_entry_with_planted_files_does_not_block(root: Root) -> None:
    entry = add_entry(root, key(1))
    for name in ("lease", "source"):
        (entry / name).unlink()
        os.mkfifo(entry / name)
    (found,) = store.entries([root])
    assert found.source == ""


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o750, 0o1700])
def test_store_open_to_others_is_not_read(root: Root, mode: int) -> None:
    add_entry(root, key(1))
    os.chmod(root.path, mode)
    assert store.entries([root]) == []


def test_store_behind_a_symlink_is_not_read(root: Root, tmp_path: Path) -> None:
    add_entry(root, key(1))
    (tmp_path / "link").symlink_to(root.path)
    assert store.entries([Root(str(tmp_path / "link"), "disk", True, "")]) == []


@needs_root
def test_store_of_another_user_is_not_read() -> None:
    with user_folder() as top:
        root = make_root(top / "store")
        add_entry(root, key(1))
        os.chmod(root.path, 0o700)
        os.chown(root.path, 1001, 1001)
        assert store.entries([root]) == []
        os.chown(root.path, 1000, 1000)
        os.chown(f"{root.path}/{VERSION}", 1000, 1000)
        assert as_user(lambda: store.entries([root])) == []  # the folder `tree` still belongs to somebody else


def test_missing_store_is_empty(tmp_path: Path) -> None:
    assert store.entries([Root(str(tmp_path / "none"), "disk", False, "missing")]) == []


def test_refused_store_is_read_all_the_same(root: Root) -> None:
    add_entry(root, key(1))
    assert len(store.entries([Root(root.path, "disk", False, "too little space")])) == 1


def test_locate_takes_the_first_root_that_has_it(tmp_path: Path) -> None:
    first, second, third = (make_root(tmp_path / name) for name in "abc")
    add_entry(second, key(1))
    add_entry(third, key(1))
    (shelf(first.path, "tree") / key(1)).mkdir(mode=0o700)
    found = store.locate([first, second, third], key(1))
    assert found is not None
    assert found.root == second
    assert store.locate([first, second, third], key(2)) is None


def test_known_images(tmp_path: Path) -> None:
    root = make_root(tmp_path / "cache")
    images = shelf(root.path, "image")
    images.mkdir(mode=0o700)
    (images / f"{key(1)}.index").write_bytes(b"x" * 5000)
    (images / f"{key(2)}.bundle").write_bytes(b"x")
    os.utime(images / f"{key(2)}.bundle", (2_000_000, 1_000_000))
    (images / f"{key(3)}.index.tmp").touch()
    (images / "notes.txt").touch()
    (images / f"{key(4)}.index").symlink_to("/etc/passwd")
    found = store.known_images(root.path)
    assert [item.name for item in found] == [f"{key(1)}.index", f"{key(2)}.bundle"]
    assert found[0].size >= 5000
    assert found[1].last_use == 2_000_000
    assert store.known_images(None) == []
