"""One look at the machine: against other programs' answers, and against /proc and /sys laid out by hand."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from kit.store_layout import as_user, user_folder
from kit.surroundings import needs_root

from tmprun.host import look as host
from tmprun.host import memory
from tmprun.host.memory import Memory

Seen = Callable[[dict[str, str]], Memory]

MEMINFO = (
    "MemTotal:       8000000 kB\nMemFree:         100000 kB\nMemAvailable:    5000000 kB\nHugePages_Total:       0\n"
)


@pytest.fixture
def seen_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """The memory of a machine that shows these files."""

    def look(files: dict[str, str]) -> Memory:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path / "proc"))
        return memory.look(str(tmp_path))

    return look


def test_memory_without_groups(seen_in: Seen) -> None:
    found = seen_in({"proc/meminfo": MEMINFO})
    assert found == Memory(8_000_000 * 1024, 5_000_000 * 1024, None, None)
    assert found.ours == 8_000_000 * 1024


def test_memory_limit_of_a_group_above_ours(seen_in: Seen) -> None:
    found = seen_in(
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "0::/user/app\n",
            "proc/self/mountinfo": "30 20 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n",
            "sys/fs/cgroup/user/app/memory.max": "max\n",
            "sys/fs/cgroup/user/app/memory.current": "7\n",
            "sys/fs/cgroup/user/memory.max": "134217728\n",
            "sys/fs/cgroup/user/memory.current": "1000000\n",
        },
    )
    assert (found.limit, found.used, found.ours) == (134_217_728, 1_000_000, 134_217_728)


def test_memory_limit_in_version_1_in_a_container(seen_in: Seen) -> None:
    """The container's group is mounted as if it were the top one."""
    found = seen_in(
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "9:cpu:/docker/abc\n4:memory:/docker/abc\n",
            "proc/self/mountinfo": "30 20 0:26 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
            "31 20 0:27 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "67108864\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "5\n",
            "sys/fs/cgroup/cpu/memory.limit_in_bytes": "1\n",
        },
    )
    assert (found.limit, found.used) == (67_108_864, 5)


def test_memory_version_1_without_a_limit(seen_in: Seen) -> None:
    found = seen_in(
        {
            "proc/self/cgroup": "4:memory:/\n",
            "proc/self/mountinfo": "30 20 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert found.limit is None


@pytest.mark.parametrize("files", [{}, {"proc/meminfo": ""}, {"proc/meminfo": "MemTotal: much\n"}])
def test_memory_without_a_proc_that_tells(seen_in: Seen, files: dict[str, str]) -> None:
    assert seen_in(files) == Memory(0, 0, None, None)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> host.Host:
    return host.look(str(tmp_path_factory.mktemp("store")))


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_facts_agree_with_other_programs(here: host.Host) -> None:
    assert here.kernel == output("uname", "-sr")
    assert here.machine == output("uname", "-m")
    assert here.processors == int(output("nproc"))
    assert here.libc.split()[1] in output("ldd", "--version").split("\n")[0]
    assert [str(limit) if limit >= 0 else "unlimited" for limit in here.open_files] == [
        output("sh", "-c", "ulimit -S -n"),
        output("sh", "-c", "ulimit -H -n"),
    ]
    total = int(output("free", "--bytes").split()[7])
    assert here.memory.total == total


def test_loaders_are_there(here: host.Host) -> None:
    program = output("sh", "-c", "readelf -l /bin/sh | sed -n 's/.*interpreter: \\(.*\\)]/\\1/p'")
    assert program in here.loaders
    assert all(os.path.exists(loader) for loader in here.loaders)


def test_user_namespaces_as_unshare_finds_them(here: host.Host) -> None:
    allowed = subprocess.run(["unshare", "--user", "true"], capture_output=True, check=False).returncode == 0
    assert (here.user_namespaces == "yes") == allowed


def test_lease_granted(here: host.Host) -> None:
    assert here.leases.tried == "granted"
    assert here.leases.enabled is True
    assert here.leases.break_time is not None
    assert here.leases.break_time > 0


def test_lease_where_nothing_can_be_written() -> None:
    def look() -> str:
        return host.look(str(top)).leases.tried

    with user_folder() as top:
        top.chmod(0o555)
        assert as_user(look).startswith("refused: EACCES")


def test_without_a_store_no_lease_is_tried() -> None:
    assert host.look(None).leases.tried == "no store to try it in"


@needs_root
def test_user_namespace_refused() -> None:
    """Inside a chroot nobody may make one: the kernel's own rule."""

    def attempt() -> str:
        os.chroot(top)
        return host.look(None).user_namespaces

    with user_folder() as top:
        assert as_user(attempt, uid=0) == "Operation not permitted"
