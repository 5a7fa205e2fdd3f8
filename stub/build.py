"""Compiles the engine: two static programs, the stub and the front door, for each machine.

`python stub/build.py` by hand, `make engine`, or hatch_build.py when the package is built. docs/engine-build.md says
why the compilers and flags are what they are. In stub/, `stub.c` is the stub's main program, the folders of DOOR make
the front door, and those of SHARED are linked into both (docs/architecture.md).

Environment: TMPRUN_ENGINE_ARCHES, the machines to build for (default: all; when a package is built, its own), and
TMPRUN_CC, the compiler for the machine that this runs on (default: musl-gcc, else zig). BuildError is what can go
wrong, as one line.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
SOURCES = BUILD / "sources"
ASAN = BUILD / "asan"
ENGINE = ROOT / "tmprun" / "engine"
MACHINES = ("x86_64", "aarch64")

PROGRAMS = ("stub", "tmprun")
SHARED = ("base", "image", "tree", "store", "gate", "start")
DOOR = ("squashfs", "foreign", "slices", "door")
ZIG_REQUIREMENT = "ziglang>=0.17.1,<0.18"

OWN_FLAGS = ["-Wall", "-Wextra", "-Werror"]
# The front door reads files that their user may only want to look at: it gets all hardening there is. The stub reads a
# file that its user starts, mostly the one that it is the first part of: who could attack it by that file could as well
# have written what is started. It gets none, and room for the gate.
PROGRAM_FLAGS = {
    "tmprun": ["-fPIE", "-fstack-protector-strong"],
    "stub": ["-fno-pie", "-fno-stack-protector", "-DTMPRUN_SMALL"],
}
ZSTD_FLAGS = [
    "-w", "-DNDEBUG",
    "-DZSTD_STRIP_ERROR_STRINGS=1", "-DZSTD_LEGACY_SUPPORT=0", "-DZSTD_TRACE=0", "-DZSTD_DISABLE_ASM=1",
]  # fmt: skip
# In the stub, one Huffman and one sequence decoder instead of two each, BMI2 where it pays: half the size, a twentieth
# slower (docs/engine-build.md has the measurements).
ZSTD_SMALL = [
    "-DHUF_FORCE_DECOMPRESS_X1", "-DZSTD_FORCE_DECOMPRESS_SEQUENCES_SHORT",
    "-falign-functions=1", "-falign-jumps=1", "-falign-loops=1", "-falign-labels=1",
]  # fmt: skip
# zig's code for x86_64 is a seventh larger than gcc's: its stub does without what takes most room. The last -O counts.
ZIG_SMALL = [
    "-Os", "-fno-unroll-loops", "-fno-vectorize", "-fno-slp-vectorize", "-DDYNAMIC_BMI2=0", "-fmerge-all-constants",
]  # fmt: skip
# These choose between code with and without BMI2 at run time; they share a struct that has one field more when they do.
ZSTD_WITH_BMI2 = {"zstd_decompress", "zstd_decompress_block", "zstd_ddict"}
# What it finds out about pointers saves 1.5 KB; comparing instead of jumping through tables, a quarter of one; sharing
# the bytes of equal constants, half of one (nobody compares their addresses).
GCC_SMALL = ["-fipa-pta", "-fno-jump-tables", "-fmerge-all-constants"]
# What the front door alone has of other libraries, by the sdist that carries them.
DOOR_ALONE = {
    "deflate": [
        "lib/deflate_decompress", "lib/zlib_decompress", "lib/adler32", "lib/crc32", "lib/utils",
        "lib/x86/cpu_features", "lib/arm/cpu_features",
    ],
    "lz4": ["lz4"],
    "pylzma": ["Bra", "Bra86"],
}  # fmt: skip
DOOR_ALONE_FLAGS = ["-w", "-DNDEBUG"]
# They load words from where they are, aligned or not, on machines that can.
UNALIGNED = {"Bra", "Bra86"}
# All else is compiled for size. The one optimisation of -O3's that makes the stub's decoder faster makes it smaller.
SMALL_LEVELS = {"zstd_decompress_block": ["-O2", "-ftree-partial-pre"], "huf_decompress": ["-O2"]}
FAST_LEVELS = {"zstd_decompress_block": ["-O3"], "huf_decompress": ["-O3"]}
_FAST = ("deflate_decompress", "adler32", "crc32", "sha256", "Bra", "Bra86", "lz4", "lzo")
# Whoever starts an image with many files for the first time waits for these.
_READER = ("blocks", "encode", "items", "metadata", "numbers", "order", "strings")
# In lzma2 all loops are to be unrolled, and all functions in line.
LEVELS = {name: ["-O2"] for name in (*_FAST, *_READER)} | {"lzma2": ["-O3"]}

FLAGS = ["-std=gnu11", "-ffunction-sections", "-fdata-sections"]
# Also when linking: it is then that zig compiles musl.
NO_UNWIND = ["-fno-asynchronous-unwind-tables", "-fno-unwind-tables"]
RELEASE_FLAGS = [*NO_UNWIND, "-fno-ident", f"-ffile-prefix-map={ROOT}=."]
RELEASE_LINK = [
    *NO_UNWIND, "-s", "-Wl,--gc-sections", "-Wl,--build-id=none", "-Wl,-z,noexecstack",
    "-Wl,-z,stack-size=262144",  # musl takes the stack size of new threads from here; zig would write 16 MiB
]  # fmt: skip
# The few bytes of data right behind the code, instead of on a page of their own: 4 KB less.
STUB_LINK = ["-Wl,-z,norelro", "-Wl,-z,common-page-size=512"]
SANITIZE = [
    "-O1", "-g", "-U_FORTIFY_SOURCE", "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
]  # fmt: skip


class BuildError(Exception):
    """The engine cannot be built; the text says why and what to do."""


class Source(NamedTuple):
    """A pinned sdist: `member` is the folder in it that we need, relative to its top."""

    name: str
    version: str
    sha256: str
    member: str

    @property
    def file(self) -> Path:
        return SOURCES / f"{self.name}-{self.version}.tar.gz"

    @property
    def folder(self) -> Path:
        """Where the needed folder of this very sdist is, or will be, unpacked."""
        return SOURCES / f"{self.name}-{self.sha256[:16]}"


class Unit(NamedTuple):
    """A file to compile. `context` stands for all it may include: a digest. `levels`: the optimisation, by its stem."""

    source: Path
    flags: list[str]
    context: str
    levels: dict[str, list[str]] = LEVELS


class Toolchain(NamedTuple):
    """How to compile and link: `first` and `last` are start files.

    `name` is the machine, or "asan", and names the folder that keeps the objects.
    """

    name: str
    compiler: list[str]
    flags: list[str]
    link: list[str]
    first: list[str]
    last: list[str]


def host_machine() -> str:
    """The machine that this runs on, as `uname -m` says."""
    return os.uname().machine


def wanted_machines(usual: Sequence[str] = MACHINES) -> list[str]:
    """The machines that TMPRUN_ENGINE_ARCHES names, or the `usual` ones; BuildError when there is no engine for one."""
    named = re.split(r"[,\s]+", os.environ.get("TMPRUN_ENGINE_ARCHES", "").strip())
    machines = [name for name in named if name] or list(usual)
    for machine in machines:
        if machine not in MACHINES:
            raise BuildError(f"there is no engine for {machine}; TMPRUN_ENGINE_ARCHES may name {', '.join(MACHINES)}")
    return machines


def build_requires(machines: Iterable[str]) -> list[str]:
    """What has to be installed from PyPI before `build(machines)` can run here; for no machine: to make an sdist."""
    needs = []
    if not all(map(_intact, pinned())):
        needs.append("pip")
    if not (ROOT / "stub" / "made").exists():
        needs += _dependencies()
    if any(_own_compiler(machine) is None for machine in machines):
        needs.append(ZIG_REQUIREMENT)
    return needs


# The sources: pinned sdists, fetched by pip, which knows the user's index; kept in build/sources.


def pinned() -> list[Source]:
    """What stub/sources.txt pins."""
    members = {"zstd": "zstd/lib", "deflate": "libdeflate", "lz4": "lz4libs", "pylzma": "src/sdk/C"}
    line = re.compile(r"^(\S+)==(\S+) --hash=sha256:([0-9a-f]{64})$", re.MULTILINE)
    found = line.findall((ROOT / "stub" / "sources.txt").read_text())
    return [Source(name, version, sha256, members[name]) for name, version, sha256 in found]


def fetch() -> list[Source]:
    """Make sure that every pinned sdist lies in build/sources, whole; BuildError otherwise."""
    sources = pinned()
    if all(map(_intact, sources)):
        return sources
    names = ",".join(source.name for source in sources)
    # No other sdist: a build dependency without a wheel would compile for minutes (cmake did).
    only = ["--no-deps", "--only-binary", ":all:", "--no-binary", names, "--require-hashes"]
    command = [sys.executable, "-m", "pip", "download", "-qq", *only, "-r", "stub/sources.txt", "-d", str(SOURCES)]
    if subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode != 0:
        raise BuildError(f"pip could not download {names}; put what stub/sources.txt names into build/sources")
    for source in sources:
        if not _intact(source):
            raise BuildError(f"{source.file} is not the file that stub/sources.txt pins")
    return sources


def _intact(source: Source) -> bool:
    try:
        return hashlib.sha256(source.file.read_bytes()).hexdigest() == source.sha256
    except FileNotFoundError:
        return False


def _unpack(source: Source) -> Path:
    """Unpack the needed folder once; a half-written one never gets its final name."""
    if not source.folder.is_dir():
        staging = Path(tempfile.mkdtemp(dir=SOURCES, prefix="unpack-"))
        prefix = f"{source.name}-{source.version}/{source.member}/"
        with tarfile.open(source.file) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.name.startswith(prefix) else None
                if content is not None:
                    file = staging / member.name.removeprefix(prefix)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content.read())
        try:
            staging.rename(source.folder)
        except OSError:  # another build was faster
            shutil.rmtree(staging)
    return source.folder


# What the command line's declarations become: help pages, which the front door prints without Python, completions ...


def shipped() -> Path:
    """Make the folder with help.bin and share/; an sdist brings it. BuildError when it cannot be made."""
    carried, made = ROOT / "stub" / "made", BUILD / "made"
    made.mkdir(parents=True, exist_ok=True)
    if carried.exists():
        shutil.copytree(carried, made, dirs_exist_ok=True)
        return made
    command = [sys.executable, "-m", "tmprun.cli.shipped", str(made)]
    # Where pip builds, what it has installed for the build lies on our path, and not where our interpreter looks.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), *sys.path)))}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise BuildError(f"the help pages cannot be made: {reason}; install what pyproject.toml names as dependencies")
    return made


def share() -> list[Path]:
    """The files of an installation's share/, below the folder that `shipped` makes."""
    return sorted(path for path in (shipped() / "share").rglob("*") if path.is_file())


