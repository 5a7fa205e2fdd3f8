"""`tmprun oci`: what others find in the image, and that the app starts in it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.apps import SETTLED, App, noise, packed, script_appdir, write
from kit.harness import Harness
from kit.menu_apps import ENTRY, as_bundle, as_type_2, menu_appdir
from kit.real_images import type_1_image
from kit.slices import make_slice
from kit.surroundings import IS_ROOT, needs_root

from tmprun.elf.machines import machine_of
from tmprun.engine import programs


@pytest.fixture
def oci(harness: Harness, door_with_python: Path) -> Callable[..., Any]:
    harness.door = door_with_python
    return lambda *words, **options: harness.run(harness.door, "oci", *words, **options)


def inspected(place: str, cwd: Path) -> dict[str, Any]:
    command = ["skopeo", "inspect", "--config", place]
    found: dict[str, Any] = json.loads(subprocess.run(command, cwd=cwd, capture_output=True, check=True).stdout)
    return found


def unpacked(layout: Path, into: Path) -> Path:
    """The root file system, by umoci."""
    rootless = [] if IS_ROOT else ["--rootless"]
    subprocess.run(["umoci", "unpack", *rootless, "--image", f"{layout}:latest", into], check=True, capture_output=True)
    return into / "rootfs"


def started(harness: Harness, root: Path, config: dict[str, Any], *arguments: str, status: int = 0) -> Any:
    """What the image starts, in its root, as its user, with its variables."""
    settings = dict(word.partition("=")[::2] for word in config["Env"])
    environment = dict.fromkeys(harness.settings) | settings
    command = ["chroot", f"--userspec={config['User']}", root, *config["Entrypoint"], *arguments]
    return harness.run(*command, env=environment, status=status, timeout=60)


@needs_root
@pytest.mark.parametrize("form", ["file", "unpacked"])
def test_an_app_starts_where_there_is_nothing_else(
    harness: Harness, oci: Callable[..., Any], app: App, form: str, tmp_path: Path
) -> None:
    options = ["--unpacked"] if form == "unpacked" else []
    oci(app.bundle, "-o", "layout/", *options)
    config = inspected("oci:layout:latest", harness.work)
    root = unpacked(harness.work / "layout", tmp_path / "bundle")
    (root / "proc").mkdir()
    report = started(harness, root, config["config"], "probe:report").report()
    assert report["argv"][1:] == ["probe:report"]
    if form == "unpacked":
        assert not (root / "usr").exists()
    else:
        assert (root / "usr" / "bin" / "tmprun").read_bytes() == harness.door.read_bytes()


def test_the_same_bytes_each_time(harness: Harness, oci: Callable[..., Any], app: App) -> None:
    said = [oci(app.bundle, "-o", f"{name}.tar").stdout.split(b": ", 1)[1] for name in "ab"]
    assert said[0] == said[1]
    assert (harness.work / "a.tar").read_bytes() == (harness.work / "b.tar").read_bytes()
    for name in "cd":
        oci(app.bundle, "-o", f"{name}.tar", "--unpacked", env={"SOURCE_DATE_EPOCH": "86400"})
    assert (harness.work / "c.tar").read_bytes() == (harness.work / "d.tar").read_bytes()
    with tarfile.open(harness.work / "c.tar") as archive:
        assert {entry.mtime for entry in archive} == {86400}
    assert sorted(path.name for path in harness.work.iterdir()) == ["a.tar", "b.tar", "c.tar", "d.tar"]


def test_others_read_it(harness: Harness, oci: Callable[..., Any], tmp_path: Path) -> None:
    """As a tar, as a directory, and as what an older Docker loads; with what the desktop entry says."""
    image = as_type_2(menu_appdir(tmp_path, ENTRY), tmp_path / "Sample App.AppImage")
    oci(image, "-o", "image.tar", "--tag", "7.3")
    oci(image, "-o", "layout/", "--tag", "7.3")
    for place in ("oci-archive:image.tar:7.3", "oci:layout:7.3"):
        found = inspected(place, harness.work)
        assert (found["os"], found["architecture"]) == ("linux", "amd64")
        assert found["config"]["Entrypoint"] == ["/usr/bin/tmprun", "/app/Sample_App.AppImage"]
        assert found["config"]["User"] == "65532:65532"
        assert found["config"]["Labels"] == {
            "org.opencontainers.image.title": "Sample App",
            "org.opencontainers.image.description": "Shows things",
            "org.opencontainers.image.version": "7.3",
        }
    copy = ["skopeo", "copy", "docker-archive:image.tar", "oci:copy:latest"]
    subprocess.run(copy, cwd=harness.work, check=True, capture_output=True)
    assert inspected("oci:copy:latest", harness.work)["rootfs"] == found["rootfs"]


def test_the_tree_is_the_apps(harness: Harness, oci: Callable[..., Any], app: App, tmp_path: Path) -> None:
    oci(app.bundle, "-o", "layout/", "--unpacked")
    root = unpacked(harness.work / "layout", tmp_path / "bundle")
    subprocess.run(["diff", "-r", "--no-dereference", app.appdir, root / "app"], check=True)
    assert (root / "app/usr/hard").stat().st_ino == (root / "app/usr/share/noise").stat().st_ino
    assert (root / "app/usr/share/text").stat().st_mtime == (app.appdir / "usr/share/text").stat().st_mtime


def test_what_the_app_lacks_is_said(harness: Harness, oci: Callable[..., Any], tmp_path: Path) -> None:
    write(tmp_path / "App" / "AppRun", Path("/bin/ls").read_bytes(), 0o755)
    result = oci(packed(tmp_path / "App", tmp_path / "app").bundle, "-o", "image.tar")
    assert b"warning" in result.stderr
    assert b"which is not in the image" in result.stderr


def test_a_script_needs_its_interpreter(harness: Harness, oci: Callable[..., Any], tmp_path: Path) -> None:
    appdir = script_appdir(tmp_path, "echo x")
    assert b"AppRun needs /bin/sh" in oci(packed(appdir, tmp_path / "app").bundle, "-o", "image.tar").stderr


def test_several_machines(harness: Harness, oci: Callable[..., Any], app: App, tmp_path: Path) -> None:
    """One image, of which each machine takes its own; two apps of one machine cannot be one."""
    refused = oci(app.bundle, app.bundle, "-o", "image.tar", status=127)
    assert b"two apps for" in refused.stderr
    assert not list(harness.work.iterdir())
    other = next(machine for machine in programs.MACHINES if machine != programs.host())
    write(tmp_path / "Other" / "AppRun", Path(programs.door(other)).read_bytes(), 0o755)
    image = packed(tmp_path / "Other", tmp_path / "other").bundle
    # The front door that is installed is this machine's alone; a source tree has both.
    code = f"""
