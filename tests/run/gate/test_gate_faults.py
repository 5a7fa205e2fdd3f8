"""Whatever happens to the filler, the image or the store: an app reads its own bytes, or none."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from kit.counting import Record, counted
from kit.gating import EVERYTHING, LINGER, Gated, copy_of, helpers, is_complete, is_gone, only, stopped, tree_of, truth
from kit.harness import Harness, Result, wait_until
from kit.surroundings import require_root, unshare

RIGHT = b"right %d\n" % EVERYTHING
ENDED = "tmprun: the app was ended, since a file of it cannot be unpacked: "


@pytest.fixture
def image(tmp_path: Path, gated_app: Gated) -> Gated:
    """A copy that may be spoilt."""
    return copy_of(gated_app, tmp_path / "copy")


class Waiting:
    """An app that has started, and goes on to `orders` when it is told to."""

    def __init__(self, harness: Harness, image: Gated, *orders: str, mode: str = "demand", **settings: str) -> None:
        self.harness = harness
        ready, self.gate = harness.base / "ready", harness.base / "go"
        environment = truth(image, mode) | settings
        self.process = harness.start(
            harness.door, image.image, f"touch={ready}", f"wait={self.gate}", *orders, env=environment
        )
        wait_until(ready.exists)

    def go(self) -> None:
        self.gate.touch()

    def result(self) -> Result:
        self.go()
        return self.harness.finish(self.process)


def right_or_ended(result: Result, expected: bytes) -> None:
    """Assert that the app got its bytes, or that it was ended and a person told why."""
    assert b"wrong" not in result.stdout, str(result)
    if result.status == 0:
        assert result.stdout == expected, str(result)
    else:
        assert_ended(result)


def assert_ended(result: Result, why: str = "") -> None:
    assert result.status == -signal.SIGKILL, str(result)
    assert b"wrong" not in result.stdout
    lines = [line for line in result.stderr.decode().splitlines() if line.startswith(ENDED)]
    assert len(lines) == 1 and why in lines[0], str(result)


def kill_fillers(store: Path, process: subprocess.Popen[bytes], chance: random.Random, longest: float) -> int:
    """Kill whoever fills, again and again at random moments, as long as the app runs; how often."""
    killed = 0
    while process.poll() is None:
        time.sleep(chance.uniform(0, longest))
        # Both at the same instant is the app's end.
        found = {helper.kind: helper for helper in helpers(store)}
        if len(helpers(store)) != 2 or len(found) != 2 or found["guard"].parent() != found["filler"].pid:
            continue
        with suppress(ProcessLookupError):
            found["filler"].send(signal.SIGKILL)
            killed += 1
    return killed


@pytest.mark.parametrize("mode", ["background", "demand"])
def test_killed_fillers_are_replaced(harness: Harness, gated_app: Gated, mode: str) -> None:
    chance, killed, seed = random.Random(mode), 0, 0
    while killed < 8:
        seed += 1
        assert seed < 100, "the app always ended first"
        harness.clear()
        process = harness.start(gated_app.image, f"read={seed},2,2", env=truth(gated_app, mode))
        killed += kill_fillers(harness.store, process, chance, 0.02)
        assert harness.finish(process).stdout == b"right %d\n" % (2 * EVERYTHING) * 2
        wait_until(lambda: is_complete(harness), LINGER)


@pytest.mark.soak
def test_two_thousand_killed_fillers(harness: Harness, gated_app: Gated, record_property: Record) -> None:
    chance, killed, seed = random.Random(2000), 0, 0
    while killed < 2000:
        seed += 1
        harness.clear()
        mode = "background" if seed % 2 else "demand"
        process = harness.start(gated_app.image, f"read={seed},2,3", "sleep=0.05", env=truth(gated_app, mode))
        killed += kill_fillers(harness.store, process, chance, 0.01)
        assert harness.finish(process).stdout == b"right %d\n" % (3 * EVERYTHING) * 2
        wait_until(lambda: not helpers(harness.store), LINGER)
    counted(record_property, {"killed fillers": killed, "apps": seed})


def test_a_guard_and_then_its_filler_are_killed(harness: Harness, image: Gated) -> None:
    app = Waiting(harness, image, "read=3,2,2")
    for _ in range(5):
        guard, filler = only(harness.store, "guard"), only(harness.store, "filler")
        guard.send(signal.SIGKILL)
        wait_until(lambda before=guard: only(harness.store, "guard") != before)
        assert helpers(harness.store, "filler") == [filler]
        filler.send(signal.SIGKILL)
        wait_until(lambda before=filler: only(harness.store, "filler") != before)
    assert app.result().stdout == b"right %d\n" % (2 * EVERYTHING) * 2


def test_a_lost_guard_is_noticed_where_children_are_ignored(harness: Harness, image: Gated) -> None:
    """SIGCHLD ignored, as some callers leave it: the kernel then tells nobody of a dead child."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        app = Waiting(harness, image, "read=1,1,1")
        guard = only(harness.store, "guard")
        guard.send(signal.SIGKILL)
        wait_until(lambda: only(harness.store, "guard") != guard)
        only(harness.store, "filler").send(signal.SIGKILL)
        app.go()
        assert app.process.stdout is not None and app.process.stdout.read() == RIGHT
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_stopped_filler_is_replaced(harness: Harness, image: Gated) -> None:
    app = Waiting(harness, image, "read=1,1,1")
    filler = only(harness.store, "filler")
    filler.send(signal.SIGSTOP)
    started = time.monotonic()
    assert app.result().stdout == RIGHT
    assert time.monotonic() - started < 20
    assert filler not in helpers(harness.store)


