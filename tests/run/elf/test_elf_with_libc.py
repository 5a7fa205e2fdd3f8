"""What --with-libc brings, and that the host's C library and the bundle's are never mixed."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from kit.apps import SETTLED, write
from kit.bundle_reader import index_of
from kit.elf_apps import NAME
from kit.harness import Harness
from kit.places import PUBLISHED
from kit.trees import below

from tmprun.bundle.write import write_bundle
from tmprun.elf.facts import facts_of
from tmprun.engine.programs import stub_for
from tmprun.index.nodes import Index
from tmprun.index.rules import FILE
from tmprun.pack.appdir import PackError
from tmprun.pack.pack import PackReport, pack

# Says which files are mapped: the loader's own name for itself is the one that it was built to have.
PROGRAM = r"""
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
int answer(void);
int main(void)
{
	char line[4096];
	void *plugin = dlopen("libplugin.so", RTLD_NOW);
	FILE *maps = fopen("/proc/self/maps", "r");
	while (maps && fgets(line, sizeof line, maps))
		if (strchr(line, '/') && strstr(line, ".so"))
			fputs(strchr(line, '/'), stdout);
	return answer() == 42 && plugin ? 0 : 1;
}
"""


@pytest.fixture
def appdir(tmp_path: Path) -> Path:
    """A program, a library with a RUNPATH of its own that needs another one, and a plugin that needs libz."""
    folder = tmp_path / "App.AppDir"
    for name in ("usr/bin", "usr/lib", "usr/lib/deep", "usr/lib/plugins"):
        (folder / name).mkdir(parents=True)
    parts = {
        "deep/libdeep.so.1": ("int deep(void) { return 42; }", []),
        "libanswer.so.1": ("int deep(void); int answer(void) { return deep(); }",
                           ["-l:libdeep.so.1", "-Wl,--enable-new-dtags,-rpath,$ORIGIN/deep"]),
        "plugins/libplugin.so": ("const char *zlibVersion(void); const char *plugin(void) { return zlibVersion(); }",
                                 ["-l:libz.so.1"]),
    }  # fmt: skip
    lib = folder / "usr" / "lib"
    for name, (source, flags) in parts.items():
        path = write(tmp_path / "part.c", source)
        soname = f"-Wl,-soname,{name.rpartition('/')[2]}"
        search = [f"-L{lib}", f"-L{lib}/deep", f"-Wl,-rpath-link,{lib}/deep"]
        subprocess.run(["cc", "-shared", "-fPIC", "-o", lib / name, path, soname, *search, *flags], check=True)
    source = write(tmp_path / "program.c", PROGRAM)
    command = ["cc", "-o", folder / "usr" / "bin" / "program", source, f"-L{lib}", "-l:libanswer.so.1"]
    paths = [
        f"-Wl,-rpath-link,{lib}/deep",
        "-Wl,--enable-new-dtags,-rpath,$ORIGIN/../lib:$ORIGIN/../lib/plugins:/no/such",
    ]
    subprocess.run([*command, *paths], check=True)
    write(folder / "AppRun", '#!/bin/sh\nexec "$APPDIR/usr/bin/program"\n', 0o755)
    return folder


def brought(appdir: Path, bundle: Path) -> tuple[PackReport, Index]:
    report = pack(appdir, bundle, level=1, with_libc=True)
    time.sleep(SETTLED)
    return report, index_of(bundle)


def test_the_hosts_library_is_used_alone(harness: Harness, appdir: Path, tmp_path: Path) -> None:
    brought(appdir, tmp_path / "app")
    loaded = harness.run(tmp_path / "app", env={"LD_LIBRARY_PATH": "/no/such"}).stdout.decode().split()
    own = [path for path in loaded if "/.tmprun/libc/" in path or "/.tmprun/own/" in path]
    assert not own and any(path.endswith("/libc.so.6") for path in loaded)
    for name in ("libanswer.so.1", "deep/libdeep.so.1", "plugins/libplugin.so"):
        assert any(path.endswith(f"usr/lib/{name}") or f"/lib/{name}" in path for path in loaded), loaded
    assert any("/.tmprun/lib/libz.so.1" in path for path in loaded)


def test_the_bundles_library_is_used_alone(harness: Harness, appdir: Path, tmp_path: Path) -> None:
    """As on an older machine: the bundle asks for more than there is, and gets all of its own, loader included."""
    brought(appdir, tmp_path / "app")
    harness.run(harness.door, "@extract", "--into", tmp_path / "plain", "--", tmp_path / "app")
    index = index_of(tmp_path / "app")
    names = {node: path for path, node in zip(index.paths(), index.nodes, strict=True)}
    for fixup in index.fixups:
        fixup.interpreter.need = 99 << 16
    with open(tmp_path / "app", "wb") as file:
        stub = stub_for(os.uname().machine)
        write_bundle(
            file, stub, index.nodes[0], lambda node: [(tmp_path / "plain" / os.fsdecode(names[node])).read_bytes()],
            level=1, fixups=index.fixups,
        )  # fmt: skip
    loaded = harness.run(tmp_path / "app", env={"LD_LIBRARY_PATH": "/usr/lib/x86_64-linux-gnu"}).stdout.decode().split()
    assert all(PUBLISHED in path for path in loaded), loaded
    assert {path.rpartition("/.tmprun/libc/")[2] for path in loaded} >= {"libc.so.6", NAME}


def test_metadata_names_packages_and_licences(appdir: Path, tmp_path: Path) -> None:
    _, index = brought(appdir, tmp_path / "app")
    about = json.loads(index.metadata)["libc"]
    packages = {each["name"]: each for each in about["packages"]}
    assert {"libc6", "zlib1g"} <= set(packages)
    assert any("LGPL" in name for name in packages["libc6"]["licences"])
    assert packages["zlib1g"]["version"] and packages["zlib1g"]["licences"]
    assert about["glibc"].startswith("2.")
    paths = {os.fsdecode(path) for path in index.paths()}
    assert {".tmprun/licences/libc6", ".tmprun/libc/libc.so.6", ".tmprun/libc/libnss_compat.so.2"} <= paths
    assert {".tmprun/libc/gconv/gconv-modules", ".tmprun/libc/locale/C.utf8/LC_CTYPE"} <= paths


def test_the_same_inputs_give_the_same_bytes(appdir: Path, tmp_path: Path) -> None:
    brought(appdir, tmp_path / "one")
    brought(appdir, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_appdir_itself_stays_as_it_is(appdir: Path, tmp_path: Path) -> None:
    def state() -> list[tuple[str, int, bytes]]:
        files = sorted(below(appdir))
        return [(str(path), path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"") for path in files]

    before = state()
    brought(appdir, tmp_path / "app")
    assert state() == before


def test_run_paths_are_relative_and_complete(harness: Harness, appdir: Path, tmp_path: Path) -> None:
    brought(appdir, tmp_path / "app")
    plain = tmp_path / "plain"
    harness.run(harness.door, "@extract", "--into", plain, "--", tmp_path / "app")
    expected = {
        "usr/bin/program": ("$ORIGIN/../../.tmprun/own", "$ORIGIN/../lib", "$ORIGIN/../lib/plugins"),
        "usr/lib/libanswer.so.1": ("$ORIGIN/../../.tmprun/own", "$ORIGIN/deep"),
    }
    for path, start in expected.items():
        with open(plain / path, "rb") as file:
            found = facts_of(file)
        assert found is not None and found.runpath == () and found.rpath[: len(start)] == start
        assert all(entry.startswith("$ORIGIN") for entry in found.rpath)
    with open(plain / "usr/lib/deep/libdeep.so.1", "rb") as file:
        found = facts_of(file)
    assert found is not None and found.search == ()


def test_what_the_appdir_needs_and_nobody_has_is_said(appdir: Path, tmp_path: Path) -> None:
    (appdir / "usr" / "lib" / "deep" / "libdeep.so.1").unlink()
    report = pack(appdir, tmp_path / "app", level=1, with_libc=True)
    assert any("libdeep.so.1" in note for note in report.notes)


def test_an_appdir_with_a_c_library_is_refused(appdir: Path, tmp_path: Path) -> None:
    write(appdir / "usr" / "lib" / "libc.so.6", Path("/lib/x86_64-linux-gnu/libc.so.6").read_bytes(), 0o755)
    with pytest.raises(PackError, match="C library of its own"):
        pack(appdir, tmp_path / "app", level=1, with_libc=True)
    assert not (tmp_path / "app").exists()


def test_an_appdir_without_dynamic_programs_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "Script.AppDir"
    write(folder / "AppRun", "#!/bin/sh\n", 0o755)
    with pytest.raises(PackError, match="no dynamic program"):
        pack(folder, tmp_path / "app", level=1, with_libc=True)


def test_only_files_that_were_brought_are_new(appdir: Path, tmp_path: Path) -> None:
    _, index = brought(appdir, tmp_path / "app")
    paths = {path for path, node in zip(index.paths(), index.nodes, strict=True) if node.kind == FILE}
    others = {path for path in paths if not path.startswith(b".tmprun/")}
    assert others == {os.fsencode(path.relative_to(appdir)) for path in below(appdir) if path.is_file()}
