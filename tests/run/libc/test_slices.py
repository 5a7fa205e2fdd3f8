"""AppImages that take glibc for granted, unchanged, where there is none: with a slice."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.apps import SETTLED, write
from kit.elf_apps import git_appdir, locale_appdir, neovim_appdir, node_appdir, python_appdir
from kit.harness import Harness, Result
from kit.musl_root import USERS, Enter, in_musl, made_once, make_root
from kit.places import PUBLISHED
from kit.real_images import DYNAMIC_ELF, REAL, Real, name_of, present
from kit.slices import appimage, compile_program, copy_door, library, make_slice, place_of

from tmprun.pack.pack import pack

BASH_STATIC = Path("/usr/bin/bash-static")


@pytest.fixture(scope="session")
def root(shared: Path) -> Path:
    return make_root(shared / "musl for slices")


@pytest.fixture(scope="session")
def slice_file(shared: Path) -> Path:
    make_slice(shared / "glibc.slice", "libpcre2-8.so.0")
    return shared / "glibc.slice"


@pytest.fixture(scope="session")
def apps(shared: Path, door: Path, slice_file: Path) -> Path:
    """AppImages by name, made when first asked for; the front door; and a slice that is added."""
    folder = shared / "apps that lack glibc"
    folder.mkdir()
    copy_door(door, folder)
    shutil.copy2(slice_file, place_of(folder / "data"))
    return folder


@pytest.fixture
def enter(harness: Harness, root: Path, apps: Path) -> Enter:
    def enter(*command: str, env: dict[str, str] | None = None, **options: object) -> Result:
        return in_musl(harness, root, apps, *command, env={"XDG_DATA_HOME": "/apps/data", **(env or {})}, **options)

    return enter


def image(apps: Path, make: Callable[[Path], Path]) -> str:
    return made_once(apps, f"{make.__name__}.AppImage", make, appimage)


def musl_library(path: Path) -> None:
    """A library that only musl's loader can load, under a name that glibc's programs ask for, too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    source = 'const char *zlibVersion(void) { return "musl\'s"; }'
    command = ["musl-gcc", "-shared", "-fPIC", "-Wl,-soname,libz.so.1", "-x", "c", "-", "-o", path]
    subprocess.run(command, input=source.encode(), check=True)


@USERS
def test_locale_names_and_character_sets(apps: Path, enter: Enter, user: int) -> None:
    said = enter("/apps/tmprun", image(apps, locale_appdir), user=user).stdout.decode().split()
    assert said[:4] == ["user" if user else "root", "€", "C.UTF-8", "UTF-8"]
    assert said[5].endswith("/tree/usr/bin/locale")


# What the programs see.

PLUGIN = r"""
#include <vector>
#include <stdexcept>
#include <string>
extern "C" const char *zlibVersion(void);
extern "C" const char *speak(void)
{
    static std::string text;
    try {
        std::vector<int>().at(3);
    } catch (const std::out_of_range &) {
        text = std::string("caught, zlib ") + zlibVersion();
    }
    return text.c_str();
}
"""
HOST = r"""
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
    char exe[4096] = "", line[8192];
    void *plugin = dlopen(argc > 1 ? argv[1] : "libplugin.so", RTLD_NOW);
    if (!plugin)
        return puts(dlerror()), 1;
    if (readlink("/proc/self/exe", exe, sizeof exe - 1) < 0)
        strcpy(exe, "?");
    printf("%s\n%s\n%s\n", argv[0], exe, ((const char *(*)(void))dlsym(plugin, "speak"))());
    for (char **each = environ; *each; each++)
        if (strncmp(*each, "LD_", 3) == 0)
            puts(*each);
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps))
        if (strchr(line, '/') && strstr(line, " r-xp "))
            printf("maps %s", strchr(line, '/'));
    fflush(stdout);
    return system("echo child; machines-own; readlink /proc/$$/exe; env | grep ^LD_");
}
"""
TOLD = r"""
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    printf("%s\n%s\n", getenv("GCONV_PATH"), getenv("LOCPATH"));
    fflush(stdout);
    return argc > 1 ? system(argv[1]) : 0;
}
"""