def _dependencies() -> list[str]:
    found: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return found


# The compilers.


def _own_compiler(machine: str) -> list[str] | None:
    """The compiler for `machine` that is installed already, if there is one."""
    if machine != host_machine():
        return None
    named = os.environ.get("TMPRUN_CC", "").strip()
    if named:
        return shlex.split(named)
    found = shutil.which("musl-gcc")
    return [found] if found else None


def toolchain(machine: str, program: str) -> Toolchain:
    """What makes the static `program` for `machine`; BuildError when nothing here can."""
    compiler = _own_compiler(machine)
    if compiler is None:
        if importlib.util.find_spec("ziglang") is None:
            here = "install musl-gcc (Debian: musl-tools) or " if machine == host_machine() else ""
            zig = f"{sys.executable} -m pip install '{ZIG_REQUIREMENT}'"
            raise BuildError(f"no compiler for {machine}; {here}run: {zig}")
        compiler = [sys.executable, "-m", "ziglang", "cc", "-target", f"{machine}-linux-musl"]
    gnu = Path(compiler[0]).name == "musl-gcc"
    link, first, last = ["-static", "-no-pie"], [], []
    if program == "tmprun":
        link = ["-static-pie", "-fPIE"]  # zig wants to hear both
    if program == "tmprun" and gnu:
        # It knows no -static-pie: its specs name the start file of dynamic programs. The right one lies beside that.
        link = ["-static", "-nostartfiles", "-Wl,-pie,--no-dynamic-linker,-z,text"]
        lib = _musl_folder(compiler)
        first, last = [f"{lib}/rcrt1.o", f"{lib}/crti.o"], [f"{lib}/crtn.o"]
    if program == "tmprun":
        link.append("-Wl,-z,relro,-z,now")
    if gnu:
        link.append("-Wl,-z,noseparate-code")  # zig's linker does not pad to whole pages in the first place
    last_words = STUB_LINK if gnu and program == "stub" else []
    flags = FLAGS + PROGRAM_FLAGS[program] + RELEASE_FLAGS
    if program == "stub":
        flags.append("-flto")  # 2 to 5 KB less
        if gnu:
            flags += GCC_SMALL
        if "ziglang" in compiler and machine == "x86_64":
            flags += ZIG_SMALL
        link += ["-flto", *(GCC_SMALL if gnu else [])]
    return Toolchain(machine, compiler, flags, FLAGS + link + RELEASE_LINK + last_words, first, last)


