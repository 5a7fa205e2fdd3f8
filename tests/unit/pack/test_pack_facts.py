"""What pack finds out about an AppDir: its machine, its name, what starts first, what will not work elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from kit.bundle_reader import Bundle
from kit.packing import quickly, refused, script


def elf(path: Path, machine: int, *, order: int = 1, size: int = 2) -> Path:
    """A file with the first bytes of an ELF program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number = struct.pack("<H" if order == 1 else ">H", machine)
    path.write_bytes(b"\x7fELF" + bytes([size, order, 1]) + bytes(11) + number + bytes(100))
    path.chmod(0o755)
    return path


X86_64, AARCH64, I386, S390 = 62, 183, 3, 22


def test_the_machine_is_that_of_apprun(appdir: Path, out: Path) -> None:
    for machine, name in ((X86_64, "x86_64"), (AARCH64, "aarch64")):
        elf(appdir / "AppRun", machine)
        report = quickly(appdir, out)
        assert report.arch == name
        assert json.loads(Bundle(out).index.metadata)["arch"] == name


def test_the_machine_is_that_of_the_program_behind_the_symlink(appdir: Path, out: Path) -> None:
    (appdir / "AppRun").unlink()
    elf(appdir / "usr/bin/app", AARCH64)
    elf(appdir / "a/first", X86_64)
    (appdir / "AppRun").symlink_to("usr/bin/app")
    assert quickly(appdir, out).arch == "aarch64"


def test_behind_a_script_the_machine_is_that_of_most_programs(appdir: Path, out: Path) -> None:
    elf(appdir / "usr/bin/one", X86_64)
    elf(appdir / "usr/bin/two", AARCH64)
    elf(appdir / "usr/lib/three.so", X86_64)
    elf(appdir / "usr/lib/four.so.4", X86_64)
    assert quickly(appdir, out).arch == "aarch64"  # as many programs: the first name; libraries do not count
    elf(appdir / "usr/bin/five", X86_64)
    assert quickly(appdir, out).arch == "x86_64"


def test_scripts_alone_are_for_this_machine(appdir: Path, out: Path) -> None:
    assert quickly(appdir, out).arch == os.uname().machine


def test_the_machine_can_be_given(appdir: Path, out: Path, engine: Path) -> None:
    (engine / "aarch64" / "stub").write_bytes(b"another stub")
    assert quickly(appdir, out, arch="aarch64").arch == "aarch64"
    assert out.read_bytes().startswith(b"another stub")


def test_a_machine_without_a_stub_is_refused(appdir: Path, out: Path, engine: Path) -> None:
    elf(appdir / "AppRun", I386, size=1)
    assert "i386" in refused(appdir, out)[0]
    elf(appdir / "AppRun", S390, order=2)
    assert "s390x" in refused(appdir, out)[0]
    assert "../../etc" in refused(appdir, out, arch="../../etc")[0]
    (engine / "x86_64" / "stub").unlink()
    assert "no stub for x86_64" in refused(appdir, out, arch="x86_64")[0]


def update_section(path: Path, folder: Path) -> bytes:
    section = folder / "section"
    subprocess.run(["objcopy", "-O", "binary", "--only-section=.upd_info", path, section], check=True)
    return section.read_bytes()


def test_update_information_goes_into_its_section(appdir: Path, out: Path, tmp_path: Path) -> None:
    text = "gh-releases-zsync|user|repo|latest|App-*.AppImage.zsync"
    plain = quickly(appdir, out)
    assert update_section(out, tmp_path) == bytes(1024)
    before = out.read_bytes()
    report = quickly(appdir, out, update_information=text)
    assert update_section(out, tmp_path) == text.encode().ljust(1024, b"\0")
    assert json.loads(Bundle(out).index.metadata)["update_information"] == text
    assert report.key != plain.key and len(before) // 4096 == len(out.read_bytes()) // 4096
    assert out.read_bytes()[:4096].count(b"\x7fELF") == 1


