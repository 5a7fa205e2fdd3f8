"""What a file is, and what is said of one that is no app."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from kit.apps import write
from kit.archives import KINDS, tree
from kit.foreign_images import head

from tmprun.archives import kinds, reading
from tmprun.archives.kinds import Kind
from tmprun.errors import BadImage, TmprunError, UnsupportedImage


def kind_of(path: Path) -> Kind:
    with path.open("rb") as file:
        return kinds.kind_of(file.fileno(), path.name)


def refused(path: Path) -> str:
    with pytest.raises(TmprunError) as caught:
        kind_of(path)
    assert caught.value.status == 126 and caught.value.remedy
    return str(caught.value)


@pytest.mark.parametrize("name", KINDS)
def test_archives_are_known_by_their_content(tmp_path: Path, name: str) -> None:
    archive = KINDS[name](tmp_path / f"app.{name}", tree(tmp_path))
    found = kind_of(archive.rename(tmp_path / "nameless"))
    compressors = {"tar.gz": "gzip", "tar.xz": "xz", "tar.zst": "zstd", "tar.bz2": "bzip2", "tar.lz4": "lz4"}
    assert found.format == {"AppImage": "iso"}.get(name, "tar" if "tar" in name else name)
    assert found.compressor == compressors.get(name, "")


# What a file begins with, how it is called, and words of what is said.
NO_APPS = {
    "web page": (b"\n<!DOCTYPE html>\n<html>", "a.tar.gz", "web page.*curl -LO"),
    "old web page": (b"<HTML><head>", "a", "web page"),
    "flatpak": (b"flatpak\0\1", "a.flatpak", "Flatpak.*flatpak install a.flatpak"),
    "reference": (b"[Flatpak Ref]\nName=x", "a.flatpakref", "Flatpak"),
    "snap": (b"hsqs" + bytes(100), "a.snap", "snap install a.snap"),
    "windows": (b"MZ\x90\0", "a.exe", "Windows.*Linux"),
    "macos": (b"\xcf\xfa\xed\xfe\7", "a", "macOS.*Linux"),
    "macos both": (b"\xca\xfe\xba\xbe", "a", "macOS"),
    "rar": (b"Rar!\x1a\7", "a.rar", "RAR.*unpack"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\n", "a.AppImage", "git lfs pull"),
    "script": (b"#!/bin/sh\n", "a", "script.*without tmprun"),
    "text": (b"hello\n", "a", "is text"),
    "text in UTF-8": ("caf\xe9 \u65e5".encode() * 300, "a", "is text"),
    "zeros": (bytes(5000), "a.AppImage", "zeros.*download it again"),
    "half": (b"\x01\x02\x03\x04" * 100, "a.AppImage.part", "not complete.*download it again"),
    "nothing": (b"", "a", "empty"),
    "something": (b"\x01\x02\x03\x04" * 100, "a", "no AppImage, and no archive"),
    "program": (head(), "a", "program without an AppImage's payload"),
    "cut": (head(last=(1, 0, 10**6)), "a", "cut short.*download it again"),
}


@pytest.mark.parametrize("name", NO_APPS)
def test_what_is_no_app_is_told(tmp_path: Path, name: str) -> None:
    content, called, words = NO_APPS[name]
    said = refused(write(tmp_path / called, content))
    assert re.search(words, said), said


def test_payloads_behind_programs(tmp_path: Path) -> None:
    archive = KINDS["zip"](tmp_path / "app.zip", tree(tmp_path)).read_bytes()
    assert kind_of(write(tmp_path / "2", head() + b"hsqs" + bytes(100))) == Kind("AppImage type 2", payload=4096)
    assert kind_of(write(tmp_path / "d", head() + b"DWARFS\2\5" + bytes(999))).what == "AppImage with DwarFS"
    assert kind_of(write(tmp_path / "z", head() + archive)).format == "zip"
    assert kind_of(write(tmp_path / "u", head() + b"unknown!" * 200)).what == "program with an unknown payload"


def test_a_zip_behind_a_program_is_read(tmp_path: Path) -> None:
    archive = KINDS["zip"](tmp_path / "app.zip", tree(tmp_path)).read_bytes()
    path = write(tmp_path / "z", head() + archive)
    with path.open("rb") as file:
        read = reading.look(file.fileno(), kinds.kind_of(file.fileno()))
    assert b"app-1.0/bin/app" in read.tree.files


def test_an_encrypted_zip(tmp_path: Path) -> None:
    write(tmp_path / "in" / "app", b"x" * 1000, 0o755)
    subprocess.run(["zip", "-q", "-P", "secret", "../a.zip", "app"], cwd=tmp_path / "in", check=True)
    with (tmp_path / "a.zip").open("rb") as file, pytest.raises(UnsupportedImage, match=r"encrypted.*password"):
        reading.look(file.fileno(), kinds.kind_of(file.fileno()))


def test_a_compressed_file_that_is_no_archive(tmp_path: Path) -> None:
    write(tmp_path / "a", b"x" * 5000)
    subprocess.run(["gzip", tmp_path / "a"], check=True)
    with (tmp_path / "a.gz").open("rb") as file, pytest.raises(BadImage, match=r"no archive.*decompress"):
        reading.look(file.fileno(), kinds.kind_of(file.fileno()))
