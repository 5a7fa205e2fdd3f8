"""An archive of 2 GB is converted in bounded memory, by its first start and by `tmprun convert`."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import psutil
import pytest
from kit.archives import member
from kit.harness import Harness

MB = 1_000_000
MOST = 250 * MB
FILES, SIZE = 20, 100 * MB


class Peak:
    """The largest resident size of a process and all below it together, as far as one sees it 20 times a second."""

    def __init__(self, pid: int) -> None:
        self.bytes = 0
        self._process = psutil.Process(pid)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self.bytes = max(self.bytes, sum(map(_resident, [self._process, *_below(self._process)])))

    def end(self) -> int:
        self._done.set()
        self._thread.join()
        return self.bytes


def _below(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def large(path: Path) -> Path:
    """A tar archive of data that can be compressed, and of noise, in turns; and one file of 300 MB."""
    program = member("AppRun", b"#!/bin/sh\n", mode=0o755)
    with subprocess.Popen(["zstd", "-1", "-q", "-o", path], stdin=subprocess.PIPE) as zstd:
        assert zstd.stdin
        zstd.stdin.write(program[0].tobuf() + program[1] + bytes(-len(program[1]) % 512))
        for number in range(FILES):
            size = SIZE * (3 if number == 7 else 1)
            zstd.stdin.write(member(f"data/{number}", b"", size=size)[0].tobuf())
            block = os.urandom(MB) if number % 2 else b"%8d" % number * (MB // 8)
            for _ in range(size // MB):
                zstd.stdin.write(block)
            zstd.stdin.write(bytes(-size % 512))
        zstd.stdin.write(bytes(1024))
    assert zstd.returncode == 0
    return path


@pytest.mark.soak
def test_two_gigabytes(harness: Harness, door_with_python: Path, tmp_path: Path) -> None:
    archive = large(tmp_path / "big.tar.zst")
    for command in (["convert", archive, "-o", tmp_path / "out", "--level", "1"], [archive, "--appimage-list"]):
        process = harness.start(door_with_python, *command)
        peak = Peak(process.pid)
        result = harness.finish(process, timeout=1800)
        assert result.status == 0, str(result)
        print(command[0], peak.end() // MB, "MB")
        assert 0 < peak.end() < MOST, command