def _musl_folder(compiler: Sequence[str]) -> str:
    dry_run = subprocess.run([*compiler, "-###", "-x", "c", "/dev/null"], capture_output=True, text=True, check=False)
    for word in shlex.split(dry_run.stderr.replace("'", " ")):
        if word.endswith("/crti.o"):
            return os.path.dirname(word)
    raise BuildError(f"{compiler[0]} does not say where musl is; set TMPRUN_CC to another compiler for musl")


def sanitizer() -> Toolchain:
    """The C compiler of this machine with ASan and UBSan, for programs that only tests use: not static, not small."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    flags = FLAGS + SANITIZE
    return Toolchain("asan", compiler, [*flags, "-fPIE"], [*flags, "-pie"], [], [])


# Compiling: objects are named by a digest of all that goes into them, so what exists is up to date.


def _units() -> dict[str, list[Unit]]:
    """All there is to compile: what belongs to the `stub` alone, to the front door (`tmprun`) alone, and to `both`."""
    folders = {source.name: _unpack(source) for source in fetch()}
    zstd = folders["zstd"]
    headers = hashlib.sha256()
    for header in sorted((ROOT / "stub").rglob("*.h")):
        headers.update(header.read_bytes())
    include = [f"-isystem{folder.relative_to(ROOT)}" for folder in folders.values()]
    own = [*OWN_FLAGS, "-Istub", *include, f'-DTMPRUN_VERSION="{_version()}"']
    shipped()
    units = {
        program: [Unit(file, own, headers.hexdigest() + _embedded(file)) for file in files]
        for program, files in _own_sources().items()
    }
    for file in sorted([*zstd.glob("common/*.c"), *zstd.glob("decompress/*.c")]):
        bmi2 = [] if file.stem in ZSTD_WITH_BMI2 else ["-DDYNAMIC_BMI2=0"]
        units["stub"].append(Unit(file, ZSTD_FLAGS + ZSTD_SMALL + bmi2, zstd.name, SMALL_LEVELS))
        units["tmprun"].append(Unit(file, ZSTD_FLAGS, zstd.name, FAST_LEVELS))
    for name, stems in DOOR_ALONE.items():
        files = [folders[name] / f"{stem}.c" for stem in stems]
        units["tmprun"] += [Unit(file, DOOR_ALONE_FLAGS, folders[name].name) for file in files]
    return units


def zstd_decoder(machine: str) -> tuple[Path, list[Path]]:
    """The folder of zstd.h and the decoder's objects as the engine has them, for programs that measure it."""
    tools = toolchain(machine, "tmprun")
    units = [unit for unit in _units()["tmprun"] if unit.source.parent.parent.name.startswith("zstd-")]
    return units[0].source.parent.parent, _objects(tools, units)