def plugin_appdir(into: Path) -> Path:
    """A program in C without run paths; a plugin in C++ with a RUNPATH, which needs what nobody else here needs."""
    appdir = into / "Plugin.AppDir"
    program = compile_program(HOST, appdir / "usr" / "bin" / "host", "-ldl")
    lib = appdir / "usr" / "lib"
    flags = ("-shared", "-fPIC", "-Wl,--enable-new-dtags,-rpath,$ORIGIN/private", str(library("libz.so.1")))
    compile_program(PLUGIN, lib / "libplugin.so", *flags, compiler="c++")
    write(
        appdir / "AppRun", f'#!/bin/sh\nexec "$APPDIR/usr/bin/{program.name}" "$APPDIR/usr/lib/libplugin.so"\n', 0o755
    )
    return appdir


@USERS
def test_a_plugin_with_a_run_path_finds_the_slices_libraries(apps: Path, enter: Enter, root: Path, user: int) -> None:
    """The machine has a libz.so.1 of musl's kind in its library directories: it is not for glibc's programs; but the
    machine's own program, which the app starts, finds that one."""
    musl_library(root / "lib" / "libz.so.1")
    musl_library(root / "usr" / "lib" / "libz.so.1")
    own = "int puts(const char *); const char *zlibVersion(void); int main(void) { return puts(zlibVersion()) < 0; }"
    compile_program(own, root / "bin" / "machines-own", str(root / "lib" / "libz.so.1"), compiler="musl-gcc")
    done = enter("/apps/tmprun", image(apps, plugin_appdir), user=user)
    said = done.stdout.decode().splitlines()
    assert said[0].endswith("/tree/usr/bin/host") and said[0] == said[1] and said[2].startswith("caught, zlib 1.")
    maps = {line.partition(" ")[2] for line in said if line.startswith("maps ")}
    assert {Path(path).name for path in maps} > {"libz.so.1", "libstdc++.so.6", "libc.so.6", "ld-linux-x86-64.so.2"}
    assert all(PUBLISHED in path for path in maps)
    assert said[said.index("child") :] == ["child", "musl's", "/bin/busybox"], str(done)


@USERS
def test_git(apps: Path, enter: Enter, user: int) -> None:
    git = f"/apps/tmprun {image(apps, git_appdir)}"
    script = (
        f"cd /tmp && {git} init -q repo && cd repo && echo text > file && {git} add file"
        f" && {git} -c user.name=n -c user.email=e commit -q -m first && {git} log --format=%s"
        f" && {git} clone -q --no-local file:///tmp/repo ../copy && cat ../copy/file"
        f" && {git} -c alias.x='!git --exec-path' x && {git} stash list"
    )
    said = enter("sh", "-c", script, user=user).stdout.decode().splitlines()
    assert said[:2] == ["first", "text"] and said[2].endswith("/tree/usr/lib/git-core")


def neovim_image(into: Path) -> Path:
    return with_library_path(neovim_appdir(into))


def python_image(into: Path) -> Path:
    return with_library_path(python_appdir(into))


def node_image(into: Path) -> Path:
    return with_library_path(node_appdir(into))


def with_library_path(appdir: Path) -> Path:
    """As most AppImages do it: their own libraries by LD_LIBRARY_PATH."""
    folders = sorted({path.parent.relative_to(appdir) for path in appdir.rglob("*.so.*")})
    apprun = (appdir / "AppRun").read_text() if not (appdir / "AppRun").is_symlink() else ""
    target = (appdir / "AppRun").readlink() if not apprun else None
    lines = [line for line in apprun.splitlines() if not line.startswith("#!")] or [f'exec "$APPDIR/{target}" "$@"']
    path = ":".join(f"$APPDIR/{folder}" for folder in folders)
    (appdir / "AppRun").unlink()
    write(appdir / "AppRun", "\n".join(["#!/bin/sh", f'export LD_LIBRARY_PATH="{path}"', *lines, ""]), 0o755)
    return appdir


@USERS
def test_neovim(apps: Path, enter: Enter, user: int) -> None:
    commands = [
        "lua io.write(vim.v.progpath .. '\\n' .. vim.fn.system('echo from system'))",
        "silent !ls / > /tmp/listing",
        "lua io.write(vim.fn.join(vim.fn.readfile('/tmp/listing'), ' '))",
        "qa!",
    ]
    words = [word for command in commands for word in ("-c", command)]
    done = enter("/apps/tmprun", image(apps, neovim_image), "--headless", *words, user=user)
    said = done.stdout.decode().splitlines()
    assert said[0].endswith("/tree/usr/bin/nvim") and said[1] == "from system" and "etc" in said[2].split()


