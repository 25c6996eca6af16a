"""Every format: valid, whole, and never silent about a side that cannot be read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from legoc.review.compare import Added, Compared, Pair, Removed, Report, compare
from legoc.review.render.as_json import render_json
from legoc.review.render.github import render_github
from legoc.review.render.markdown import MARKER, MAX_CHARACTERS, code, render_markdown
from legoc.review.render.sarif import render_sarif
from legoc.review.render.text import render_text
from legoc.review.sides import Side, Unreadable, side_of
from legoc.source import SourceFile
from legoc.spec import check_text
from tests.review.gallery import BASE, GALLERY, ONE

ROOT = Path(__file__).parents[2]
SARIF = json.loads((ROOT / "tests" / "fixtures" / "sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8"))
SCHEMA = json.loads((ROOT / "schema" / "legoc-diff-v1.json").read_text(encoding="utf-8"))
PRESETS = sorted(path for folder in (".", "paper", "released") for path in (ROOT / "specs" / folder).glob("*.yaml"))
OVERRIDES = ["conditioning.width=2048", "sample.steps=30", "train.batch=7", "description=other", "train.seed=9"]
BROKEN = ONE.replace("heads: 4", "heads: 5")


def side(text: str, name: str = "specs/a.yaml", revision: str | None = None) -> Side | Unreadable:
    return side_of(f"{revision}:{name}" if revision else name, "spec", SourceFile(name, text), revision=revision)


def report(*found: Compared) -> Report:
    return compare("main", "HEAD", found)


def changed(before: str, after: str) -> Pair:
    return Pair(side(before, revision="main"), side(after))


EVERYTHING = report(
    *(changed(exhibit.base, exhibit.text) for exhibit in GALLERY if not exhibit.overrides),
    changed(ONE, BROKEN),
    Added(side(ONE, "specs/new.yaml")),
    Removed(side(BASE, "specs/old.yaml", "main")),
)


def test_json_is_of_its_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    body = json.loads(render_json(EVERYTHING))
    jsonschema.Draft7Validator(SCHEMA).validate(body)  # pyright: ignore[reportUnknownMemberType]
    assert {spec["impact"] for spec in body["specs"]} >= {"cosmetic", "sampling", "resumable", "meaning", "breaks"}
    assert body["added"][0]["costs"]["figures"][0]["before"] is None
    assert body["unreadable"][0]["diagnostics"][0]["code"] == "LG203"
    body["specs"][0]["impact"] = "harmless"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(SCHEMA).validate(body)  # pyright: ignore[reportUnknownMemberType]
    jsonschema.Draft7Validator(SCHEMA).validate(json.loads(render_json(report(changed(ONE, ONE)))))  # pyright: ignore[reportUnknownMemberType]


def test_sarif_is_of_its_schema() -> None:
    body: dict[str, Any] = json.loads(render_sarif(EVERYTHING))
    jsonschema.Draft4Validator(SARIF).validate(body)  # pyright: ignore[reportUnknownMemberType]
    results = body["runs"][0]["results"]
    assert results[0]["ruleId"] == "LG203"
    assert {result["level"] for result in results if result["ruleId"] == "diff/breaks"} == {"error"}
    assert {result["level"] for result in results if result["ruleId"] == "diff/sampling"} == {"note"}
    uris = {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in results}
    assert uris == {"specs/a.yaml"}


def test_github_annotates_the_new_side() -> None:
    lines = render_github(EVERYTHING).splitlines()
    assert all(re.match(r"::(error|warning|notice) file=specs/a\.yaml,line=\d+,", line) for line in lines)
    deeper = render_github(report(changed(ONE, ONE.replace("depth: 1", "depth: 2"))))
    assert deeper == (
        "::notice file=specs/a.yaml,line=6,col=57,endLine=6,endColumn=58,title=legoc diff%3A resumable"
        "::bricks.whole.depth 1 -> 2: resumable, a new block begins with its gates at zero and passes its input on: "
        "outputs stay\n"
    )


@pytest.mark.parametrize("render", [render_text, render_markdown, render_json, render_github, render_sarif])
def test_a_side_that_cannot_be_read_is_told_in_every_format(render: Any) -> None:
    text = render(report(changed(BROKEN, ONE), changed(ONE, ONE)))
    assert "LG203" in text
    assert "no changes" not in text.lower()
    assert "LG203" not in render(report(changed(ONE, ONE)))


def test_markdown_has_marker_overview_reasons_costs_and_pictures() -> None:
    deeper = BASE.replace("depth: 2", "depth: 4").replace("sigma < 0.3", "sigma < 5")
    text = render_markdown(report(changed(BASE, deeper)), migrate=True)
    assert text.startswith(f"{MARKER}\n")
    assert "| `specs/a.yaml` | 🟢 resumable | load once migrated |" in text
    assert "`bricks.whole.depth 2 -> 4`" in text
    assert text.count("```mermaid") == 2
    assert text.count("class c0b2 changed") == 2
    assert "`default` now skips whole at 5 of 8 steps, was 3" in text
    assert "░" in text
    assert "legoc migrate CHECKPOINT specs/a.yaml" in text
    assert text.count("<details>") == text.count("</details>")
    assert "; in `" not in text
    assert "legoc migrate" not in render_markdown(report(changed(BASE, deeper)))
    shifted = render_markdown(report(changed(BASE, BASE.replace("sigma < 0.3", "sigma < 3"))))
    assert re.search(r"before and after</summary>\n\nBefore\n\n```text\n[^`]*```\n\nAfter\n\n```text\n", shifted)


def test_nothing_in_a_spec_ends_its_code_span_or_its_cell() -> None:
    assert code("a`b``c") == "```a`b``c```"
    assert code("`") == "`` ` ``"
    assert code("a|b\n@all") == "`a\\|b<U+000A>@all`"
    hostile = "</details>| `x` <script>alert(1)</script> @everyone"
    text = render_markdown(report(changed(BASE, BASE.replace("Three bricks", f"'{hostile}'"))))
    (row,) = [line for line in text.splitlines() if "script" in line]
    assert "``description Three bricks -> </details>\\| `x` <script>" in row


def test_a_change_of_every_preset_at_once_fits_into_a_comment() -> None:
    pairs: list[Compared] = []
    for path in PRESETS:
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(ROOT).as_posix()
        before, after = check_text(text, str(path)).spec, check_text(text, str(path), OVERRIDES).spec
        assert before is not None
        assert after is not None
        pairs.append(Pair(Side(name, "spec", name, text, before), Side(name, "spec", name, text, after)))
    found = report(*pairs)
    assert len(found.reviews) == len(PRESETS) >= 40
    for most in (MAX_CHARACTERS, 30_000, 20_000):
        text = render_markdown(found, most=most)
        assert most - 8_000 < len(text) < most
        assert text.count("<details>") == text.count("</details>")
        left_out = re.search(r"Details of (\d+) of (\d+) specs are left out", text)
        assert left_out is not None
        assert int(left_out[1]) + text.count("<b>specs/") == int(left_out[2]) == len(PRESETS)
    some = report(*pairs[:16])
    text = render_markdown(some)
    assert "Pictures of" in text
    assert 0 < text.count("```mermaid") < 32
    assert len(text) < MAX_CHARACTERS


def test_what_has_no_figures_says_why() -> None:
    other = next(exhibit for exhibit in GALLERY if exhibit.name == "DDPM for EDM")
    found = report(changed(other.base, other.text))
    assert found.reviews[0].costs.refusal is None
    jsonschema.Draft7Validator(SCHEMA).validate(json.loads(render_json(found)))  # pyright: ignore[reportUnknownMemberType]