def _own_sources() -> dict[str, list[Path]]:
    """The files of stub/, by the program that they belong to, `both` or one."""
    stub = ROOT / "stub"
    shared = [file for folder in SHARED for file in sorted((stub / folder).glob("*.c"))]
    door = [file for folder in DOOR for file in sorted((stub / folder).glob("*.[cS]"))]
    return {"stub": [stub / "stub.c"], "tmprun": door, "both": [stub / "notices.S", *shared]}


def _embedded(source: Path) -> str:
    """A digest of the files that the source has the assembler take in as they are."""
    digest = hashlib.sha256()
    for name in re.findall(r'^\s*\.incbin "([^"]+)"$', source.read_text(), re.MULTILINE):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def _version() -> str:
    found = re.search(r'^__version__ = "([^"]+)"$', (ROOT / "tmprun" / "__init__.py").read_text(), re.MULTILINE)
    if not found:
        raise BuildError("tmprun/__init__.py names no version")
    return found.group(1)


def _compile(tools: Toolchain, identity: bytes, unit: Unit) -> Path:
    """The object of `unit`, made unless it is there already."""
    level = unit.levels.get(unit.source.stem, ["-Os"])
    if "ziglang" in tools.compiler:
        level = [flag for flag in level if flag.startswith("-O")]
    last = ["-fno-sanitize=alignment"] if unit.source.stem in UNALIGNED else []
    command = [*tools.compiler, *unit.flags, *level, *tools.flags, *last, "-c", str(unit.source.relative_to(ROOT))]
    key = hashlib.sha256(identity + repr((command, unit.context)).encode() + unit.source.read_bytes()).hexdigest()
    target = BUILD / "objects" / tools.name / f"{unit.source.stem}-{key[:16]}.o"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(f".{os.getpid()}")
        _run([*command, "-o", str(partial)])
        partial.replace(target)
    return target


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{shlex.join(command)}\n{done.stdout}{done.stderr}")