def certificate(path: Path) -> None:
    """A key, and localhost's certificate for it, signed by itself."""
    if not path.exists():
        new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "36500"]
        subprocess.run([*new, "-keyout", path, "-out", f"{path}.cert"], check=True, capture_output=True)
        path.write_bytes(path.read_bytes() + Path(f"{path}.cert").read_bytes())
        path.chmod(0o644)


@USERS
def test_node(apps: Path, enter: Enter, user: int) -> None:
    program = (
        "console.log(process.execPath);"
        "const c = require('child_process');"
        "process.stdout.write(c.execFileSync(process.execPath, ['-p', '6 * 7']));"
        "process.stdout.write(c.execSync('ls /apps >/dev/null && echo from sh'));"
        "console.log(require('os').userInfo().username);"
        "const own = require('fs').readFileSync('/apps/server.pem');"
        "const s = require('https').createServer({key: own, cert: own}, (q, r) => r.end('answer'));"
        "s.listen(0, '127.0.0.1', () =>"
        " require('https').get({host: '127.0.0.1', port: s.address().port, servername: 'localhost', ca: own},"
        " r => r.on('data', d => { console.log(String(d), r.socket.authorized); s.close(); })));"
    )
    certificate(apps / "server.pem")
    script = f'ip link set lo up 2>/dev/null; exec /apps/tmprun {image(apps, node_image)} -e "$0"'
    said = enter("sh", "-c", script, program, user=user).stdout.decode().splitlines()
    assert said[0].endswith("/tree/bin/node")
    assert said[1:] == ["42", "from sh", "user" if user else "root", "answer true"]


@USERS
def test_python(apps: Path, enter: Enter, user: int) -> None:
    program = (
        "import sys, subprocess, ssl, sqlite3, ctypes, pwd, os, multiprocessing\n"
        "print(sys.executable)\n"
        "print(subprocess.run([sys.executable, '-c', 'print(6 * 7)'], capture_output=True, text=True).stdout.strip())\n"
        "print(subprocess.run(['echo', 'from busybox'], capture_output=True, text=True).stdout.strip())\n"
        "print(ssl.OPENSSL_VERSION.split()[0], pwd.getpwuid(os.getuid()).pw_name, '€'.encode('iso-8859-15'))\n"
        "print(ctypes.CDLL('libm.so.6').abs(-3), multiprocessing.get_context('spawn').Pool(1).map(abs, [-4]))\n"
    )
    script = f'printf "%s" "$0" > /tmp/p.py && exec /apps/tmprun {image(apps, python_image)} /tmp/p.py'
    guarded = "".join(f"    {line}\n" for line in program.splitlines())
    said = enter("sh", "-c", script, f"if __name__ == '__main__':\n{guarded}", user=user).stdout.decode().splitlines()
    assert "/tree/usr/bin/python3" in said[0]
    name = "user" if user else "root"
    assert said[1:] == ["42", "from busybox", f"OpenSSL {name} b'\\xa4'", "3 [4]"]


# AppImages of others, and what is missing.


def plain(said: bytes) -> bytes:
    """Without the path of the app's tree."""
    return re.sub(rb"\S*" + PUBLISHED.encode() + rb"[0-9a-f]{64}", b"TREE", said)


SAID = {"linuxdeploy": "--help", "Echo": "word"}  # what each is asked for; the others -h


