"""What cannot be packed, and that nothing is left of the attempt."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kit.packing import MIB, refused, script
from kit.trees import below

from tmprun.pack.appdir import PackError
from tmprun.pack.pack import pack


@pytest.mark.parametrize("what", ["missing", "file"])
def test_what_is_no_directory_is_refused(what: str, tmp_path: Path, out: Path) -> None:
    (tmp_path / "file").write_text("")
    assert str(tmp_path / what) in refused(tmp_path / what, out)[0]


def no_apprun(appdir: Path) -> None:
    (appdir / "AppRun").unlink()


def apprun_not_executable(appdir: Path) -> None:
    (appdir / "AppRun").chmod(0o655)


def apprun_is(target: str) -> Callable[[Path], None]:
    def change(appdir: Path) -> None:
        (appdir / "AppRun").rename(appdir / "real")
        (appdir / "AppRun").symlink_to(target.format(appdir=appdir))

    return change


def apprun_directory(appdir: Path) -> None:
    (appdir / "AppRun").unlink()
    (appdir / "AppRun").mkdir()


APPRUNS: list[tuple[Callable[[Path], None], str]] = [
    (no_apprun, "there is no AppRun"),
    (apprun_not_executable, "is not executable"),
    (apprun_is("nowhere"), "no file of the AppDir"),
    (apprun_is("AppRun"), "no file of the AppDir"),
    (apprun_is("{appdir}/real"), "no file of the AppDir"),
    (apprun_is("/bin/sh"), "no file of the AppDir"),
    (apprun_is("../engine/x86_64/stub"), "no file of the AppDir"),
    (apprun_is("."), "no file of the AppDir"),
    (apprun_directory, "is not a file"),
]


@pytest.mark.parametrize(("change", "reason"), APPRUNS)
def test_an_apprun_that_cannot_start_is_refused(
    change: Callable[[Path], None], reason: str, appdir: Path, out: Path
) -> None:
    change(appdir)
    (line,) = refused(appdir, out)
    assert reason in line and ("AppRun" in line)


def test_all_reasons_are_named_together(appdir: Path, out: Path) -> None:
    apprun_not_executable(appdir)
    os.mkfifo(appdir / "pi\npe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(appdir / "socket"))
        expected = ["is not executable", "pi\\npe: is a fifo", "socket: is a socket"]
        if os.geteuid() == 0:
            os.mknod(appdir / "tty", 0o20600, os.makedev(5, 0))
            expected.append("tty: is a character device")
        lines = refused(appdir, out)
    assert len(lines) == len(expected)
    assert all(reason in line for reason, line in zip(expected, lines, strict=True))


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Without the right to read everything. `folder` and what is in it belong to the user that we are then."""
    if os.geteuid() != 0:
        yield
        return
    for path in [folder, *below(folder)]:
        os.chown(path, 65534, 65534, follow_symlinks=False)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_cannot_be_read_is_refused() -> None:
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        script(top / "App/AppRun")
        (top / "App/secret").write_text("")
        (top / "App/secret").chmod(0)
        (top / "App/closed").mkdir(mode=0)
        with unprivileged(top):
            lines = refused(top / "App", top / "app")
            (top / "App/closed").chmod(0o700)
    assert [line.rpartition("App/")[2].partition(" ")[0] for line in lines] == ["secret:", "closed:"]
    assert all("cannot be read (Permission denied)" in line for line in lines)


def test_trees_that_the_format_cannot_hold_are_refused(appdir: Path, out: Path) -> None:
    deep = appdir.joinpath(*["d"] * 257)
    deep.mkdir(parents=True)
    assert "nested deeper than 256" in refused(appdir, out)[0]


def test_paths_that_the_format_cannot_hold_are_refused(appdir: Path, out: Path) -> None:
    appdir.joinpath(*["d" * 250] * 13).mkdir(parents=True)
    assert "longer than 3072 bytes" in refused(appdir, out)[0]


@pytest.mark.parametrize("level", [0, 23, -5])
def test_levels_that_do_not_exist_are_refused(level: int, appdir: Path, out: Path) -> None:
    assert str(level) in refused(appdir, out, level=level)[0]


def test_an_output_that_is_something_else_is_refused(appdir: Path, out: Path, tmp_path: Path) -> None:
    os.mkfifo(out)
    assert "is not a plain file" in refused(appdir, out)[0]
    assert "is a directory" in refused(appdir, tmp_path)[0]
    assert "No such file or directory" in refused(appdir, tmp_path / "missing" / "app")[0]


def test_an_output_inside_the_appdir_is_refused(appdir: Path, tmp_path: Path) -> None:
    (appdir / "usr").mkdir()
    (tmp_path / "link").symlink_to(appdir / "usr")
    for out in (appdir / "app", appdir / "usr/app", tmp_path / "link/app"):
        assert "inside the AppDir" in refused(appdir, out)[0]


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path: Path) -> None:
    os.truncate(path, 10)


def rewrite(path: Path) -> None:
    """The same size, and the old time set again."""
    facts = path.stat()
    path.write_bytes(bytes(facts.st_size))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def become_symlink(path: Path) -> None:
    path.unlink()
    path.symlink_to("AppRun")


@pytest.mark.parametrize("change", [grow, shrink, rewrite, replace, Path.unlink, become_symlink])
def test_a_file_that_changes_meanwhile_is_named(change: Callable[[Path], None], appdir: Path, out: Path) -> None:
    for number in range(12):
        (appdir / f"{number:02d}").write_bytes(os.urandom(MIB))
    last = appdir / "zz"
    last.write_bytes(os.urandom(2 * MIB))
    pending = [change]

    def progress(done: int, total: int) -> None:
        if pending:
            pending.pop()(last)

    (line,) = refused(appdir, out, threads=1, progress=progress)
    assert line.startswith(f"{last}: ")
    if change in (grow, shrink, rewrite, replace):
        assert "changed while it was packed" in line


def test_errors_have_fields(appdir: Path, out: Path) -> None:
    no_apprun(appdir)
    with pytest.raises(PackError) as caught:
        pack(appdir, out)
    error = caught.value
    assert (error.where, error.what, error.also, error.status) == (str(appdir), "there is no AppRun", (), 127)
    assert error.remedy
