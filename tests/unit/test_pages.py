"""The pages in docs/: their links lead somewhere, and what they say that tmprun says is what it says."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
TROUBLE = (ROOT / "docs" / "troubleshooting.md").read_text()


def anchors(page: Path) -> set[str]:
    """As hosts make them of headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@cache
def sources() -> str:
    """All strings of the program, and what the C compiler and Python join is joined."""
    files = [*(ROOT / "stub").rglob("*.[ch]"), *(ROOT / "tmprun").rglob("*.py")]
    return "\n".join(re.sub(r'"\s+"', "", file.read_text()) for file in files)


def test_what_tmprun_says_is_what_the_page_on_trouble_says() -> None:
    section = TROUBLE.partition("## tmprun says")[2].partition("\n## ")[0]
    said = [
        part
        for heading in re.findall(r"^### (.*)$", section, re.MULTILINE)
        for part in re.findall(r"`([^`]+)`", heading)
    ]
    pieces = [
        piece.strip(" ;:")
        for text in said
        for piece in text.removeprefix("tmprun: ").split("...")
        if piece.strip(" ;:")
    ]
    known = [piece for piece in pieces if piece not in ("No space left on device",)]
    assert len(known) > 6
    assert [piece for piece in known if piece not in sources()] == []


def test_the_numbers_beside_others_are_the_readmes() -> None:
    """Whose own are compared with the committed run."""
    table = (ROOT / "docs" / "peers.md").read_text().partition("## What puts apps")[0]
    readme = (ROOT / "README.md").read_text()
    numbers = [number for row in table.splitlines() if "ours" in row for number in re.findall(r"\| ([\d.]+) \(", row)]
    assert len(numbers) >= 5
    assert all(re.search(rf"\| {re.escape(number)} \|", readme) for number in numbers)


def test_the_tests_that_pages_name_are_there() -> None:
    """By function, or by file."""
    pages = [*PAGES, ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md"]
    there = set(
        re.findall(r"def (test_\w+)", "".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py")))
    )
    named = {(page.name, name) for page in pages for name in re.findall(r"`(test_\w+)`", page.read_text())}
    assert len(named) > 30
    assert sorted((page, name) for page, name in named if name not in there) == []
    files = {file for page in pages for file in re.findall(r"`(tests/[\w/]+\.py)`", page.read_text())}
    assert [file for file in files if not (ROOT / file).exists()] == []


def cited(pattern: str) -> set[tuple[str, str]]:
    """What the pages and the sources name, comments with more than one line among it, and where."""
    files = [*PAGES, ROOT / "CONTRIBUTING.md", *(ROOT / "stub").rglob("*.[ch]")]
    files += [file for folder in ("tmprun", "tests", "bench/tmprun_bench") for file in (ROOT / folder).rglob("*.py")]
    texts = {str(file.relative_to(ROOT)): re.sub(r"\n[\s*#/]*", " ", file.read_text()) for file in files}
    return {(name, found) for name, text in texts.items() for found in re.findall(pattern, text)}


def test_the_files_that_are_named_are_there() -> None:
    """By their whole path; and in the page on architecture by folder and name."""
    named = cited(r"(?<![\w/.-])((?:stub|tmprun|tests|docs)/[\w/-]{2,}\.(?:c|h|py|md))\b")
    assert len(named) > 100
    assert sorted((where, path) for where, path in named if not (ROOT / path).exists()) == []
    houses = [ROOT, ROOT / "stub", ROOT / "tmprun", ROOT / "tests"]
    paths = re.findall(r"`((?:\w+/)+\w+\.(?:c|h|py))`", (ROOT / "docs" / "architecture.md").read_text())
    assert [path for path in paths if not any((house / path).exists() for house in houses)] == []


def test_the_sections_that_are_named_are_there() -> None:
    named = cited(r'(docs/[a-z-]+\.md[,)] "[^"]+")')
    assert len(named) > 10
    headings = {f"docs/{page.name}": re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE) for page in PAGES}
    wrong = []
    for where, what in named:
        page, section = what[:-1].split(' "')
        if section not in headings[page[:-1]]:
            wrong.append((where, what))
    assert sorted(wrong) == []
