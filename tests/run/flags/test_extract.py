"""--appimage-extract: the AppDir as it was, into the working directory, and nowhere else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from kit import craft
from kit.apps import App, write
from kit.harness import Harness, remove
from kit.snapshot import facts, packed_mode
from kit.surroundings import unshare
from kit.trees import below


def test_it_is_the_appdir_again(harness: Harness, app: App, words: list[Path]) -> None:
    result = harness.run(*words, "--appimage-extract", umask=0o077)
    out = harness.work / "squashfs-root"
    assert facts(out) == facts(app.appdir, packed_mode)
    assert (out / "usr/hard").stat().st_ino == (out / "usr/share/noise").stat().st_ino
    assert b"squashfs-root/usr/share/text\n" in result.stdout and result.stderr == b""
    assert os.listdir(harness.work) == ["squashfs-root"]
    assert harness.left() == []


def test_setuid_is_stripped_even_over_an_older_copy(harness: Harness, app: App, words: list[Path]) -> None:
    assert (app.appdir / "usr/bin/setuid").stat().st_mode & stat.S_ISUID
    planted = write(harness.work / "squashfs-root/usr/bin/setuid", b"old", 0o6755)
    harness.run(*words, "--appimage-extract")
    assert oct(planted.stat().st_mode & 0o7777) == oct(0o755)


def test_again_over_what_is_there(harness: Harness, app: App, words: list[Path]) -> None:
    harness.run(*words, "--appimage-extract")
    out = harness.work / "squashfs-root"
    write(out / "usr/share/text", b"changed")
    write(out / "mine", b"stays")
    (out / "usr/link").unlink()
    (out / "usr/link").symlink_to("/etc")
    harness.run(*words, "--appimage-extract")
    seen, expected = facts(out), facts(app.appdir, packed_mode)
    assert seen.pop("mine")[-1] == b"stays"
    assert seen.pop(".")[1] == expected.pop(".")[1]
    assert seen == expected


def test_a_directory_of_the_users_keeps_its_mode_and_time(in_memory: Harness, nobody: int, app: App) -> None:
    """It may be one where the user may write, but whose mode he may not change: /tmp."""
    common = in_memory.base / "common"
    common.mkdir()
    common.chmod(0o1777)
    words: list[str | Path] = [in_memory.door, "@extract", "--into", common, "--", app.bundle]
    in_memory.run(*words, user=nobody, group=nobody, extra_groups=[], cwd=common)
    assert oct(common.stat().st_mode) == oct(0o41777) and (common / "AppRun").is_file()


def test_again_over_read_only_directories(in_memory: Harness, nobody: int) -> None:
    """Packagers whose tools make directories 0555 exist (Nix, Go); root may write into them anyhow, others may not."""
    tree: craft.Tree = {"AppRun": craft.SCRIPT, "usr": craft.Folder({"file": craft.File(b"x", 0o444)}, mode=0o555)}
    bundle = write(in_memory.base / "read-only", craft.bundle(*craft.index_of(tree)))
    os.chown(in_memory.work, nobody, nobody)
    for _ in range(2):
        in_memory.run(in_memory.door, bundle, "--appimage-extract", user=nobody, group=nobody, extra_groups=[])
    out = in_memory.work / "squashfs-root"
    assert oct((out / "usr").stat().st_mode) == oct(0o40555) and (out / "usr" / "file").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("patterns", "files"),
    [
        (["usr/share/text"], {"usr/share/text"}),
        (["usr/share/*"], {"usr/share/text", "usr/share/noise", "usr/share/empty", "usr/share/secret", "usr/hard"}),
        (["usr/bin"], {"usr/bin/setuid"}),
        (["/usr/bin"], {"usr/bin/setuid"}),
        (["*/bin", "AppRun"], {"usr/bin/setuid", "AppRun"}),
        (["usr/bin/"], {"usr/bin/setuid"}),
        (["./AppRun"], {"AppRun"}),
        ([".//usr/bin//"], {"usr/bin/setuid"}),
        (["usr/li?k"], {"usr/link", "usr/share/text"}),  # nor does a symlink come alone
        (["usr/dangling"], {"usr/dangling"}),
        (["usr/share/noise"], {"usr/hard", "usr/share/noise"}),  # a hard link brings what it links to
        (["usr/empty directory"], set()),
    ],
)
def test_a_pattern(harness: Harness, words: list[Path], patterns: list[str], files: set[str]) -> None:
    harness.run(*words, "--appimage-extract", *patterns)
    out = harness.work / "squashfs-root"
    found = {str(path.relative_to(out)) for path in below(out) if path.is_symlink() or not path.is_dir()}
    assert found == files


@pytest.mark.parametrize("patterns", [["no/such"], ["AppRun", "no/such"], ["./no/such/"]])
def test_a_pattern_that_matches_nothing_is_an_error(harness: Harness, words: list[Path], patterns: list[str]) -> None:
    result = harness.run(*words, "--appimage-extract", *patterns, status=1)
    assert b"nothing in it matches no/such" in result.stderr and result.stdout == b""
    assert os.listdir(harness.work) == []


@pytest.mark.parametrize("pattern", ["/", "./", "."])
def test_all_of_it_by_a_pattern(harness: Harness, app: App, words: list[Path], pattern: str) -> None:
    harness.run(*words, "--appimage-extract", pattern)
    assert facts(harness.work / "squashfs-root") == facts(app.appdir, packed_mode)


def by_links() -> craft.Tree:
    """An icon behind links to links, one a directory; links that lead nowhere, and one that leads everywhere."""
    return {
        "AppRun": craft.SCRIPT,
        ".DirIcon": craft.Link(b"app.png"),
        "app.png": craft.Link(b"icons/./big//app.png"),
        "icons": craft.Link(b"usr/../usr/share/icons"),
        "lib64": craft.Link(b"usr/lib"),
        "loop": craft.Link(b"pool"),
        "pool": craft.Link(b"loop"),
        "out": craft.Link(b"../../etc/passwd"),
        "above": craft.Link(b"../usr/data"),
        "through": craft.Link(b"absolute/data"),
        "absolute": craft.Link(b"/AppRun"),
        "self": craft.Link(b"."),
        "usr": craft.Folder(
            {
                "lib": craft.Folder(
                    {
                        "libx.so": craft.Link(b"libx.so.1"),
                        "libx.so.1": craft.File(b"x"),
                        "other": craft.Link(b"../data"),
                    }
                ),
                "data": craft.File(b"data"),
                "share": craft.Folder({"icons": craft.Folder({"big": craft.Folder({"app.png": craft.File(b"icon")})})}),
            }
        ),
    }


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        (".DirIcon", {".DirIcon", "app.png", "icons", "usr/share/icons/big/app.png"}),
        ("lib64", {"lib64", "usr/lib/libx.so", "usr/lib/libx.so.1", "usr/lib/other", "usr/data"}),
        ("loop", {"loop", "pool"}),
        ("out", {"out"}),
        ("above", {"above"}),
        ("through", {"through", "absolute"}),
        ("absolute", {"absolute"}),
        ("self", {"self"}),
    ],
)
def test_a_link_brings_what_it_leads_to(harness: Harness, pattern: str, files: set[str]) -> None:
    bundle = write(harness.base / "linked", craft.bundle(*craft.index_of(by_links())))
    harness.run(harness.door, bundle, "--appimage-extract", pattern)
    out = harness.work / "squashfs-root"
    assert {str(path.relative_to(out)) for path in below(out) if path.is_symlink() or not path.is_dir()} == files


@pytest.fixture
def elsewhere(harness: Harness) -> Path:
    """A tree outside that nobody may touch."""
    base = harness.base / "elsewhere"
    write(base / "AppRun", b"sentinel")
    write(base / "share/text", b"sentinel")
    write(base / "text", b"sentinel")
    return base


@pytest.mark.parametrize(
    "planted",
    [".", "usr", "usr/share", "usr/empty directory", "usr/share/text", "AppRun", "usr/hard", "usr/share/empty"],
)
def test_a_planted_symlink_is_not_followed(harness: Harness, words: list[Path], elsewhere: Path, planted: str) -> None:
    before = facts(elsewhere)
    where = harness.work / "squashfs-root" / planted
    where.parent.mkdir(parents=True, exist_ok=True)
    where.symlink_to(elsewhere / "text" if planted[-4:] in ("text", "pRun", "hard", "mpty") else elsewhere)
    result = harness.run(*words, "--appimage-extract", status=None)
    assert facts(elsewhere) == before
    if where.is_symlink():  # a directory that we must not walk through: then it was refused
        assert result.status == 1 and result.stderr.count(b"\n") == 1, str(result)
    else:
        assert result.status == 0 and where.is_file()


@pytest.mark.parametrize("planted", ["fifo", "directory", "hard link"])
def test_other_things_in_the_way(harness: Harness, words: list[Path], elsewhere: Path, planted: str) -> None:
    where = harness.work / "squashfs-root" / "usr" / "share" / "text"
    where.parent.mkdir(parents=True)
    if planted == "fifo":
        os.mkfifo(where)
    elif planted == "directory":
        write(where / "mine", b"precious")
    else:
        os.link(elsewhere / "text", where)
    result = harness.run(*words, "--appimage-extract", status=None, timeout=10)
    assert (elsewhere / "text").read_bytes() == b"sentinel"
    if planted == "directory":
        assert result.status == 1 and (where / "mine").read_bytes() == b"precious"
    else:
        assert result.status == 0 and where.read_bytes().startswith(b"a text")


def test_a_directory_that_cannot_be_written(harness: Harness, app: App, words: list[Path]) -> None:
    write(harness.work / "squashfs-root", b"a file in the way")
    result = harness.run(*words, "--appimage-extract", status=1)
    assert b"squashfs-root" in result.stderr and result.stderr.count(b"\n") == 1


def test_no_space_left_is_an_error(harness: Harness, app: App, words: list[Path]) -> None:
    """A peer gives exit 0 and empty files."""
    script = 'mount -t tmpfs -o size=64k none "$PWD" && cd "$PWD" && exec "$@"'
    result = harness.run(*unshare("-m"), "sh", "-c", script, "sh", *words, "--appimage-extract", status=1)
    assert b"no space left" in result.stderr and result.stderr.count(b"\n") == 1 and result.stdout == b""


def test_a_damaged_frame_is_refused(harness: Harness, app: App, words: list[Path]) -> None:
    data = bytearray(app.bundle.read_bytes())
    at = int(harness.run(*words, "--appimage-offset").stdout)
    data[at + 30_000] ^= 0x10
    bundle = write(harness.base / "damaged", bytes(data), 0o755)
    result = harness.run(*words[:-1], bundle, "--appimage-extract", status=1)
    assert b"damaged" in result.stderr and result.stdout == b""
    remove(harness.work / "squashfs-root")
