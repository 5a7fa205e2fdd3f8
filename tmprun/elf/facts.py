"""Facts about ELF files: for which machine they are, and what they need to be started.

Headers may lie. Whatever does not add up is "not known": None, never another exception.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO

from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile

from tmprun.elf.header import SIZE, is_sound
from tmprun.elf.machines import machine_of

# More than any linker writes: a table that claims more lies, and would be read for minutes.
_MOST_SEGMENTS = 1024
_MOST_SECTIONS = 65536
_MOST_TAGS = 4096
_MOST_STRINGS = 64 << 20

GLIBC_VERSION = re.compile(rb"GLIBC_(\d{1,3})\.(\d{1,3})(?:\.\d{1,3})?")
GLIBCXX_VERSION = re.compile(rb"GLIBCXX_(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?")
# Libraries with packed relative relocations name this instead of the version that can load them.
PACKED_RELOCATIONS = (b"GLIBC_ABI_DT_RELR", (2, 36))


@dataclass(frozen=True)
class Facts:
    """One ELF file. `kind` is program (it asks for a loader), library, static, static-pie or other.

    `glibc` and `glibcxx` are the highest versions of symbols that it requires, () for none. `end` is the file offset
    behind everything that its headers know: data from there on is the program's own business.
    """

    machine: str
    bits: int
    kind: str
    interpreter: str = ""
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    soname: str = ""
    glibc: tuple[int, ...] = ()
    glibcxx: tuple[int, ...] = ()
    go: bool = False
    end: int = 0

    @property
    def search(self) -> tuple[str, ...]:
        """The directories that the loader looks into for its libraries: a RUNPATH makes it ignore an RPATH."""
        return self.runpath or self.rpath


def facts_of(file: BinaryIO) -> Facts | None:
    """The facts about an open file; None when it is no ELF file, or a damaged one."""
    file.seek(0)
    head = file.read(SIZE)
    machine = machine_of(head)
    if machine is None or not is_sound(head):
        return None
    try:
        return _facts(ELFFile(file), file, machine)
    except Exception:  # pyelftools believes every number: a wrong one shows as any exception there is
        return None


def _facts(elf: ELFFile, file: BinaryIO, machine: str) -> Facts | None:
    if elf["e_phnum"] > _MOST_SEGMENTS or elf["e_shnum"] > _MOST_SECTIONS:
        return None
    segments: list[Any] = list(elf.iter_segments())
    interpreter = next((each.get_interp_name() for each in segments if each["p_type"] == "PT_INTERP"), "")
    dynamic = next((each for each in segments if isinstance(each, DynamicSegment)), None)
    tags: list[Any] = list(islice(dynamic.iter_tags(), _MOST_TAGS)) if dynamic else []
    strings = _strings(elf, file, tags)
    glibc = [(int(major), int(minor)) for major, minor in _versions(GLIBC_VERSION, strings)]
    if PACKED_RELOCATIONS[0] in strings:
        glibc.append(PACKED_RELOCATIONS[1])
    glibcxx = [tuple(int(part or 0) for part in found) for found in _versions(GLIBCXX_VERSION, strings)]
    return Facts(
        machine=machine,
        bits=elf.elfclass,
        kind=_kind(elf, interpreter, dynamic is not None, tags),
        interpreter=interpreter,
        needed=tuple(tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"),
        rpath=_path([tag.rpath for tag in tags if tag.entry.d_tag == "DT_RPATH"]),
        runpath=_path([tag.runpath for tag in tags if tag.entry.d_tag == "DT_RUNPATH"]),
        soname=next((tag.soname for tag in tags if tag.entry.d_tag == "DT_SONAME"), ""),
        glibc=max(glibc, default=()),
        glibcxx=max(glibcxx, default=()),
        go=elf.get_section_by_name(".go.buildinfo") is not None,
        end=_end(elf),
    )


def _kind(elf: ELFFile, interpreter: str, dynamic: bool, tags: list[Any]) -> str:
    if interpreter:
        return "program"
    if elf["e_type"] == "ET_EXEC":
        return "static"
    if elf["e_type"] != "ET_DYN":
        return "other"
    names = {tag.entry.d_tag: tag.entry.d_val for tag in tags}
    pie = names.get("DT_FLAGS_1", 0) & 0x08000000  # DF_1_PIE
    return (
        "static-pie"
        if pie or (dynamic and elf["e_entry"] and "DT_SONAME" not in names and not _needs(tags))
        else "library"
    )


def _needs(tags: list[Any]) -> bool:
    return any(tag.entry.d_tag == "DT_NEEDED" for tag in tags)


def _path(values: list[str]) -> tuple[str, ...]:
    return tuple(part for part in values[0].split(":") if part) if values else ()


def _strings(elf: ELFFile, file: BinaryIO, tags: list[Any]) -> frozenset[bytes]:
    """The dynamic string table's strings: the names of required versions are among them, also without any sections."""
    values = {tag.entry.d_tag: tag.entry.d_val for tag in tags}
    address, size = values.get("DT_STRTAB"), values.get("DT_STRSZ", 0)
    if address is None or size > _MOST_STRINGS:
        return frozenset()
    at = next(iter(elf.address_offsets(address)), None)
    if at is None:
        return frozenset()
    file.seek(at)
    return frozenset(file.read(size).split(b"\0"))


def _versions(pattern: re.Pattern[bytes], strings: frozenset[bytes]) -> list[tuple[bytes, ...]]:
    return [found.groups() for found in map(pattern.fullmatch, strings) if found]


def _end(elf: ELFFile) -> int:
    ends = [elf["e_ehsize"], elf["e_phoff"] + elf["e_phentsize"] * elf["e_phnum"]]
    ends += [segment["p_offset"] + segment["p_filesz"] for segment in elf.iter_segments()]
    ends += [elf["e_shoff"] + elf["e_shentsize"] * elf["e_shnum"]]
    ends += [each["sh_offset"] + each["sh_size"] for each in elf.iter_sections() if each["sh_type"] != "SHT_NOBITS"]
    return int(max(ends))