import sys
sys.path.insert(0, {str(Path(programs.PACKAGE).parent)!r})
from tmprun.oci.image import Wish, write_image
write_image(Wish([{str(app.bundle)!r}, {str(image)!r}]), "image.tar")
"""
    harness.run(sys.executable, "-c", code)
    for machine, name in (("x86_64", "amd64"), ("aarch64", "arm64")):
        command = ["skopeo", "--override-arch", name, "inspect", "--config", "oci-archive:image.tar"]
        config = json.loads(harness.run(*command).stdout)
        assert config["architecture"] == name
        subprocess.run(["skopeo", "--override-arch", name, "copy", "-q", "oci-archive:image.tar", f"oci:{name}:latest"],
                       cwd=harness.work, check=True)  # fmt: skip
        root = unpacked(harness.work / name, tmp_path / name)
        assert machine_of((root / "usr/bin/tmprun").read_bytes()[:64]) == machine


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none", "-o", "x.tar"), b"no such file"),
        (("/etc/passwd", "-o", "x.tar"), b"is text, no app"),
        (("APP", "-o", "/none/x.tar"), b"No such file or directory"),
        (("APP", "-o", "full/"), b"is not empty"),
        (("APP",), b"missing option"),
    ],
)
def test_mistakes(harness: Harness, oci: Callable[..., Any], app: App, words: tuple[str, ...], said: bytes) -> None:
    write(harness.work / "full" / "file", "")
    result = oci(*(str(app.bundle) if word == "APP" else word for word in words), status=None)
    assert result.status in (126, 127)
    assert said in result.stderr, str(result)
    assert result.stderr.count(b"\n") == 1
    assert [path.name for path in harness.work.iterdir()] == ["full"]


def test_a_full_disk_leaves_nothing(harness: Harness, oci: Callable[..., Any], tmp_path: Path) -> None:
    appdir = menu_appdir(tmp_path)
    write(appdir / "noise", noise(3_000_000))
    image = as_bundle(appdir, tmp_path / "app")
    script = f"ulimit -f 2000; exec {harness.door} oci {image} -o image.tar"
    result = harness.run("bash", "-c", script, status=None)
    assert result.status not in (0, None)
    assert not list(harness.work.iterdir())


@needs_root
@pytest.mark.parametrize("kind", ["type 1", "archive"])
@pytest.mark.parametrize("options", [[], ["--unpacked"]])
def test_what_is_converted_first(
    harness: Harness, oci: Callable[..., Any], probe: Path, tmp_path: Path, kind: str, options: list[str]
) -> None:
    """In the image is what the front door alone can start."""
    appdir = tmp_path / "App"
    write(appdir / "AppRun", probe.read_bytes(), 0o755)
    if kind == "type 1":
        image = type_1_image(tmp_path / "app", appdir)
    else:
        image = tmp_path / "app.tar.gz"
        with tarfile.open(image, "w:gz") as archive:
            archive.add(appdir, "app")
    time.sleep(SETTLED)
    oci(image, "-o", "layout/", *options)
    root = unpacked(harness.work / "layout", tmp_path / "bundle")
    (root / "proc").mkdir()
    config = inspected("oci:layout:latest", harness.work)["config"]
    assert started(harness, root, config, "probe:report").report()["argv"][1:] == ["probe:report"]


@needs_root
def test_a_glibc_app_brings_its_slice(harness: Harness, oci: Callable[..., Any], tmp_path: Path) -> None:
    """/bin/ls, with the C library of this machine, where there is nothing."""
    appdir = tmp_path / "App"
    write(appdir / "AppRun", Path("/bin/ls").read_bytes(), 0o755)
    image = as_type_2(appdir, tmp_path / "ls.AppImage")
    # Which libraries it needs differs from one release to the next.
    libraries = re.findall(r"(\S+) => /", subprocess.run(["ldd", "/bin/ls"], capture_output=True, text=True).stdout)
    make_slice(tmp_path / "glibc.slice", *(name for name in libraries if name != "libc.so.6"))
    assert oci(image, "-o", "layout/", "--libc", tmp_path / "glibc.slice").stderr == b""
    config = inspected("oci:layout:latest", harness.work)["config"]
    root = unpacked(harness.work / "layout", tmp_path / "bundle")
    (root / "proc").mkdir()
    assert started(harness, root, config, "/").stdout.split() == [b"app", b"etc", b"proc", b"tmp", b"usr"]
    refused = oci(image, "-o", "x.tar", "--unpacked", "--libc", tmp_path / "glibc.slice", status=127)
    assert b"leave one out" in refused.stderr
    assert b"no slice" in oci(image, "-o", "x.tar", "--libc", image, status=127).stderr
