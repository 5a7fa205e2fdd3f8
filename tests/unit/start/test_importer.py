"""The first start of a foreign image, from the front door's request to the engine's start."""

from __future__ import annotations

import _thread
import hashlib
import json
import os
import platform
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.foreign_images import head, mksquashfs, sample_tree, write_image
from kit.store_layout import as_user
from kit.surroundings import needs_root
from kit.trees import below

from tmprun.errors import BadImage, TmprunError
from tmprun.images import formats
from tmprun.images.digests import Pass, digest
from tmprun.images.formats import read_head
from tmprun.images.identity import identity, is_fresh
from tmprun.images.image import Image
from tmprun.images.source import Source
from tmprun.images.squashfs.tree import Squashfs, read_squashfs
from tmprun.index.decode import decode
from tmprun.index.rules import HEADER
from tmprun.start import importer
from tmprun.start.handover import Environment
from tmprun.start.importer import compile_image, ensure_known, image_options
from tmprun.store.known import open_cache

REPO = str(Path(__file__).resolve().parents[3])
SETTLE = 0.06  # seconds after which a file's times are old enough to be trusted

DRIVER = f"""
import sys
sys.path.insert(0, {REPO!r})
from tmprun.engine import programs
programs.ENGINE = sys.prefix = sys.argv[1]  # and not where this Python has an installed one
from tmprun.start.importer import main
main(sys.argv[2:])
"""

# Stands where the front door would, and tells what it was given.
PROBE = f"""#!{sys.executable} -I
import json, os, sys
fds = {{}}
for name in os.listdir("/proc/self/fd"):
    try:
        fds[name] = os.readlink("/proc/self/fd/" + name)
    except OSError:
        pass
fds = {{name: target for name, target in fds.items() if not target.startswith(("/proc/", {sys.executable!r}))}}
words = sys.argv[1:]
index = os.pread(int(words[words.index("--index-fd") + 1]), 1 << 28, 0) if "--index-fd" in words else b""
print(json.dumps({{
    "words": [os.fsencode(word).hex() for word in words],
    "environment": open("/proc/self/environ", "rb").read().hex(),
    "fds": fds, "index": index.hex(), "pid": os.getpid(),
}}))
"""


class Heard:
    """What the probe was given."""

    def __init__(self, done: subprocess.CompletedProcess[bytes]) -> None:
        assert done.returncode == 0, done
        told = json.loads(done.stdout)
        self.words = [bytes.fromhex(word) for word in told["words"]]
        self.environment = bytes.fromhex(told["environment"])
        self.fds: dict[str, str] = told["fds"]
        self.index = bytes.fromhex(told["index"])

    def option(self, name: str) -> str:
        """The value of the option `name`."""
        return self.words[self.words.index(name.encode()) + 1].decode()


class Machine:
    """A home directory, and an engine that only listens."""

    def __init__(self, top: Path) -> None:
        self.home = top / "home"
        self.home.mkdir(mode=0o700)
        self.engine = top / "engine"
        door = self.engine / platform.machine() / "tmprun"
        door.parent.mkdir(parents=True)
        door.write_text(PROBE)
        door.chmod(0o755)
        self.environment = {b"HOME": os.fsencode(self.home)}

    @property
    def cache(self) -> Path:
        return self.home / ".cache" / "tmprun" / "v1"

    def files(self) -> list[str]:
        """All that is below the home directory and no directory."""
        return sorted(str(path.relative_to(self.home)) for path in below(self.home) if not path.is_dir())

    def command(self, *words: str | bytes | Path) -> list[str | bytes | Path]:
        return [sys.executable, "-I", "-c", DRIVER, self.engine, *words]

    def run(self, *words: str | bytes | Path) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(self.command(*words), env=self.environment, capture_output=True, check=False, timeout=60)

    def start(self, *words: str | bytes | Path) -> Heard:
        return Heard(self.run(*words))


