"""Links between the pages of this repository lead to files that exist, and their anchors to headings."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in (
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("benchmarks/*.md"),
        *ROOT.glob("examples/**/*.md"),
    )
)


@cache
def anchors(page: Path) -> frozenset[str]:
    """What GitHub makes of a page's headings: small letters, dashes for spaces, no other signs, later ones numbered."""
    found: list[str] = []
    for heading in re.findall(r"^#+ +(.+?) *$", without_code(page), flags=re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "]", heading).lower()).replace(" ", "-")
        again = found.count(words)
        found.append(words)
        found.extend([f"{words}-{again}"] if again else [])
    return frozenset(found)


def without_code(page: Path) -> str:
    """The text of a page but for fenced blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", without_code(page)):
        place, _, anchor = link.partition("#")
        target = page.parent / place if place else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_anchors_are_those_of_github(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `legoc diff`: what?\n\n```\n# no heading\n```\n## Twice\n## Twice\n", encoding="utf-8")
    assert anchors(page) == {"a-legoc-diff-what", "twice", "twice-1"}
