"""Two thousand mutated specs; `python -m tests.fuzz.run --count 100000` is the whole thing (RESULT.md)."""

import re

import pytest

from legoc.spec import check_text
from legoc.spec.rules import divisors
from tests.fuzz.run import ROOT, run


def test_mutated_specs_never_surprise_the_checker() -> None:
    result = run(2000, seed=1)
    assert not result.failures, "\n".join(f"--- spec {one}\n{what}" for one, what in result.failures)
    # the mutations reach what they are for: files that check, and every family of diagnostics
    assert 50 < result.accepted < 1500
    assert {code[:3] for code in result.codes} >= {"LG0", "LG1", "LG2", "LG3"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("bricks: [{id: a, size: 100000000000000000000, receptive_field: 3, depth: 2}]\n", "LG104"),
        ("bricks: [{id: a, size: 999999x999999, receptive_field: 7, depth: 2}]\n", "LG104"),
        ("train: {: 1}\n", "LG101"),
        ("skip_policies: {late: {: guided}}\n", "LG305"),
    ],
)
def test_what_earlier_runs_found(text: str, code: str) -> None:
    emoji = (ROOT / "specs" / "emoji_32.yaml").read_text(encoding="utf-8")
    section = text.split(":")[0]
    others = re.sub(rf"(?m)^{section}:.*\n([ #\n].*\n|\n)*", "", emoji)
    result = check_text(others + text, "s.yaml")
    assert code in {finding.code for finding in result.diagnostics}


def test_divisors_are_those_of_the_definition() -> None:
    for number in (1, 2, 36, 97, 16384, 15120):
        assert divisors(number) == [candidate for candidate in range(1, number + 1) if number % candidate == 0]
