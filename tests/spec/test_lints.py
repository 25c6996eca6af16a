"""Warnings about policies: each where it helps, and none where nothing is wrong."""

from __future__ import annotations

import pytest

from legoc.spec import check_text

BASE = """\
legoc: 1
name: example
grid: {height: 32, width: 32, channels: 3}
conditioning: {classes: 9}
brick_defaults: {width: 192, heads: 6}
bricks:
  - {id: windows, size: 4, depth: 2}
  - {id: parts, size: 8, depth: 2}
  - {id: image, size: image, depth: 5}
skip_policies:
"""


def lints(policies: str, text: str = BASE) -> list[tuple[str, str]]:
    text += "".join(f"  {line}\n" for line in policies.splitlines())
    found = check_text(text, "t.yaml").diagnostics
    return [(f.code, text[f.primary.span.start : f.primary.span.end]) for f in found if f.primary]


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ("a: {image: 'sigma < 1'}\nb: {image: 'sigma < 2'}\nc: {parts: 'sigma < 1'}", []),
        ("a: {parts: 'sigma < 1', image: 'sigma < 2'}", []),
        ("a: {parts: 'sigma < 1', image: 'sigma<1'}", [("LG309", "'sigma<1'")]),
        ("a: {parts: 'progress < 0.5', image: 'step < 20'}", [("LG309", "'step < 20'")]),
        # what never holds is one finding each, and equal to nothing
        ("a: {parts: 'sigma > 99', image: 'sigma > 98'}", [("LG308", "'sigma > 99'"), ("LG308", "'sigma > 98'")]),
        ("a: {image: 'sigma < 1'}\nb: {image: 'not sigma >= 1'}", [("LG310", "b")]),
        (
            "a: {image: 'sigma < 1'}\nb: {image: 'sigma < 1', parts: 'sigma > 99'}",
            [("LG310", "b"), ("LG308", "'sigma > 99'")],
        ),
        (
            "a: {image: 'sigma < 1'}\nb: {image: 'sigma < 1'}\nc: {image: 'sigma < 1'}",
            [("LG310", "b"), ("LG310", "c")],
        ),
        ("a: {windows: 'sigma > 10'}", [("LG311", "'sigma > 10'")]),
        # an error, which says it all
        ("a: {windows: 'sigma > 10', parts: 'sigma > 10', image: 'sigma > 10'}", [("LG307", "a")]),
    ],
)
def test_policies(policies: str, expected: list[tuple[str, str]]) -> None:
    assert lints(policies) == expected


def test_a_policy_that_training_follows_may_leave_the_bottom_out() -> None:
    policies = "a: {windows: 'sigma > 10'}\nb: {windows: 'sigma > 20'}"
    text = BASE.replace("skip_policies", "train: {drop: {policy: a}}\nskip_policies")
    assert lints(policies, text) == [("LG311", "'sigma > 20'")]


def test_a_policy_like_the_bricks_own_skips() -> None:
    text = BASE.replace("depth: 5}", 'depth: 5, skip: "sigma < 1"}')
    assert lints("a: {image: 'sigma < 1'}", text) == [("LG310", "a")]


def test_the_brick_that_begins_is_named_level_by_level() -> None:
    text = BASE + "  a: {windows: 'sigma > 1', parts: 'sigma > 10'}\n"
    (finding,) = check_text(text, "t").diagnostics
    assert "`parts` or `image` then begins with zeros" in finding.message
    assert [label.span.line for label in finding.secondary] == [8, 9]


def test_a_brick_without_a_loss_is_named_where_it_gives_the_picture() -> None:
    silent = BASE.replace("size: 8, depth: 2}", "size: 8, depth: 2, loss_weight: 0}")
    assert lints("a: {image: 'sigma < 1'}", silent) == [("LG312", "'sigma < 1'")]
    assert lints("a: {image: 'sigma < 1', parts: 'sigma < 2'}", silent) == []  # `windows` gives it then
    assert lints("a: {parts: 'sigma < 1'}", silent) == []
    top = BASE.replace("depth: 5}", "depth: 5, loss_weight: 0}")
    assert lints("a: {parts: 'sigma < 1'}", top) == [("LG312", "0")]
