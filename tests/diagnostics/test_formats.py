"""The formats for machines: GitHub's workflow commands, and SARIF against its own schema."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from legoc.codes import CODES
from legoc.diagnostics import Diagnostic, Edit, Label
from legoc.render import render_full, render_github, render_sarif
from legoc.source import SourceFile, Span
from legoc.spec import check_file

ROOT = Path(__file__).parents[2]
FIXTURES = Path(__file__).parent / "fixtures"
SCHEMA = json.loads((ROOT / "tests" / "fixtures" / "sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8"))
FILE = SourceFile("a b/f,1:2.yaml", "key: 1\nlong: [1,\n  2]\nkey: 1\n")


def on(start: int, end: int, **more: Any) -> Diagnostic:
    return Diagnostic("LG201", "error", more.pop("message", "wrong"), Label(Span(FILE, start, end), "here"), **more)


def log(*findings: Diagnostic) -> dict[str, Any]:
    body = json.loads(render_sarif(findings))
    jsonschema.Draft4Validator(SCHEMA).validate(body)
    return body["runs"][0]


def test_github_commands_are_escaped_and_have_their_place() -> None:
    assert render_github([on(5, 6, message="100%\n::error::x", help="no: 1, 2")]) == (
        "::error file=a b/f%2C1%3A2.yaml,line=1,col=6,endLine=1,endColumn=7,title=legoc LG201"
        "::100%25%0A::error::x%0Ahelp: no: 1, 2\n"
    )


def test_github_has_no_columns_over_several_lines_and_no_place_without_text() -> None:
    assert render_github([on(13, 21)]).startswith("::error file=a b/f%2C1%3A2.yaml,line=2,endLine=3,title=")
    assert render_github([Diagnostic("LG504", "warning", "w", None)]) == "::warning title=legoc LG504::w\n"


def test_the_schema_refuses_what_is_not_sarif() -> None:
    body = json.loads(render_sarif([on(5, 6)]))
    body["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(SCHEMA).validate(body)


def test_a_log_without_findings_is_valid() -> None:
    assert log()["results"] == []


def test_every_fixture_makes_a_valid_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES)
    findings = [finding for path in sorted(FIXTURES.glob("*.yaml")) for finding in check_file(path.name).diagnostics]
    run = log(*findings)
    rules = run["tool"]["driver"]["rules"]
    assert {rule["id"] for rule in rules} == {finding.code for finding in findings}
    for finding, result in zip(findings, run["results"], strict=True):
        assert rules[result["ruleIndex"]]["id"] == finding.code == result["ruleId"]
        assert rules[result["ruleIndex"]]["help"]["markdown"] == CODES[finding.code].page
        assert len(result.get("relatedLocations", [])) == len(finding.secondary)


def test_sarif_places_count_from_one_and_end_behind_the_last_character() -> None:
    (result,) = log(on(13, 21, secondary=(Label(Span(FILE, 0, 3), "see"),)))["results"]
    physical = result["locations"][0]["physicalLocation"]
    assert physical["region"] == {"startLine": 2, "startColumn": 7, "endLine": 3, "endColumn": 5}
    assert physical["artifactLocation"] == {"uri": "a%20b/f%2C1%3A2.yaml", "uriBaseId": "%SRCROOT%"}
    assert result["relatedLocations"][0]["physicalLocation"]["region"]["endColumn"] == 4


def test_sarif_carries_fixes() -> None:
    (result,) = log(on(0, 3, fix=(Edit(Span(FILE, 0, 3), "name"),), help="did you mean `name`?"))["results"]
    (change,) = result["fixes"][0]["artifactChanges"]
    assert change["replacements"][0]["deletedRegion"]["endColumn"] == 4
    assert change["replacements"][0]["insertedContent"] == {"text": "name"}


def test_fingerprints_survive_lines_that_move_and_tell_equal_lines_apart() -> None:
    first, second = (r["partialFingerprints"]["primaryLocationLineHash"] for r in log(on(0, 3), on(22, 25))["results"])
    assert first.split(":")[0] == second.split(":")[0]
    assert (first[-2:], second[-2:]) == (":1", ":2")
    moved = SourceFile(FILE.name, "\n\n" + FILE.text)
    (result,) = log(Diagnostic("LG201", "error", "wrong", Label(Span(moved, 2, 5))))["results"]
    assert result["partialFingerprints"]["primaryLocationLineHash"] == first


def test_labels_in_another_file_stand_under_its_name() -> None:
    base = SourceFile("base.yaml", "\nbricks: []\n")
    finding = Diagnostic("LG201", "error", "wrong", Label(Span(FILE, 0, 3)), (Label(Span(base, 1, 7), "from here"),))
    assert render_full([finding]) == (
        "error[LG201]: wrong\n"
        " --> a b/f,1:2.yaml:1:1\n"
        "  |\n"
        "1 | key: 1\n"
        "  | ^^^\n"
        " ::: base.yaml:2:1\n"
        "  |\n"
        "2 | bricks: []\n"
        "  | ------ from here\n"
    )


def test_what_was_set_on_the_command_line_has_no_file_in_annotations_and_logs() -> None:
    typed = SourceFile("--set train.batch=x", "train.batch=x")
    finding = Diagnostic("LG103", "error", "wrong", Label(Span(typed, 12, 13)), fix=(Edit(Span(typed, 12, 13), "1"),))
    assert render_github([finding]) == "::error title=legoc LG103::wrong (in `--set train.batch=x`)\n"
    (result,) = log(finding)["results"]
    assert result["locations"] == [{"logicalLocations": [{"name": "--set train.batch=x", "kind": "parameter"}]}]
    assert "fixes" not in result


def test_columns_of_the_first_line_do_not_count_a_byte_order_mark() -> None:
    file = SourceFile("bom.yaml", "\ufeffkey: 1\nkey: 2\n")
    first, second = Span(file, 1, 4), Span(file, 8, 11)
    assert (first.line, first.column, first.end_position) == (1, 1, (1, 4))
    assert (second.line, second.column) == (2, 1)
    assert Span(file, 0, 0).column == 1
    finding = Diagnostic("LG101", "error", "wrong", Label(first))
    assert "1 | key: 1\n  | ^^^\n" in render_full([finding])
