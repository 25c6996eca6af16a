"""A policy into a spec's text."""

from __future__ import annotations

import pytest

from legoc.policies.write_spec import with_policy
from legoc.spec import check_text
from legoc_runtime.errors import UsageError
from tests.cli.small_run import spec_text

FOUND = {"image": "sigma < 0.3 or sigma > 20", "parts": "0.5 < sigma < 2"}
BLOCK = spec_text()
FLOW = BLOCK.replace('skip_policies:\n  late: {image: "sigma < 0.3"}\n  only_image:', "skip_policies: {only_image:")
FLOW = FLOW.replace('parts: "progress >= 0"}\n', 'parts: "progress >= 0"}}  # one\n')
NONE = "".join(line for line in BLOCK.splitlines(keepends=True) if "skip_policies" not in line and "sigma" not in line)
NONE = NONE.replace('  only_image: {windows: "progress >= 0", parts: "progress >= 0"}\n', "# the end")
COMMENTED = (
    BLOCK.replace("skip_policies:\n", "skip_policies:  # tried\n\n    # by hand\n")
    .replace("  late:", "    late:")
    .replace("  only_image", "    only_image")
)


@pytest.mark.parametrize("text", [BLOCK, FLOW, NONE, COMMENTED, BLOCK.rstrip("\n")])
def test_everything_else_stays(text: str):
    after = with_policy(text, "small.yaml", "found", FOUND)
    spec, before = check_text(after, "small.yaml").spec, check_text(text, "small.yaml").spec
    assert spec is not None
    assert before is not None
    assert set(spec.policies) == {*before.policies, "found"}
    # what was there is there, in its order
    rest = iter(after)
    assert all(character in rest for character in text)
    assert len(after.splitlines()) <= len(text.splitlines()) + 3


def test_what_was_measured_is_not_doubted_again():
    predicates = {"windows": "sigma < 20", "parts": "sigma < 20"}
    after = with_policy(BLOCK, "small.yaml", "found", predicates)
    lines = after.splitlines()
    at = next(i for i, line in enumerate(lines) if "found:" in line)
    assert lines[at - 1] == "  # legoc: ignore[LG309, LG311] measured by `legoc policy search`"
    said = [finding for finding in check_text(after, "small.yaml").diagnostics if "`found`" in finding.message]
    assert said == []
    assert not any(finding.code.startswith("LG5") for finding in check_text(after, "small.yaml").diagnostics)


@pytest.mark.parametrize(
    ("text", "name", "predicates", "word"),
    [
        (BLOCK, "late", FOUND, "already"),
        (BLOCK.replace("legoc: 1", "legoc: 7"), "found", FOUND, "does not check"),
        (BLOCK, "found", {"top": "sigma < 1"}, "could not be written"),
    ],
)
def test_what_cannot_be_written_is_said(text: str, name: str, predicates: dict[str, str], word: str):
    with pytest.raises(UsageError, match=word):
        with_policy(text, "small.yaml", name, predicates)