def test_a_stopped_guard_ends_with_its_filler(harness: Harness, image: Gated) -> None:
    app = Waiting(harness, image, "open=usr/share/large")
    only(harness.store, "guard").send(signal.SIGSTOP)
    assert app.result().stdout == b"right 1\n"
    wait_until(lambda: is_gone(harness), LINGER)


def test_a_filler_killed_before_the_app_starts(harness: Harness, gated_app: Gated) -> None:
    """Then everything is unpacked first, or there was nobody to kill."""
    for delay in range(12):
        harness.clear()
        process = harness.start(gated_app.image, "read=1,1,1", env=truth(gated_app, "background"))
        end = time.monotonic() + delay * 0.002
        while time.monotonic() < end and not helpers(harness.store, "filler"):
            continue
        for filler in helpers(harness.store, "filler"):
            filler.send(signal.SIGKILL)
        result = harness.finish(process)
        assert (result.status, result.stdout) == (0, RIGHT), str(result)


def end_all(store: Path) -> None:
    """Kill whoever fills, heirs as well."""
    while found := helpers(store):
        for helper in found:
            with suppress(ProcessLookupError):
                helper.send(signal.SIGKILL)


def test_a_dead_tree_is_built_anew(harness: Harness, image: Gated) -> None:
    """Filler and guard killed while nobody reads: the app ends with them, and the next start builds anew."""
    app = Waiting(harness, image)
    end_all(harness.store)
    assert app.process.wait(10) == -signal.SIGKILL
    second = harness.run(image.image, "read=1,1,1", env=truth(image, "background"))
    assert second.stdout == RIGHT
    assert b"is not as it was published" in second.stderr and b"unpacked into" in second.stderr


def lose_two(harness: Harness, image: Gated, chance: random.Random) -> Result:
    """Filler and guard killed 0 to 50 ms apart, in either order, while the app waits in an open or reads on."""
    app = Waiting(harness, image, f"read={chance.randrange(1000)},1,3")
    lost = [only(harness.store, "guard"), only(harness.store, "filler")]
    chance.shuffle(lost)
    stop = chance.random() < 0.5
    for helper in lost if stop else []:
        helper.send(signal.SIGSTOP)
    app.go()
    time.sleep(0.03 if stop else chance.uniform(0, 0.02))
    for helper in lost:
        with suppress(ProcessLookupError):
            helper.send(signal.SIGKILL)
        time.sleep(chance.choice([0, 0, 0.0002, 0.001, 0.002, 0.01, 0.05]))
    end_all(harness.store)
    return app.result()


def killed_or_right(result: Result, expected: bytes) -> bool:
    """Assert that the app read right bytes only; whether the kernel ended it."""
    assert b"wrong" not in result.stdout and b"failed" not in result.stdout, str(result)
    assert result.status == -signal.SIGKILL or (result.status, result.stdout) == (0, expected), str(result)
    return result.status != 0