@pytest.mark.parametrize("text", ["x" * 1024, "ä" * 512, "two\nlines", "nul\0"])
def test_update_information_that_does_not_fit_is_refused(text: str, appdir: Path, out: Path) -> None:
    assert "update information" in refused(appdir, out, update_information=text)[0]


def test_the_longest_update_information(appdir: Path, out: Path, tmp_path: Path) -> None:
    quickly(appdir, out, update_information="x" * 1023)
    assert update_section(out, tmp_path) == b"x" * 1023 + b"\0"


def metadata(path: Path) -> dict[str, Any]:
    said = json.loads(Bundle(path).index.metadata)
    assert isinstance(said, dict)
    return said


def test_the_desktop_entry_is_in_the_metadata(appdir: Path, out: Path) -> None:
    (appdir / "usr").mkdir()
    lines = ["# comment", "[Desktop Entry]", "Name[de]=Anders", "Name = A/b \x1b[31m\\n ä", "Icon=../../icon", "=", "x"]
    (appdir / "usr/real").write_text("\n".join([*lines, "[Desktop Action x]", "Name=no", ""]))
    (appdir / "org.example.App.desktop").symlink_to("usr/real")
    quickly(appdir, out)
    assert metadata(out) == {
        "arch": os.uname().machine,
        "level": 1,
        "desktop": "org.example.App.desktop",
        "name": "A/b \x1b[31m\\n ä",
        "icon": "../../icon",
    }


def test_an_app_without_a_desktop_entry(appdir: Path, out: Path) -> None:
    (appdir / "dangling.desktop").symlink_to("nowhere")
    (appdir / "directory.desktop").mkdir()
    quickly(appdir, out)
    assert metadata(out) == {"arch": os.uname().machine, "level": 1}


def test_files_that_a_start_waits_for(appdir: Path, out: Path) -> None:
    script(appdir / "usr/bin/program")
    (appdir / "usr/bin/text").write_text("")
    script(appdir / "usr/lib/liba.so.1")
    script(appdir / "usr/lib/ld-linux-x86-64.so.2")
    shutil.copy("/bin/true", appdir / "usr/lib/libprogram.so.6")
    os.link(appdir / "usr/lib/liba.so.1", appdir / "usr/lib/with-two-names")
    quickly(appdir, out)
    first = {path for path, node in Bundle(out).by_path.items() if node.first}
    assert first == {
        b"AppRun", b"usr/bin/program", b"usr/lib/ld-linux-x86-64.so.2", b"usr/lib/libprogram.so.6", b"usr/lib/liba.so.1"
    }  # fmt: skip


def test_symlinks_that_lead_elsewhere_are_named(appdir: Path, out: Path) -> None:
    (appdir / "usr/lib").mkdir(parents=True)
    (appdir / "usr/lib/inside").symlink_to(appdir / "usr" / "share" / "x")
    (appdir / "usr/lib/self").symlink_to(appdir)
    (appdir / "usr/lib/host").symlink_to("/usr/lib/libGL.so.1")
    (appdir / "usr/lib/up").symlink_to("../../../x")
    (appdir / "usr/lib/fine").symlink_to("../../usr/./lib/../share")
    report = quickly(appdir, out)
    assert [line.rpartition(" ")[2] for line in report.warnings] == ["../share/x", "../.."]
    assert [line.partition(":")[0] for line in report.notes] == ["usr/lib/host", "usr/lib/up"]
    assert Bundle(out).by_path[b"usr/lib/inside"].target == os.fsencode(appdir / "usr/share/x")


def test_an_appdir_reached_through_a_symlink(appdir: Path, out: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(appdir)
    (appdir / "x").symlink_to(link / "AppRun")
    report = quickly(link, out)
    assert report.key == quickly(appdir, out).key
    assert report.warnings[0].endswith(" AppRun")