def _identity(compiler: Sequence[str]) -> bytes:
    try:
        return subprocess.run([*compiler, "--version"], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise BuildError(f"{shlex.join(compiler)} cannot be run; is it installed?") from None


def _link(tools: Toolchain, program: str, objects: Sequence[Path], into: Path) -> Path:
    into.mkdir(parents=True, exist_ok=True)
    partial = into / f".{program}.{os.getpid()}"
    files = [str(file.relative_to(ROOT)) for file in objects]
    _run([*tools.compiler, *tools.link, "-o", str(partial), *tools.first, *files, *tools.last])
    partial.chmod(0o755)
    partial.replace(into / program)
    return into / program


def _objects(tools: Toolchain, units: Sequence[Unit]) -> list[Path]:
    identity = _identity(tools.compiler)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda unit: _compile(tools, identity, unit), units))


def make(tools: Toolchain, program: str, into: Path) -> Path:
    """Compile and link `program` into the folder `into`."""
    units = _units()
    return _link(tools, program, _objects(tools, units[program] + units["both"]), into)


def build(machines: Iterable[str]) -> list[Path]:
    """Build the engine for each of `machines` into tmprun/engine; returns the programs."""
    programs = []
    for machine in machines:
        programs += [make(toolchain(machine, program), program, ENGINE / machine) for program in PROGRAMS]
    return programs


def main() -> int:
    """What `python stub/build.py` does; returns its exit status."""
    parser = argparse.ArgumentParser(description="Compile the engine.")
    parser.add_argument("machines", nargs="*", metavar="MACHINE", help=f"any of {', '.join(MACHINES)}")
    parser.add_argument("--sanitize", action="store_true", help="instead, programs with ASan and UBSan, in build/asan")
    options = parser.parse_args()
    try:
        if options.sanitize:
            programs = [make(sanitizer(), program, ASAN) for program in PROGRAMS]
        else:
            programs = build(options.machines or wanted_machines())
    except BuildError as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    for program in programs:
        print(f"{program.stat().st_size:8} {program.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