def test_without_its_helpers_the_app_ends(harness: Harness, image: Gated) -> None:
    chance, killed = random.Random(4), 0
    for _ in range(12):
        harness.clear()
        (harness.base / "ready").unlink(missing_ok=True)
        (harness.base / "go").unlink(missing_ok=True)
        killed += killed_or_right(lose_two(harness, image, chance), b"right %d\n" % (3 * EVERYTHING))
    assert killed >= 4, "it always ended before its helpers did"


@pytest.mark.soak
def test_two_thousand_double_kills(in_memory: Harness, image: Gated, record_property: Record) -> None:
    chance, counts = random.Random(2000), Counter({"double kills": 0, "that ended the app": 0, "that read zeros": 0})
    for _ in range(2000):
        in_memory.clear()
        (in_memory.base / "ready").unlink(missing_ok=True)
        (in_memory.base / "go").unlink(missing_ok=True)
        counts["double kills"] += 1
        ended = killed_or_right(lose_two(in_memory, image, chance), b"right %d\n" % (3 * EVERYTHING))
        counts["that ended the app"] += ended
        in_memory.started.clear()
        in_memory.history.clear()
    counted(record_property, counts)
    assert counts["that ended the app"] > 500, counts


@pytest.mark.parametrize("mode", ["background", "demand"])
@pytest.mark.parametrize("how", ["replaced", "removed"])
def test_an_image_that_loses_its_name_is_read_to_the_end(harness: Harness, image: Gated, mode: str, how: str) -> None:
    app = Waiting(harness, image, "read=1,2,2", mode=mode)
    if how == "replaced":
        other = image.image.with_name("other")
        other.write_bytes(b"another image")
        other.replace(image.image)
    else:
        image.image.unlink()
    assert app.result().stdout == b"right %d\n" % (2 * EVERYTHING) * 2


