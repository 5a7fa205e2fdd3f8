"""AppDirs from Debian's packages: downloaded with all they depend on, unpacked, never installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from tmprun_bench.corpora.cache import remove, walk_files
from tmprun_bench.errors import BenchError
from tmprun_bench.places import CORPORA

# Of no use to a running program.
PAPERWORK = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/lintian",
    "usr/share/bug",
    "usr/share/doc-base",
    "etc/ld.so.conf.d",
)
# Since Debian 13 packages have these below usr only, and an installation has links to them at its top.
MERGED = ("bin", "sbin", "lib", "lib64")
# The host's own in an AppDir that relies on the host's C library.
LIBC = ("libc6", "libgcc-s1")
NEVER = ("gcc-12-base", "dpkg", "debconf", "perl-base", "tar", "install-info")


def tree(root: Path, packages: Sequence[str], *, without: Iterable[str] = (), suite: str = "") -> None:
    """Unpack `packages`, and all that they depend on as if nothing were installed, except `without`, into `root`.

    They are those of this machine's release, or of the release named `suite`. Symlinks are made relative and
    documentation is dropped. BenchError when a package cannot be had.
    """
    skipped = {*without, *NEVER}
    root.mkdir()
    for package in _download(packages, _only(suite) if suite else ()):
        if package.name.partition("_")[0] not in skipped:
            _run("dpkg", "-x", package, root)
    for name in PAPERWORK:
        if (root / name).exists():
            remove(root / name)
    for name in MERGED:
        if (root / "usr" / name).is_dir() and not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    relative_links(root)


def relative_links(root: Path) -> None:
    """Turn absolute symlinks, which would lead out of an AppDir, into relative ones; drop those that lead nowhere in
    it."""
    links = [path for path, _ in walk_files(root) if path.is_symlink()]
    for link in links:
        target = os.readlink(link)
        if not target.startswith("/"):
            continue
        inside = root / target.lstrip("/")
        link.unlink()
        if os.path.lexists(inside):
            link.symlink_to(os.path.relpath(inside, link.parent))


def python() -> str:
    """The name of this release's Python, package and program, as in `python3.11`. BenchError where it is missing."""
    try:
        return Path("/usr/bin/python3").resolve(strict=True).name
    except OSError:
        raise BenchError("/usr/bin/python3 is missing: this corpus is made of Debian's packages") from None


def can_have(suite: str) -> bool:
    """Whether packages of that release of Debian can be had: this is Debian, and knows the release's key."""
    keys = Path("/usr/share/keyrings").glob(f"debian-archive-{suite}-*")
    return shutil.which("apt-get") is not None and any(keys) and bool(_mirrors())


def _mirrors() -> list[str]:
    """Where this machine gets Debian's packages from."""
    said = _run("apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages")
    return sorted({line.split("|")[2] for line in said.splitlines() if line.startswith("Debian|Debian|")})


def _only(suite: str) -> tuple[str, ...]:
    """Options that make apt-get look at that release alone, with lists of its own."""
    folder = CORPORA / "packages" / suite
    (folder / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    sources = folder / "sources.list"
    sources.write_text("".join(f"deb {mirror} {suite} main\n" for mirror in _mirrors()))
    options = (
        "-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=-", "-o", "Dir::Etc::preferencesparts=-",
        "-o", f"Dir::State::lists={folder / 'lists'}", "-o", f"Dir::Cache::pkgcache={folder / 'pkgcache.bin'}",
        "-o", f"Dir::Cache::srcpkgcache={folder / 'srcpkgcache.bin'}", "-o", "Acquire::Languages=none",
    )  # fmt: skip
    _run("apt-get", "-q", *options, "-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1", "update")
    return options


def _download(packages: Sequence[str], options: Sequence[str] = ()) -> list[Path]:
    """The packages' files and those of all their dependencies, in the order of their names."""
    if shutil.which("apt-get") is None:
        raise BenchError("apt-get is missing: this corpus is made of Debian's packages")
    archives = CORPORA / "packages"
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile() as nothing_installed:
        apt = (
            "apt-get", "-q", "-y", "--no-install-recommends", "-o", f"Dir::State::status={nothing_installed.name}",
            "-o", f"Dir::Cache::archives={archives}", "-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1",
            *options,
        )  # fmt: skip
        _run(*apt, "--download-only", "install", *packages)
        wanted = _run(*apt, "--simulate", "install", *packages)
    names = {_archive_name(line) for line in wanted.splitlines() if line.startswith("Inst ")}
    found = [path for path in sorted(archives.glob("*.deb")) if _name_and_version(path) in names]
    if len(found) != len(names):
        raise BenchError(f"{len(names)} packages were wanted, {len(found)} came; try apt-get update")
    return found


def _archive_name(line: str) -> tuple[str, str]:
    """Name and version in a line of apt's simulation: `Inst NAME (VERSION SUITE [ARCH])`."""
    _, name, version = line.split()[:3]
    return name.partition(":")[0], version.lstrip("(")


def _name_and_version(archive: Path) -> tuple[str, str]:
    name, version, _ = archive.name.split("_")
    return name, version.replace("%3a", ":")


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(map(str, command))} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout
