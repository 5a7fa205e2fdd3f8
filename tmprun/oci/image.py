"""An image of one app: what is in it, how it is started, and the files that say so (OCI Image Format Specification)."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tmprun.archives import kinds
from tmprun.desktop.entry import GROUP, groups
from tmprun.desktop.menu_entry import unescaped
from tmprun.desktop.names import safe
from tmprun.elf.machines import HEAD, machine_of
from tmprun.engine import programs
from tmprun.errors import TmprunError
from tmprun.human import one_line
from tmprun.images.image import Image
from tmprun.images.opened import Opened
from tmprun.libc.shelf import SUFFIX, SYSTEM, Slice
from tmprun.menus.app_files import app_files
from tmprun.menus.integrate import desktop_entry_of
from tmprun.oci.layer import Blob, Item, tree_items, write_blob, write_layer
from tmprun.start import ask_engine
from tmprun.store import converted

LAYOUT = {"imageLayoutVersion": "1.0.0"}
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
# As Go names machines, and images with it.
GO = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm", "riscv64": "riscv64", "ppc64le": "ppc64le"}
USER = 65532  # nobody in particular, as images without a distribution have it
DOOR, APPS, TREE = "usr/bin/tmprun", "app", "app"


@dataclass(frozen=True)
class Wish:
    """What the image shall be: the apps, one for each machine, and whether their trees are in it, not their files.

    `slices` bring the C library to apps that do not, each for its machine.
    """

    apps: Sequence[str]
    unpacked: bool = False
    slices: Sequence[Slice] = ()
    tag: str = "latest"
    time: int = 0


@dataclass(frozen=True)
class Made:
    """What was made of one app."""

    app: str
    machine: str
    digest: str
    size: int


def write_image(wish: Wish, out: str) -> list[Made]:
    """Write the image as a directory (OCI layout) when `out` is one or ends with a slash, else as a tar of that.

    It is there when it is complete. TmprunError when it cannot be made.
    """
    as_directory = out.endswith("/") or os.path.isdir(out)
    target = Path(out)
    if as_directory and target.is_dir() and os.listdir(target):
        raise TmprunError("is not empty", one_line(out), "name another directory")
    try:
        with tempfile.TemporaryDirectory(prefix=".tmprun-oci-", dir=target.absolute().parent) as folder:
            layout = Path(folder) / "layout"
            made = _write_layout(wish, layout)
            if as_directory:
                layout.chmod(0o755)
                if target.is_dir():
                    target.rmdir()
                layout.rename(target)
            else:
                partial = Path(folder) / "tar"
                _write_archive(layout, partial, wish.time)
                partial.rename(target)
    except OSError as error:
        raise TmprunError(error.strerror or str(error), one_line(str(error.filename or out))) from None
    return made


def _write_layout(wish: Wish, layout: Path) -> list[Made]:
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    manifests: list[dict[str, Any]] = []
    made: list[Made] = []
    for app in wish.apps:
        file = startable(app)
        machine = _machine_of(file)
        if machine in [each.machine for each in made]:
            raise TmprunError(f"two apps for {machine}", one_line(app), "an image holds one for each machine")
        manifest, size = _write_manifest(wish, app, file, machine, blobs)
        platform = {"architecture": GO.get(machine, machine), "os": "linux"}
        manifests.append({**_descriptor(MANIFEST, manifest), "platform": platform})
        made.append(Made(app, machine, manifest.digest, size))
    for each in manifests[:1] if len(manifests) == 1 else ():
        each["annotations"] = {"org.opencontainers.image.ref.name": wish.tag}
    if len(manifests) > 1:
        inner = write_blob(_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}), blobs)
        manifests = [{**_descriptor(INDEX, inner), "annotations": {"org.opencontainers.image.ref.name": wish.tag}}]
    (layout / "index.json").write_bytes(_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}))
    (layout / "oci-layout").write_bytes(_json(LAYOUT))
    return made


def _write_manifest(wish: Wish, app: str, file: str, machine: str, blobs: Path) -> tuple[Blob, int]:
    """Write one app's layers, its configuration and what binds them; returns that, and the bytes of all."""
    layers = _layers(wish, app, file, machine, blobs)
    config = write_blob(_json(_config(wish, app, machine, layers)), blobs)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _descriptor(CONFIG, config),
        "layers": [_descriptor(LAYER, layer) for layer in layers],
    }
    return write_blob(_json(manifest), blobs), config.size + sum(layer.size for layer in layers)


