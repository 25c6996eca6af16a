"""What a comment shows of a change."""

from __future__ import annotations

from legoc.review.compare import review
from legoc.review.render.pictures import timelines
from legoc.review.sides import Side, side_of
from legoc.source import SourceFile
from tests.review.gallery import BASE


def side(text: str) -> Side:
    found = side_of("a.yaml", "spec", SourceFile("a.yaml", text))
    assert isinstance(found, Side)
    return found


def drawn(text: str) -> str:
    changed = review(side(BASE), side(text))
    assert changed is not None
    return "".join(timelines(changed))


def test_the_timeline_is_of_a_policy_that_changed() -> None:
    text = drawn(BASE.replace("sigma > 8", "sigma > 1"))
    assert text.count("small · policy late") == 2
    assert "policy default" not in text


def test_it_is_of_the_policy_that_the_spec_samples_with_where_that_changed_too() -> None:
    text = drawn(BASE.replace("sigma > 8", "sigma > 1").replace("sigma < 0.3", "sigma < 5"))
    assert text.count("small · policy default") == 2
    assert "policy late" not in text


def test_there_is_none_where_every_policy_is_as_before() -> None:
    assert drawn(BASE.replace("depth: 2", "depth: 3")) == ""