@pytest.mark.parametrize("mode", ["background", "demand"])
@pytest.mark.parametrize("how", ["truncated", "overwritten"])
def test_a_spoilt_image_never_shows(harness: Harness, image: Gated, mode: str, how: str) -> None:
    """In the background everything may have been read before. Who writes has it open before the start: no lease."""
    size = image.image.stat().st_size
    with image.image.open("r+b") as file:
        app = Waiting(harness, image, "read=1,1,2", mode=mode)
        if how == "truncated":
            file.truncate(size // 20)
        else:
            file.seek(size // 20)
            file.write(bytes(size - size // 20))
    result = app.result()
    right_or_ended(result, b"right %d\n" % (2 * EVERYTHING))
    if mode == "demand":
        assert_ended(result)
    if result.status != 0:
        wait_until(lambda: is_gone(harness), LINGER)
        harness.run(image.image, env=truth(image), status=126)


def test_a_bundle_cannot_be_overwritten_while_it_fills_by_itself(harness: Harness, image: Gated) -> None:
    """The filler is a process of the stub, and nobody writes to a program that runs. A new file instead is fine."""
    ready, go = harness.base / "ready", harness.base / "go"
    process = harness.start(image.image, f"touch={ready}", f"wait={go}", "read=1,1,1", env=truth(image, "demand"))
    wait_until(ready.exists)
    with pytest.raises(OSError, match="Text file busy"):
        image.image.open("r+b").close()
    go.touch()
    assert harness.finish(process).stdout == RIGHT


def flip_a_bit(image: Gated, path: str) -> None:
    """In the middle of a file that the bundle holds as it is."""
    content = (image.appdir / path).read_bytes()
    whole = image.image.read_bytes()
    at = whole.index(content[1000:1100]) + 50
    with image.image.open("r+b") as file:
        file.seek(at)
        file.write(bytes([whole[at] ^ 1]))


def test_who_opens_no_damaged_file_lives(harness: Harness, image: Gated) -> None:
    """Four starts of one tree, a stranger whose working directory it is, and one file that cannot be filled."""
    flip_a_bit(image, "usr/share/large")
    go = harness.base / "go"
    words = [harness.door, image.image, f"wait={go}"]
    bad = Waiting(harness, image, "open=usr/lib/lib1.so.1", "open=usr/share/large")
    good = [harness.start(*words, "open=usr/lib/lib2.so.2", "sleep=1", env=truth(image, "demand")) for _ in range(3)]
    stranger = subprocess.Popen(["sleep", "60"], cwd=tree_of(harness))
    try:
        names = sorted(os.listdir(tree_of(harness) / "usr/share"))
        time.sleep(0.3)
        result = bad.result()
        assert result.status == -signal.SIGKILL and b"wrong" not in result.stdout, str(result)
        assert ENDED.encode() in result.stderr
        for process in good:
            assert harness.finish(process).stdout == b"right 1\n"
        assert stranger.poll() is None
        assert sorted(os.listdir(tree_of(harness) / "usr/share")) == names
        (tree_of(harness) / "usr/hard").stat()
        again = harness.run(harness.door, image.image, "open=usr/hard", env=truth(image, "demand"), status=None)
        assert_ended(again)  # another name of the same file
    finally:
        stranger.kill()
        stranger.wait()
    wait_until(lambda: is_gone(harness), LINGER)


def test_everybody_who_opens_what_is_damaged_is_ended_and_told(harness: Harness, image: Gated) -> None:
    words = [harness.door, image.image, f"wait={harness.base / 'go'}", "open=usr/share/large"]
    with image.image.open("r+b") as file:
        app = Waiting(harness, image, "open=usr/lib/lib1.so.1")
        other = harness.start(*words, env=truth(image, "demand"))
        wait_until(lambda: (Path("/proc") / str(other.pid) / "exe").readlink().name == "AppRun")
        file.truncate(200_000)
    assert_ended(app.result())
    assert_ended(harness.finish(other))


STORE_ON_TMPFS = """
mkdir -m 700 "$TMPRUN_STORE"
mount -t tmpfs -o mode=700,size=40m none "$TMPRUN_STORE"
"$@" & app=$!
while ! [ -e "$READY" ]; do sleep 0.01; done
dd if=/dev/zero of="$TMPRUN_STORE/ballast" bs=64k status=none 2> /dev/null
touch "$GO"
wait $app
"""


@pytest.mark.parametrize("mode", ["background", "demand"])
def test_a_store_that_fills_up_ends_the_app_with_a_message(harness: Harness, image: Gated, mode: str) -> None:
    ready, go = harness.base / "ready", harness.base / "go"
    settings = truth(image, mode) | {"READY": str(ready), "GO": str(go)}
    words = [image.image, f"touch={ready}", f"wait={go}", "read=1,1,2"]
    result = harness.run(*unshare("-m"), "sh", "-c", STORE_ON_TMPFS, "sh", *words, env=settings, status=None)
    assert b"wrong" not in result.stdout and b"failed" not in result.stdout
    if mode == "demand" or result.status:
        assert result.status == 128 + signal.SIGKILL
        assert ENDED + "no space left" in result.stderr.decode()
    else:  # everything was there, but for the note that it is
        assert result.stdout == b"right %d\n" % (2 * EVERYTHING)


# What the engine reads of these two is replaced; the kernel's own setting stays as it is for everybody else.
PRETEND = 'echo "$VALUE" > value; mount --bind value "/proc/sys/fs/$NAME"; exec "$@"'


def pretending(harness: Harness, name: str, value: int, *words: str | Path, **settings: str) -> Result:
    environment = {"NAME": name, "VALUE": str(value)} | settings
    return harness.run(*unshare("-m"), "sh", "-c", PRETEND, "sh", *words, env=environment, status=None)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("leases-enable", 0, "this kernel gives no leases"),
        ("lease-break-time", 1, "fs.lease-break-time is too short"),
    ],
)
def test_without_leases_everything_is_unpacked_first(
    harness: Harness, image: Gated, name: str, value: int, reason: str
) -> None:
    settings = {key: text for key, text in truth(image, "background").items() if text}
    result = pretending(harness, name, value, image.image, "read=1,1,1", **settings)
    assert result.stdout == RIGHT
    assert f"unpacking everything first: {reason}" in result.stderr.decode()
    assert is_complete(harness)


@pytest.fixture
def no_leases() -> Iterator[None]:
    """The kernel refuses leases, to everybody: for a moment."""
    require_root()
    setting = Path("/proc/sys/fs/leases-enable")
    before = setting.read_text()
    setting.write_text("0")
    try:
        yield
    finally:
        setting.write_text(before)


def test_a_kernel_that_refuses_is_believed(harness: Harness, image: Gated, no_leases: None) -> None:
    """As on file systems without leases, though it claims to have them."""
    settings = {key: text for key, text in truth(image, "demand").items() if text}
    result = pretending(harness, "leases-enable", 1, image.image, "read=1,1,1", **settings)
    assert result.stdout == RIGHT
    assert "unpacking everything first: the store's file system refuses leases" in result.stderr.decode()


def test_an_app_that_slept_with_its_filler_is_not_shown_zeros(harness: Harness, image: Gated) -> None:
    """Both stopped, as in a paused container, while an open waits: the kernel's patience may be over then."""
    ready, go = harness.base / "ready", harness.base / "go"
    words = [image.image, f"touch={ready}", f"wait={go}", "open=usr/share/large"]
    settings = {key: text for key, text in truth(image, "demand").items() if text}
    script = PRETEND.replace('exec "$@"', '"$@"')
    process = harness.start(
        *unshare("-m"), "sh", "-c", script, "sh", *words, env=settings | {"NAME": "lease-break-time", "VALUE": "8"}
    )
    wait_until(ready.exists)
    inode = (tree_of(harness) / "usr/share/large").stat().st_ino
    asked_for = re.compile(rf"LEASE +BREAKING .*:{inode} ")  # proc_locks(5)
    with stopped(harness.store):
        go.touch()
        wait_until(lambda: asked_for.search(Path("/proc/locks").read_text()))
        time.sleep(6.5)
    result = harness.finish(process)
    assert result.status == 128 + signal.SIGKILL, str(result)
    assert ENDED + "it takes too long; try again with TMPRUN_FILL=eager" in result.stderr.decode()


@pytest.mark.parametrize(("patience", "seconds"), [(8, 8.0), pytest.param(45, 50.0, marks=pytest.mark.soak)])
def test_an_open_that_was_not_noticed_before_the_helpers_slept(
    harness: Harness, image: Gated, patience: int, seconds: float
) -> None:
    """Nobody has set a timer for that open. The kernel lets it through after 45 s."""
    ready, go = harness.base / "ready", harness.base / "go"
    words = [
        harness.door,
        image.image,
        "open=usr/lib/lib1.so.1",
        f"touch={ready}",
        f"wait={go}",
        "open=usr/share/large",
    ]
    settings = {key: text for key, text in truth(image, "demand").items() if text}
    pretend = settings | {"NAME": "lease-break-time", "VALUE": str(patience)}
    process = harness.start(*unshare("-m"), "sh", "-c", PRETEND, "sh", *words, env=pretend)
    wait_until(ready.exists)
    with stopped(harness.store):
        go.touch()
        time.sleep(seconds)
        assert process.poll() is not None, "it would go on when all wake"
    result = harness.finish(process)
    assert (result.status, result.stdout) == (-signal.SIGKILL, b"right 1\n"), str(result)


def test_a_process_limit_that_leaves_no_room_for_a_guard(harness: Harness, image: Gated) -> None:
    """Without a second process the app must not run on files that are not full."""
    log = harness.base / "strace"
    spoil = ["-f", "-qq", "-o", log, "-e", "trace=fork,clone,vfork", "-e", "inject=fork:error=EAGAIN:when=1+"]
    result = harness.run("strace", *spoil, image.image, "read=1,1,1", env=truth(image, "demand"))
    assert result.stdout == RIGHT
    assert b"unpacking everything first" in result.stderr


@pytest.mark.parametrize("call", ["eventfd2", "timer_create", "bind", "clone", "socketpair"])
@pytest.mark.parametrize("what", ["error=EPERM", "error=EAGAIN"])
def test_what_is_refused_before_the_app_goes_unpacks_everything_first(
    harness: Harness, image: Gated, call: str, what: str
) -> None:
    opens = [f"open={path}" for path in sorted(image.gated)]
    spoil = ["-f", "-qq", "-o", harness.base / "strace", "-e", f"trace={call}", "-e", f"inject={call}:{what}"]
    result = harness.run("strace", *spoil, image.image, *opens, env=truth(image, "demand"))
    assert result.stdout == b"right 1\n" * len(opens)
    assert b"unpacking everything first" in result.stderr


@pytest.mark.parametrize("number", range(2, 16))
def test_a_process_limit_never_shows(in_memory: Harness, gated_app: Gated, nobody: int, number: int) -> None:
    """The threads of the filler count, too: whichever of them is refused, the app reads its own bytes."""
    opens = [f"open={path}" for path in sorted(gated_app.gated)[::4]]
    for place in (in_memory.base, *(in_memory.base / name for name in ("home", "work", "cache"))):
        os.chown(place, nobody, nobody)
    words = ["prlimit", f"--nproc={number}:{number}", gated_app.image, *opens]
    result = in_memory.run(*words, env=truth(gated_app, "demand"), user=nobody, group=nobody, extra_groups=[])
    assert result.stdout == b"right 1\n" * len(opens), str(result)


def test_a_name_that_the_app_has_given_to_another_file_stays_the_apps(harness: Harness, image: Gated) -> None:
    """What cannot be filled has two names in the image; only where it still is, something is put in its place."""
    flip_a_bit(image, "usr/share/large")
    app = Waiting(harness, image, "open=usr/hard")
    other = Waiting(harness, image, "sleep=1")
    tree = tree_of(harness)
    (tree / "usr/own").write_text("the app's own")
    (tree / "usr/own").rename(tree / "usr/share/large")
    assert_ended(app.result())
    assert (tree / "usr/share/large").read_text() == "the app's own"
    assert other.result().status == 0


def test_what_the_app_has_moved_and_cannot_be_filled_ends_it(harness: Harness, image: Gated) -> None:
    """By its new name, which we do not know, somebody would read an empty file."""
    flip_a_bit(image, "usr/share/large")
    app = Waiting(harness, image, "open=usr/hard")
    other = Waiting(harness, image, "sleep=20")
    tree = tree_of(harness)
    (tree / "usr/share/large").rename(tree / "usr/share/moved")
    assert_ended(app.result())
    assert_ended(other.result())
    wait_until(lambda: is_gone(harness), LINGER)


A_DEV_WITH_A_JOURNAL = """
mkdir dev
for name in null zero urandom; do : > dev/$name; mount --bind /dev/$name dev/$name; done
ln -s "$JOURNAL" dev/log
mount --rbind dev /dev
exec "$@"
"""


def test_last_words_reach_who_cannot_see_the_apps_stderr(
    harness: Harness, door_with_python: Path, image: Gated
) -> None:
    """As a service's: a socket, which nobody can open. The journal hears it, `info` has it, the next start says it."""
    require_root()  # in a user namespace the filler cannot tell whether anybody is left, and stays
    flip_a_bit(image, "usr/share/large")
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.bind(str(harness.base / "log"))
    ours, theirs = socket.socketpair()
    settings = truth(image, "demand") | {"JOURNAL": str(harness.base / "log"), "TMPRUN_LOG": None}
    command = [
        *unshare("-m"),
        "sh",
        "-ec",
        A_DEV_WITH_A_JOURNAL,
        "sh",
        harness.door,
        image.image,
        "open=usr/share/large",
    ]
    with journal, ours, theirs:
        app = subprocess.Popen(
            command, cwd=harness.work, env=harness.environment(settings), stdout=subprocess.PIPE, stderr=theirs
        )
        assert app.communicate(timeout=30)[0] == b"" and app.returncode == -signal.SIGKILL
        journal.settimeout(10)
        said = journal.recv(10_000).decode()
        ours.setblocking(False)
        with pytest.raises(BlockingIOError):
            ours.recv(1)
    why = said.partition(ENDED.removeprefix("tmprun: "))[2]
    assert said.startswith(f"<11>tmprun: {image.image}: the app was ended") and "SHA-256" in why
    wait_until(lambda: is_gone(harness), LINGER)
    assert json.loads(harness.run(door_with_python, "info", "--json", image.image).stdout)["ended"] == why
    again = harness.run(harness.door, image.image, "open=usr/lib/lib1.so.1", env=truth(image, "demand"))
    assert (
        again.stderr.decode().count(f"the last time it was ended, since a file of it could not be unpacked: {why}\n")
        == 1
    )
    wait_until(lambda: is_gone(harness), LINGER)
    third = harness.run(harness.door, image.image, "open=usr/lib/lib1.so.1", env=truth(image, "demand"))
    assert b"the last time" not in third.stderr
    assert json.loads(harness.run(door_with_python, "info", "--json", image.image).stdout)["ended"] == ""