def open_to_all(folder: Path) -> None:
    """Let other users reach `folder`, which pytest has made for its own user alone."""
    for path in [folder, *folder.parents]:
        if path.name.startswith(("pytest-", "test_")):
            path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setenv("HOME", str(made.home))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    return made


@pytest.fixture(scope="module")
def payload(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    top = tmp_path_factory.mktemp("payload")
    return mksquashfs(sample_tree(top / "tree"), top / "squashfs")


@pytest.fixture
def image(tmp_path: Path, payload: bytes) -> Path:
    """An image that nobody has written to for a while."""
    path = write_image(tmp_path / "app.AppImage", payload)
    time.sleep(SETTLE)
    return path


class TestHandover:
    def test_words(self, machine: Machine, image: Path) -> None:
        signals = ["--signals", "3"]
        given = ["--store", "--", "--what-only-the-engine-knows", "/some where", "--verify"]
        options = [*signals, *given]
        arguments = ["a", "--", "--then", b"\xff b", ""]
        words = [*signals, "--options", str(len(given)), *given, "--then", "build", "--", image, *arguments]
        heard = machine.start(*words)
        files = ["--image-fd", heard.option("--image-fd"), "--read-as", identity(image.stat())]
        files += ["--index-fd", heard.option("--index-fd")]
        assert [word.decode() for word in heard.words[:-7]] == ["@build", *files, "--again", *options]
        assert heard.words[-7:] == [b"--", os.fsencode(image), b"a", b"--", b"--then", b"\xff b", b""]

    def test_runs_when_nothing_else_is_said(self, machine: Machine, image: Path) -> None:
        assert machine.start("--signals", "0", "--", image).words[0] == b"@run"

    def test_name_of_the_image_stays_as_typed(self, machine: Machine, tmp_path: Path, payload: bytes) -> None:
        name = os.fsencode(tmp_path) + b"/\xe9 \n'x"
        write_image(Path(os.fsdecode(name)), payload)
        assert machine.start("--", name).words[-1] == name

    def test_index_is_the_image_s(self, machine: Machine, image: Path) -> None:
        heard = machine.start("--", image)
        assert heard.index == compile_image(str(image)).table
        assert decode(heard.index).paths()

    def test_nothing_else_is_open(self, machine: Machine, image: Path) -> None:
        heard = machine.start("--", image)
        image_fd, index_fd = heard.option("--image-fd"), heard.option("--index-fd")
        assert set(heard.fds) - {"0", "1", "2"} == {image_fd, index_fd}
        assert heard.fds[image_fd] == str(image)
        assert "memfd:tmprun-index" in heard.fds[index_fd]

    def test_same_process(self, machine: Machine, image: Path) -> None:
        with subprocess.Popen(machine.command("--", image), env=machine.environment, stdout=subprocess.PIPE) as process:
            assert process.stdout
            assert json.loads(process.stdout.read())["pid"] == process.pid

    def test_argv_0(self, machine: Machine, image: Path, tmp_path: Path) -> None:
        trace = tmp_path / "trace"
        command = ["strace", "-e", "trace=execve", "-o", trace, *machine.command("--", image)]
        subprocess.run(command, env={**os.environb, **machine.environment}, capture_output=True, check=True)
        assert '/tmprun", ["tmprun", "@run", ' in trace.read_text()

    @pytest.mark.parametrize(
        "locale",
        [
            [],
            [b"LANG=C"],
            [b"LC_ALL=C"],
            [b"LC_CTYPE=POSIX"],
            [b"LC_CTYPE=C.UTF-8"],
            [b"LANG=C.UTF-8"],
            [b"LANG=de_DE.ISO-8859-1"],
            [b"PYTHONCOERCECLOCALE=0", b"PYTHONHOME=/nowhere", b"PYTHONPATH=/nowhere"],
        ],
        ids=lambda entries: b" ".join(entries).decode(),
    )
    def test_environment_to_the_byte(self, machine: Machine, image: Path, tmp_path: Path, locale: list[bytes]) -> None:
        entries = [
            *locale, b"HOME=" + os.fsencode(machine.home), b"EMPTY=", b"TWICE=1", b"TWICE=2", b"BYTES=\xff\n\x01",
            b"A=b=c", b"LD_LIBRARY_PATH=::/x:", b"z=last",
        ]  # fmt: skip
        out = os.open(tmp_path / "out", os.O_RDWR | os.O_CREAT)
        pid = os.posix_spawn(
            sys.executable,
            tuple(machine.command("--", image)),
            Environment(entries),  # type: ignore[arg-type]
            file_actions=[(os.POSIX_SPAWN_DUP2, out, 1)],
        )
        assert os.waitpid(pid, 0)[1] == 0
        told = json.loads(os.pread(out, 1 << 24, 0))
        os.close(out)
        assert bytes.fromhex(told["environment"]) == b"".join(entry + b"\0" for entry in entries)

    def test_without_memfd(self, machine: Machine, image: Path, tmp_path: Path) -> None:
        """Forbidden, as under a strict seccomp filter: the same result, and nothing left behind."""
        forbidden = "def no(*_): raise PermissionError(1, 'not permitted')\nimport os; os.memfd_create = no\n"
        command = machine.command("--", image)
        command[3] = forbidden + DRIVER
        temporary = tmp_path / "tmp"
        temporary.mkdir()
        environment = {**machine.environment, b"TMPDIR": os.fsencode(temporary)}
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        heard = Heard(done)
        assert heard.index == compile_image(str(image)).table
        assert heard.fds[heard.option("--index-fd")].startswith(str(temporary))
        assert not list(temporary.iterdir())


class TestCache:
    def test_what_is_kept(self, machine: Machine, image: Path) -> None:
        heard = machine.start("--", image)
        sha256 = compile_image(str(image)).sha256.hex()
        name = identity(image.stat())
        assert machine.files() == [f".cache/tmprun/v1/image/{sha256}.index", f".cache/tmprun/v1/known/{name}"]
        assert (machine.cache / "image" / f"{sha256}.index").read_bytes() == heard.index
        assert os.readlink(machine.cache / "known" / name) == f"{sha256}.index"

    def test_modes(self, machine: Machine, image: Path) -> None:
        machine.start("--", image)
        top = machine.home / ".cache"
        modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in [top, *below(top)]}
        assert {modes[name] for name in (".cache", "tmprun", "v1", "image", "known")} == {0o700}
        (index,) = (machine.cache / "image").iterdir()
        assert modes[index.name] == 0o600

    def test_identity(self, image: Path) -> None:
        facts = image.stat()
        parts = [int(part, 16) for part in identity(facts).split("-")]
        assert parts == [facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns]
        os.utime(image, ns=(-1, -1))
        assert identity(image.stat()).split("-")[3] == "f" * 16
        os.utime(image, ns=(0, 0))
        assert identity(image.stat()).split("-")[3] == "0"

    def test_fresh_file_is_not_remembered(self, machine: Machine, image: Path) -> None:
        os.utime(image)
        ensure_known(str(image))
        assert [path.split("/")[3] for path in machine.files()] == ["image"]

    def test_known_image_is_not_read_again(
        self, machine: Machine, image: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = ensure_known(str(image))
        monkeypatch.setattr(importer, "compile_opened", None)
        monkeypatch.setattr(importer, "sha256_of", None)
        assert ensure_known(str(image)).table == first.table

    def test_copy_is_hashed_but_not_parsed(
        self, machine: Machine, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = ensure_known(str(image))
        copy = tmp_path / "copy"
        copy.write_bytes(image.read_bytes())
        time.sleep(SETTLE)
        monkeypatch.setattr(importer, "compile_opened", None)
        assert ensure_known(str(copy)).table == first.table
        assert len(list((machine.cache / "known").iterdir())) == 2
        assert len(list((machine.cache / "image").iterdir())) == 1

    def test_other_image_of_the_same_size(self, machine: Machine, image: Path, tmp_path: Path) -> None:
        ensure_known(str(image))
        content = bytearray(image.read_bytes())
        content[1000] ^= 1  # in the head, where nothing is
        other = tmp_path / "other"
        other.write_bytes(content)
        assert decode(ensure_known(str(other)).table).image_sha256 == compile_image(str(other)).sha256

    @pytest.mark.parametrize("damage", ["empty", "cut", "other", "nodes", "gone", "directory"])
    def test_damaged_index_is_made_again(self, machine: Machine, image: Path, damage: str) -> None:
        first = ensure_known(str(image)).table
        (index,) = (machine.cache / "image").iterdir()
        at = HEADER.size + 500
        contents = {
            "empty": b"",
            "cut": first[:-1],
            "other": first[:56] + bytes(32) + first[88:],
            "nodes": first[:at] + bytes(200) + first[at + 200 :],
        }
        index.unlink()
        if damage in contents:
            index.write_bytes(contents[damage])
        elif damage == "directory":
            index.mkdir()
        assert ensure_known(str(image)).table == first
        assert machine.start("--", image).index == first

    def test_front_door_that_comes_with_a_known_image_gets_a_new_index(self, machine: Machine, image: Path) -> None:
        """It would not have come if what is known had been any good to it."""
        first = ensure_known(str(image)).table
        (index,) = (machine.cache / "image").iterdir()
        before = index.stat().st_ino
        assert machine.start("--", image).index == first
        assert index.stat().st_ino != before

    def test_stale_identity_is_replaced(self, machine: Machine, image: Path) -> None:
        ensure_known(str(image))
        (name,) = (machine.cache / "known").iterdir()
        name.unlink()
        name.symlink_to("0" * 64 + ".index")
        table = ensure_known(str(image)).table
        assert os.readlink(name) == f"{decode(table).image_sha256.hex()}.index"

    @pytest.mark.parametrize(
        "text", ["", "/etc/passwd", "x.index", "0" * 64, "0" * 64 + ".tar", "../" + "0" * 61 + ".index"]
    )
    def test_identity_that_names_something_else(self, machine: Machine, image: Path, text: str) -> None:
        ensure_known(str(image))
        (name,) = (machine.cache / "known").iterdir()
        name.unlink()
        name.symlink_to(text or "x")
        with open_cache() as cache:
            assert cache.lookup(name.name) is None

    def test_xdg_cache_home(self, machine: Machine, image: Path, tmp_path: Path) -> None:
        machine.environment[b"XDG_CACHE_HOME"] = os.fsencode(tmp_path / "elsewhere")
        machine.start("--", image)
        assert (tmp_path / "elsewhere" / "tmprun" / "v1" / "image").is_dir()
        assert machine.files() == []

    def test_relative_xdg_cache_home_is_ignored(self, machine: Machine, image: Path) -> None:
        machine.environment[b"XDG_CACHE_HOME"] = b"relative"
        machine.start("--", image)
        assert machine.cache.is_dir()

    @pytest.mark.parametrize("home", [None, b"", b"relative", b"/", b"/nowhere/at/all", b"/proc"])
    def test_no_place_for_it(self, machine: Machine, image: Path, home: bytes | None) -> None:
        machine.environment = {} if home is None else {b"HOME": home}
        assert machine.start("--", image).index

    @pytest.mark.parametrize("planted", ["open", "symlink", "file", "fifo", "inner symlink", "inner open"])
    def test_planted_cache_is_not_used(self, machine: Machine, image: Path, tmp_path: Path, planted: str) -> None:
        outside = tmp_path / "outside"
        outside.mkdir(mode=0o700)
        ours = machine.home / ".cache" / "tmprun"
        (ours.parent if not planted.startswith("inner") else ours / "v1").mkdir(parents=True, mode=0o700)
        if ours.exists():
            ours.chmod(0o700)
        plant: dict[str, Callable[[], object]] = {
            "open": lambda: os.mkdir(ours, 0o777),
            "symlink": lambda: ours.symlink_to(outside),
            "file": lambda: ours.write_text("x"),
            "fifo": lambda: os.mkfifo(ours),
            "inner symlink": lambda: (ours / "v1/image").symlink_to(outside),
            "inner open": lambda: os.mkdir(ours / "v1/image", 0o777),
        }
        plant[planted]()
        if planted.startswith("inner"):
            (ours / "v1").chmod(0o700)
        before = machine.files()
        assert machine.start("--", image).index
        assert machine.files() == before
        assert not list(outside.iterdir())

    @needs_root
    def test_cache_of_another_user_is_not_used(self, machine: Machine, image: Path) -> None:
        ours = machine.home / ".cache" / "tmprun"
        ours.mkdir(parents=True, mode=0o700)
        os.chown(ours, 1000, 1000)
        assert machine.start("--", image).index
        assert machine.files() == []

    @needs_root
    def test_unwritable_home(self, machine: Machine, image: Path, tmp_path: Path) -> None:
        """As an ordinary user whose home belongs to somebody else."""
        open_to_all(tmp_path)
        machine.home.chmod(0o755)
        image.chmod(0o644)
        table = as_user(lambda: ensure_known(str(image)).table)
        assert decode(table).image_size == image.stat().st_size
        assert machine.files() == []

    @needs_root
    def test_full_disk_cache(self, machine: Machine, image: Path) -> None:
        """One that has no room for the index: the start goes on, and nothing half-written stays."""
        with open_cache():
            pass
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,mode=700", "none", machine.cache / "image"], check=True)
        try:
            assert machine.start("--", image).index
            assert not list((machine.cache / "image").iterdir())
        finally:
            subprocess.run(["umount", machine.cache / "image"], check=True)


class TestChanges:
    """The file changes while it is read: what runs is what was hashed, or it is refused."""

    def compile_while(self, monkeypatch: pytest.MonkeyPatch, image: Path, change: Callable[[], object]) -> None:
        """Compile `image`, to which `change` happens after its tables were read: refused."""

        def read_then_change(source: Source, start: int) -> Squashfs:
            found = read_squashfs(source, start)
            change()
            return found

        monkeypatch.setattr(formats.FORMATS[0], "read", read_then_change)
        with pytest.raises(BadImage, match="changed while it was read"):
            compile_image(str(image))

    def write(self, image: Path, at: int) -> None:
        """Change one byte."""
        with open(image, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0] ^ 1
            file.seek(at)
            file.write(bytes([byte]))

    @pytest.mark.parametrize("place", ["head", "superblock", "tables"])
    def test_what_was_parsed_is_not_what_is_hashed(self, image: Path, place: str) -> None:
        """Whether the file's times tell or not: the parsed bytes themselves are compared."""
        with Image(str(image)) as opened:
            source = Source(opened.fd, opened.size)
            squashfs = read_squashfs(source, read_head(source).payload)
            used = int.from_bytes(image.read_bytes()[4096 + 40 : 4096 + 48], "little")
            at = {"head": 40, "superblock": 4096 + 12, "tables": 4096 + used - 20}
            self.write(image, at[place])
            with (
                Pass(opened.fd, opened.size) as stream,
                pytest.raises(BadImage, match="changed while it was read"),
            ):
                digest(stream, squashfs.frames, source.seen)

    def test_name_that_leads_elsewhere_by_then(self, machine: Machine, image: Path, tmp_path: Path) -> None:
        """What was read is used, since that is open; nothing is remembered, of this file or of that."""
        other = tmp_path / "other"
        other.write_bytes(b"another file")
        with Image(str(image)) as opened:
            os.rename(other, image)
            assert not opened.settled
            assert b"--read-as" not in map(os.fsencode, image_options(opened))

    def test_name_of_a_descriptor_that_is_inherited(self, machine: Machine, image: Path) -> None:
        fd = os.open(image, os.O_RDONLY)
        os.set_inheritable(fd, True)
        command = machine.command("--image-fd", str(fd), "--", "a name that leads nowhere")
        done = subprocess.run(
            command, env=machine.environment, capture_output=True, check=False, timeout=60, pass_fds=[fd]
        )
        os.close(fd)
        heard = Heard(done)
        assert heard.index == compile_image(str(image)).table
        assert heard.option("--image-fd") == str(fd) and heard.fds[str(fd)] == str(image)
        assert b"--read-as" not in heard.words
        assert machine.files() == [f".cache/tmprun/v1/image/{compile_image(str(image)).sha256.hex()}.index"]

    def test_in_the_data(self, monkeypatch: pytest.MonkeyPatch, image: Path) -> None:
        self.compile_while(monkeypatch, image, lambda: self.write(image, 4096 + 200))

    def test_cut_short(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, payload: bytes) -> None:
        large = write_image(tmp_path / "large", payload + bytes(40 << 20))
        self.compile_while(monkeypatch, large, lambda: os.truncate(large, 5000))

    def test_frames_are_of_the_bytes_that_were_hashed(self, machine: Machine, image: Path) -> None:
        """One pass: the file's digest and the frames' cannot be of different bytes."""
        found = compile_image(str(image))
        whole = image.read_bytes()
        assert hashlib.sha256(whole).digest() == found.sha256
        for frame in found.squashfs.frames:
            assert hashlib.sha256(whole[frame.offset : frame.offset + frame.stored]).digest() == frame.digest


class TestRefusals:
    def refused(self, machine: Machine, status: int, *words: str | bytes | Path) -> str:
        """What is said on stderr, one line, when the importer stops with `status`; it leaves nothing in the cache."""
        done = machine.run(*words)
        said = done.stderr.decode()
        assert (done.returncode, done.stdout) == (status, b""), said
        assert said.startswith("tmprun: ")
        assert said.count("\n") == 1
        assert machine.files() == []
        return said

    def test_missing(self, machine: Machine, tmp_path: Path) -> None:
        assert "no such file" in self.refused(machine, 127, "--", tmp_path / "missing")
        assert "no such file" in self.refused(machine, 127, "--", "/etc/passwd/x")
        assert "no such file" in self.refused(machine, 127, "--")

    def test_directory(self, machine: Machine, tmp_path: Path) -> None:
        assert f"tmprun: {tmp_path}: is a directory" in self.refused(machine, 126, "--", tmp_path)

    @pytest.mark.parametrize("make", ["fifo", "socket", pytest.param("device", marks=needs_root)])
    def test_special_file(self, machine: Machine, tmp_path: Path, make: str) -> None:
        path = tmp_path / "special"
        os.mknod(path, {"fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK, "device": stat.S_IFCHR}[make], os.makedev(1, 3))
        self.refused(machine, 126, "--", path)

    @pytest.mark.parametrize("content", [b"", b"text\n" * 99, b"\x7fELF", head(), head() + b"hsqs" + bytes(500)])
    def test_no_image(self, machine: Machine, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "file"
        path.write_bytes(content)
        self.refused(machine, 126, "--", path)

    def test_type_1(self, machine: Machine, type_1_images: list[Path]) -> None:
        for image in type_1_images:
            assert "type-1 AppImage" in self.refused(machine, 126, "--", image)

    def test_cut_short(self, machine: Machine, image: Path) -> None:
        os.truncate(image, image.stat().st_size // 2)
        assert "is cut short" in self.refused(machine, 126, "--", image)

    def test_unreadable(self, machine: Machine, image: Path) -> None:
        image.chmod(0)
        open_to_all(image.parent)

        def attempt() -> tuple[str, int]:
            try:
                ensure_known(str(image))
            except TmprunError as error:
                return str(error), error.status
            return "", 0

        said, status = as_user(attempt)
        assert status == 126
        assert "Permission denied" in said

    def test_no_thread_to_be_had(self, machine: Machine, image: Path) -> None:
        """Then one does all: an administrator's limit of processes is no reason not to start."""
        image.chmod(0o644)

        def attempt() -> bytes:
            resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
            with pytest.raises(RuntimeError):
                _thread.start_new_thread(print, ())
            return compile_image(str(image)).table

        open_to_all(image.parent)
        assert as_user(attempt) == compile_image(str(image)).table

    def test_other_machine(self, machine: Machine, tmp_path: Path, payload: bytes) -> None:
        image = write_image(tmp_path / "image", payload, head(22, big=True))
        said = self.refused(machine, 126, "--signals", "0", "--", image)
        assert f"is made for s390x, and this machine is {platform.machine()}" in said
        # To look at it is no reason to refuse it.
        assert machine.start("--then", "extract", "--", image).words[0] == b"@extract"

    def test_name_with_a_line_break(self, machine: Machine, tmp_path: Path) -> None:
        assert "missing\\nname\\x1b" in self.refused(machine, 127, "--", tmp_path / "missing\nname\x1b")

    def test_unknown_option(self, machine: Machine, image: Path) -> None:
        assert "'--what'" in self.refused(machine, 127, "--what", "--", image)

    def test_engine_is_missing(self, machine: Machine, image: Path) -> None:
        (machine.engine / platform.machine() / "tmprun").unlink()
        done = machine.run("--", image)
        assert done.returncode == 127
        assert done.stderr.count(b"\n") == 1

    def test_traceback_only_on_request(self, machine: Machine, tmp_path: Path) -> None:
        machine.environment[b"TMPRUN_LOG"] = b"debug"
        done = machine.run("--", tmp_path / "missing")
        assert b"Traceback" in done.stderr
        assert done.stderr.splitlines()[-1].startswith(b"tmprun: ")


def test_interrupt_ends_it_like_any_program(machine: Machine, tmp_path: Path, payload: bytes) -> None:
    huge = write_image(tmp_path / "huge", payload)
    os.truncate(huge, 60 << 30)
    with subprocess.Popen(
        machine.command("--", huge), env=machine.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=20)
    assert (process.returncode, out, said) == (-signal.SIGINT, b"", b"")


def test_debug_log_says_where_the_time_goes(machine: Machine, image: Path) -> None:
    machine.environment[b"TMPRUN_LOG"] = b"debug"
    done = machine.run("--", image)
    (line,) = done.stderr.decode().splitlines()
    for step in ("python", "tables", "hash", "index", "cache", "handover"):
        assert f"{step} " in line


def test_import_of_a_zstd_image_loads_nothing_slow(machine: Machine, hello: dict[str, Path]) -> None:
    """Each of these takes about as long as all the rest of the import of a small image."""
    site = [path for path in sys.path if path.endswith("site-packages")]
    code = f"""
import sys
sys.path += {[REPO, *site]!r}
from tmprun.start.importer import compile_image
compile_image(sys.argv[1])
print(*sys.modules)
"""
    command = [sys.executable, "-I", "-S", "-c", code, str(hello["zstd"])]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    slow = {"typing", "re", "enum", "threading", "dataclasses", "json", "pathlib", "logging", "zstandard", "platform"}
    assert not slow & set(done.stdout.split())


@pytest.mark.parametrize(
    ("fraction", "age", "fresh"),
    [(1, 49, True), (1, 51, False), (0, 51, True), (0, 1999, True), (0, 2001, False), (1, -60, False)],
)
def test_times_in_whole_seconds_are_coarse(
    monkeypatch: pytest.MonkeyPatch, fraction: int, age: int, fresh: bool
) -> None:
    """`age` in milliseconds; what has no fraction of a second may be of a clock that knows none."""
    changed = 1_800_000_000 * 10**9 + fraction
    monkeypatch.setattr(time, "time_ns", lambda: changed + age * 10**6)
    facts = os.stat_result((0,) * 10, {"st_ctime_ns": changed})
    assert is_fresh(facts) == fresh


def test_settled_means_older_than_a_tick(image: Path) -> None:
    assert not is_fresh(image.stat())
    os.utime(image)
    assert is_fresh(image.stat())
