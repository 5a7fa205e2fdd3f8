"""Bare roots of Debian's releases: bootstrapped once, unpacked anew for each configuration."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import host
from host import Unable

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
BUILD = REPOSITORY / "build" / "strangers"
BARE = "python3,gcc,make,ca-certificates"
USER = "stranger"


def bootstrap(release: str) -> Path:
    """The archive of the bare root of a release; made when it is not there."""
    archive = BUILD / f"{release}.tar"
    if archive.exists():
        return archive
    if not shutil.which("debootstrap"):
        raise Unable("debootstrap is missing; as root: apt-get install debootstrap")
    new = BUILD / f"{release}.new"
    remove(new)
    log = BUILD / "logs" / f"debootstrap-{release}.log"
    with log.open("wb") as file:
        command = ["debootstrap", "--variant=minbase", f"--include={BARE}", release, str(new), host.mirror()]
        if subprocess.run(command, stdout=file, stderr=file, check=False).returncode:
            raise Unable(f"debootstrap failed; {log} says why")
    partial = archive.with_suffix(".partial")
    subprocess.run(["tar", "-C", new, "--one-file-system", "-cf", partial, "."], check=True)
    partial.rename(archive)
    remove(new)
    return archive


def remove(path: Path) -> None:
    """Delete a root, if it is there."""
    if path.exists():
        subprocess.run(["rm", "-rf", "--one-file-system", path], check=True)


class Place:
    """A bare root with the repository cloned alone into a user's home, which nobody else may enter."""

    def __init__(self, release: str, user: str) -> None:
        self.user = user
        self.root = BUILD / f"{release}-{user}"
        self.cache = BUILD / f"cache-{user}"
        self.settings = host.pip_settings()
        self.variables = host.environment()

    def make(self, archive: Path) -> None:
        """Unpack it, and hand on what of this machine it needs to reach the package registries."""
        remove(self.root)
        self.root.mkdir(parents=True)
        subprocess.run(["tar", "-C", self.root, "-xf", archive], check=True)
        for name in ("resolv.conf", "hosts"):
            shutil.copy(f"/etc/{name}", self.root / "etc" / name)
        (self.root / "etc/apt/apt.conf.d/00host").write_text(host.apt_options())
        (self.root / "etc/pip.conf").write_text(host.pip_conf(self.settings))
        self.cache.mkdir(exist_ok=True)
        if self.user != "root":
            subprocess.run(["chroot", self.root, "useradd", "-m", "-u", "1000", self.user], check=True)
            shutil.chown(self.cache, 1000, 1000)
        self._clone()

    def _clone(self) -> None:
        home = self.root / ("root" if self.user == "root" else f"home/{self.user}")
        home.chmod(0o700)
        quiet = ["git", "clone", "-q", "--no-hardlinks", str(REPOSITORY), str(home / "tmprun")]
        subprocess.run(quiet, check=True)
        if self.user != "root":
            subprocess.run(["chown", "-R", "1000:1000", home / "tmprun"], check=True)

    def command(self, user: str, *words: str) -> tuple[list[str], dict[str, str]]:
        """How to run `words` inside as `user`: a command and its environment."""
        values = [value for section in self.settings.values() for value in section.values()]
        seen = host.named_paths(*values, *self.variables.values())
        caches = {"PIP_CACHE_DIR": f"{self.cache}/pip", "ZIG_GLOBAL_CACHE_DIR": f"{self.cache}/zig"}
        mine = self.variables | (caches if user == self.user else {})
        shared = {"SEEN": "\n".join(seen), "SHARED": str(self.cache)}
        path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        return [str(HERE / "enter"), str(self.root), user, *words], path | mine | shared
