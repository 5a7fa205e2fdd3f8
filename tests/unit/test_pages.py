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