def _layers(wish: Wish, app: str, file: str, machine: str, blobs: Path) -> list[Blob]:
    """What all apps have in common is a layer of its own, so that registries keep it once."""
    ground = [
        Item("app", 0o755),
        Item("etc", 0o755),
        Item("etc/passwd", 0o644, f"root:x:0:0:root:/:/\napp:x:{USER}:{USER}:app:/tmp:/\n".encode()),
        Item("etc/group", 0o644, f"root:x:0:\napp:x:{USER}:\n".encode()),
        Item("tmp", 0o1777),
    ]
    if wish.unpacked:
        with tempfile.TemporaryDirectory(prefix=".tmprun-oci-", dir=blobs) as folder:
            tree = Path(folder) / "tree"
            ask_engine.extract(file, str(tree), [], force=True)
            return [write_layer(ground, blobs, wish.time), write_layer(tree_items(tree, TREE), blobs, wish.time)]
    door = Path(programs.door(machine))
    ground += [Item("usr", 0o755), Item("usr/bin", 0o755), Item(DOOR, 0o755, door)]
    fitting = [each for each in wish.slices if each.machine == machine]
    shelf = SYSTEM.strip("/")
    if fitting:
        ground += [Item("usr/lib", 0o755), Item("usr/lib/tmprun", 0o755), Item(shelf, 0o755)]
    ground += [Item(f"{shelf}/glibc-{each.glibc}{SUFFIX}", 0o644, Path(each.path)) for each in fitting]
    layer = [Item(f"{APPS}/{_file_name(app)}", 0o755, Path(file))]
    return [write_layer(ground, blobs, wish.time), write_layer(layer, blobs, wish.time)]


def _config(wish: Wish, app: str, machine: str, layers: Sequence[Blob]) -> dict[str, Any]:
    start = [f"/{TREE}/AppRun"] if wish.unpacked else [f"/{DOOR}", f"/{APPS}/{_file_name(app)}"]
    variables = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp"]
    if wish.unpacked:
        variables.append(f"APPDIR=/{TREE}")
    created = datetime.fromtimestamp(wish.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "created": created,
        "architecture": GO.get(machine, machine),
        "os": "linux",
        "config": {
            "User": f"{USER}:{USER}",
            "Env": variables,
            "Entrypoint": start,
            "WorkingDir": "/tmp",
            "Labels": _labels(app),
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        "history": [{"created": created, "created_by": "tmprun oci"} for _ in layers],
    }


def _labels(app: str) -> dict[str, str]:
    """What the app's desktop entry says, by the names that images have for it."""
    with app_files(app) as files:
        keys = groups(desktop_entry_of(files)).get(GROUP, {})
    said = {
        "title": keys.get("Name", "") or _file_name(app),
        "description": keys.get("Comment", ""),
        "version": keys.get("X-AppImage-Version", ""),
    }
    shown = {name: one_line(unescaped(value))[:1000] for name, value in said.items()}
    return {f"org.opencontainers.image.{name}": value for name, value in sorted(shown.items()) if value}


def startable(app: str) -> str:
    """The file that the front door alone can start: the app's, or the bundle that it is converted into."""
    with Image(app) as image, Opened(image):  # which converts what the engine does not read
        if kinds.is_ours(kinds.kind_of(image.fd, app)):
            return app
        found = converted.lookup(image.identity)
    if not found:
        raise TmprunError("has changed just now", one_line(app), "try again")
    return found


def _machine_of(file: str) -> str:
    with open(file, "rb") as program:
        machine = machine_of(program.read(HEAD))
    if not machine:
        raise TmprunError("is for an unknown machine", one_line(file), "make a bundle of it first: tmprun convert")
    return machine


def _file_name(app: str) -> str:
    return safe(os.path.basename(app))


def _descriptor(kind: str, blob: Blob) -> dict[str, Any]:
    return {"mediaType": kind, "digest": blob.digest, "size": blob.size}


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _write_archive(layout: Path, out: Path, time: int) -> None:
    """The layout as a tar; with the file by which a Docker before 25 loads it, if it holds one image."""
    index = json.loads((layout / "index.json").read_bytes())
    items = [Item("blobs", 0o755), Item("blobs/sha256", 0o755)]
    items += [Item(f"blobs/sha256/{blob.name}", 0o644, blob) for blob in sorted((layout / "blobs/sha256").iterdir())]
    items += [Item(name, 0o644, layout / name) for name in ("index.json", "oci-layout")]
    if index["manifests"][0]["mediaType"] == MANIFEST:
        items.append(Item("manifest.json", 0o644, _for_docker(layout, index["manifests"][0])))
    blob = write_layer(items, layout, time)
    shutil.move(blob.path, out)


def _for_docker(layout: Path, descriptor: dict[str, Any]) -> bytes:
    def place(digest: str) -> str:
        return f"blobs/{digest.replace(':', '/')}"

    manifest = json.loads((layout / place(descriptor["digest"])).read_bytes())
    layers = [place(layer["digest"]) for layer in manifest["layers"]]
    return _json([{"Config": place(manifest["config"]["digest"]), "Layers": layers, "RepoTags": []}])
