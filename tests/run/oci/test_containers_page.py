"""The files in docs/containers.md, done as far as that can be without a container engine: copied, run by chroot."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from kit.apps import packed, script_appdir, write
from kit.foreign_images import mksquashfs, write_image
from kit.harness import Harness
from kit.musl_root import make_root
from kit.surroundings import needs_root

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "containers.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@dataclass
class Built:
    """What a Dockerfile makes, in a root that stands for its base."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/local/bin:/usr/bin:/bin"})
    user: str = "0:0"
    work: str = "/"
    entrypoint: list[str] = field(default_factory=list)

    def inside(self, command: list[str], user: str = "") -> subprocess.CompletedProcess[bytes]:
        script = f"cd {self.work} && exec {shlex.join(command)}" if (self.root / "bin" / "sh").exists() else ""
        words = ["/bin/sh", "-c", script] if script else command
        chroot = ["/usr/sbin/chroot", f"--userspec={user or self.user}", str(self.root), *words]
        done = subprocess.run(chroot, env=self.environment, capture_output=True, check=False)
        assert done.returncode == 0, done
        return done


def build(dockerfile: str, context: Path, built: Built) -> Built:
    for line in dockerfile.splitlines():
        word, _, rest = line.partition(" ")
        if word == "COPY":
            source, target = rest.split()
            (built.root / target.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(context / source, built.root / target.lstrip("/"))
        elif word == "RUN":
            built.inside(["/bin/sh", "-c", rest], "0:0")
        elif word == "ENV":
            built.environment |= dict([rest.split("=", 1)])
        elif word == "USER":
            built.user = f"{rest}:0"
        elif word == "WORKDIR":
            built.work = rest
            (built.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif word == "ENTRYPOINT":
            built.entrypoint = json.loads(rest)
        else:
            assert word in ("FROM", "")
    return built


@pytest.fixture
def context(harness: Harness, door: Path, probe: Path) -> Path:
    """What lies beside a Dockerfile: the front door alone, an AppImage that needs a shell, a bundle that does not."""
    context = harness.base / "context"
    appdir = script_appdir(harness.base, 'echo "version $1"')
    write(context / "tmprun", door.read_bytes(), 0o755)
    write_image(context / "app.AppImage", mksquashfs(appdir, harness.base / "squashfs", "-all-root")).chmod(0o755)
    static = harness.base / "Static.AppDir"
    write(static / "AppRun", probe.read_bytes(), 0o755)
    packed(static, context / "app")
    return context


@needs_root
@pytest.mark.parametrize("number", range(3))
def test_dockerfiles(context: Path, tmp_path: Path, number: int) -> None:
    dockerfile = blocks("dockerfile")[number]
    if dockerfile.startswith("FROM scratch"):
        built = build(dockerfile, context, Built(tmp_path / "root"))
        assert b'"argv"' in built.inside([*built.entrypoint, "probe:report"]).stdout
    else:
        root = make_root(tmp_path / "root")
        (root / "etc" / "group").write_text("root:x:0:\n")
        (root / "tmp").chmod(0o1777)
        built = build(dockerfile, context, Built(root))
        assert built.inside([*built.entrypoint, "--version"]).stdout == b"version --version\n"
    assert len(blocks("dockerfile")) == 3


@pytest.fixture
def checkout(harness: Harness, context: Path) -> Path:
    shutil.copytree(context, harness.work / "tools")
    return harness.work


def test_dev_container(harness: Harness, checkout: Path) -> None:
    (text,) = blocks("json")
    said = harness.run("sh", "-ec", json.loads(text)["postCreateCommand"]).stdout
    assert said == b"version --version\n"


def test_ci(harness: Harness, checkout: Path) -> None:
    actions, gitlab = map(yaml.safe_load, blocks("yaml"))
    scripts = [step["run"] for step in actions["jobs"]["app"]["steps"] if "run" in step]
    for steps in (scripts, gitlab["app"]["script"]):
        said = b"".join(harness.run("sh", "-ec", step, cwd=checkout).stdout for step in steps)
        assert said == b"version --version\n" * 2
        shutil.rmtree(checkout / "squashfs-root")