@USERS
@pytest.mark.parametrize(
    ("real", "proc"),
    # A program that asks /proc where it lies, as those AppRuns do that are one, and glibc's loader for a run path with
    # $ORIGIN, finds nothing without it.
    [(real, proc) for real in REAL for proc in (True, False) if proc or real.apprun != DYNAMIC_ELF],
    ids=lambda value: name_of(value) if isinstance(value, Real) else "proc" if value else "no proc",
)
def test_appimages_of_others(
    apps: Path, harness: Harness, root_with_bash: Path, door: Path, real: Real, user: int, proc: bool
) -> None:
    """They say what they say on this machine, by way of their own loader or the slice's."""
    path = present(real.path)
    if not (apps / path.name).exists():
        shutil.copy2(path, apps / path.name)
        time.sleep(SETTLED)
    word = SAID.get(real.name, "-h")
    plain_path = harness.base / "apps"  # one of the scripts cannot stand a blank in the path that it was started by
    plain_path.symlink_to(apps)
    here = harness.run(door, plain_path / path.name, word, status=None)
    there = in_musl(
        harness, root_with_bash, apps, "/apps/tmprun", f"/apps/{path.name}", word,
        env={"XDG_DATA_HOME": "/apps/data"}, user=user, status=here.status, proc=proc,
    )  # fmt: skip
    assert b"No such file" not in there.stderr and b"not found" not in there.stderr
    assert plain(there.stdout).replace(b"/apps/", f"{plain_path}/".encode()) == plain(here.stdout)
    assert here.stdout or here.stderr or real.name == "Echo"


@pytest.fixture(scope="session")
def root_with_bash(shared: Path) -> Path:
    """Some of them are scripts of bash, which is a package there; here it is Debian's, which needs no C library."""
    root = make_root(shared / "musl with bash")
    shutil.copy(BASH_STATIC, root / "bin" / "bash")
    return root


@USERS
def test_without_proc(apps: Path, enter: Enter, user: int) -> None:
    """Twice: cold and warm."""
    command = f"/apps/tmprun {image(apps, plugin_appdir)} | grep zlib"
    done = enter("sh", "-c", f"{command}; {command}; ls /proc", user=user, proc=False)
    first, second = done.stdout.decode().splitlines()
    assert first == second and first.startswith("caught, zlib 1."), str(done)


def test_every_codec_and_a_bundle(apps: Path, enter: Enter) -> None:
    name = image(apps, locale_appdir)
    work = apps / f"{Path(name).name}.work" / "Locale.AppDir"
    for codec in ("gzip", "xz"):
        appimage(work, apps / f"locale.{codec}", codec)
    pack(work, apps / "locale.bundle", level=1)
    time.sleep(SETTLED)
    for each in ("locale.gzip", "locale.xz", "locale.bundle"):
        assert enter("/apps/tmprun", f"/apps/{each}").stdout.decode().split()[1:3] == ["€", "C.UTF-8"]


def test_without_a_slice_it_is_said_what_to_type(apps: Path, enter: Enter) -> None:
    name = image(apps, plugin_appdir)
    nowhere = {"XDG_DATA_HOME": "/apps/nowhere"}
    done = enter("/apps/tmprun", name, env=nowhere, status=127)
    lines = done.stderr.decode().splitlines()
    assert (
        lines[0].startswith(f"tmprun: {name}: usr/bin/host needs glibc 2.") and "which this machine lacks" in lines[0]
    )
    assert "tmprun libc make -o glibc.slice" in lines[0] and "tmprun libc add glibc.slice" in lines[0]
    work = apps / "direct.work"
    if not work.exists():
        compile_program(HOST, work / "AppRun", "-ldl")
        appimage(work, apps / "direct.AppImage")
    done = enter("/apps/tmprun", "/apps/direct.AppImage", env=nowhere, status=127)
    assert done.stdout == b"" and len(done.stderr.splitlines()) == 1
    assert b"AppRun needs glibc 2." in done.stderr and b"tmprun libc add" in done.stderr


@pytest.mark.parametrize("system", ["", "mkdir -p /usr/lib/tmprun/libc", "mkdir -p /apps/nowhere/tmprun/libc"])
def test_a_warm_start_that_looks_elsewhere_for_slices(apps: Path, enter: Enter, system: str) -> None:
    """It is told what a cold start is, whether or not there are places without slices: otherwise nobody would keep the
    slice's tree while the app runs."""
    command = f"/apps/tmprun {image(apps, locale_appdir)}"
    script = f"{system}\n{command} && XDG_DATA_HOME=/apps/nowhere {command}; rm -rf /usr/lib/tmprun; {command}"
    done = enter("sh", "-c", script)
    assert len(done.stdout.split()) == 2 * 6 and done.stderr.count(b"which this machine lacks") == 1, str(done)
    shutil.rmtree(apps / "nowhere", ignore_errors=True)


@pytest.mark.parametrize(
    ("make", "why"),
    [("mkdir -p $P && chmod 600 $P", b"permission denied"), ("ln -s libc $P", b"too many symbolic links")],
    ids=["not to be entered", "a symlink to itself"],
)
def test_a_place_that_cannot_be_opened_is_named(apps: Path, enter: Enter, make: str, why: bytes) -> None:
    command = f"XDG_DATA_HOME=/tmp/data /apps/tmprun {image(apps, locale_appdir)}"
    script = f"P=/tmp/data/tmprun/libc; mkdir -p ${{P%/*}}; {make}; {command}"
    assert b"/tmp/data/tmprun/libc: " + why in enter("sh", "-c", script, user=1000, status=None).stderr


def test_an_app_that_another_app_starts_is_told_of_its_own_slice(apps: Path, enter: Enter) -> None:
    """Here of the one in another store. What the user says of character sets stays."""
    work = apps / "told.work"
    compile_program(TOLD, work / "AppRun")
    appimage(work, apps / "told.AppImage")
    again = "TMPRUN_STORE=/tmp/other /apps/tmprun /apps/told.AppImage; GCONV_PATH=/own /apps/tmprun /apps/told.AppImage"
    said = enter("/apps/tmprun", "/apps/told.AppImage", again).stdout.decode().splitlines()
    assert [Path(line).name for line in said] == ["gconv", "locale"] * 2 + ["own", "locale"]
    assert [line.startswith("/tmp/other/") for line in said] == [False, False, True, True, False, False]


def test_a_slice_that_is_too_old(apps: Path, enter: Enter, slice_file: Path) -> None:
    """The versions of both are forged: the program says that it needs GLIBC_2.99."""
    work = apps / "new.work"
    if not work.exists():
        program = compile_program(HOST, work / "AppRun", "-ldl")
        program.write_bytes(program.read_bytes().replace(b"GLIBC_2.34", b"GLIBC_2.99"))
        appimage(work, apps / "new.AppImage")
    done = enter("/apps/tmprun", "/apps/new.AppImage", status=127)
    assert b"needs glibc 2.99" in done.stderr and b"has glibc 2." in done.stderr, done


def test_half_a_libc(apps: Path, enter: Enter) -> None:
    """A loader without a C library is none; a musl program beside it starts as it always did."""
    work = apps / "half.work"
    compile_program(HOST, work / "usr" / "bin" / "host", "-ldl")
    compile_program(
        PLUGIN, work / "usr" / "lib" / "libplugin.so", "-shared", "-fPIC", str(library("libz.so.1")), compiler="c++"
    )
    compile_program("int main(void) { return 7; }", work / "usr" / "bin" / "musl", compiler="musl-gcc")
    (work / "lib64").mkdir()
    shutil.copy("/lib64/ld-linux-x86-64.so.2", work / "lib64")
    script = (
        '"$APPDIR/usr/bin/musl"; [ $? = 7 ] || exit 9\nexec "$APPDIR/usr/bin/host" "$APPDIR/usr/lib/libplugin.so"\n'
    )
    write(work / "AppRun", f"#!/bin/sh\n{script}", 0o755)
    appimage(work, apps / "half.AppImage")
    assert b"caught, zlib 1." in enter("/apps/tmprun", "/apps/half.AppImage").stdout


def test_its_own_library_comes_before_the_slices(apps: Path, enter: Enter) -> None:
    """One that LD_LIBRARY_PATH leads to, as it would where glibc is at home."""
    work = apps / "own.work"
    compile_program(HOST, work / "usr" / "bin" / "host", "-ldl")
    compile_program(
        PLUGIN, work / "usr" / "lib" / "libplugin.so", "-shared", "-fPIC", str(library("libz.so.1")), compiler="c++"
    )
    flags = ("-shared", "-fPIC", "-Wl,-soname,libz.so.1")
    compile_program('const char *zlibVersion(void) { return "its own"; }', work / "usr" / "lib" / "libz.so.1", *flags)
    script = 'export LD_LIBRARY_PATH="$APPDIR/usr/lib"\nexec "$APPDIR/usr/bin/host" libplugin.so\n'
    write(work / "AppRun", f"#!/bin/sh\n{script}", 0o755)
    appimage(work, apps / "own.AppImage")
    assert b"caught, zlib its own" in enter("/apps/tmprun", "/apps/own.AppImage").stdout
