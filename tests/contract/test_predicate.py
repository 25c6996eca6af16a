"""Predicate trees: values, text, JSON."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legoc_runtime.contract import predicate as p
from legoc_runtime.contract.schedule import Level
from legoc_runtime.errors import UsageError

numbers = st.recursive(
    st.one_of(
        st.floats(0, 1e6, allow_nan=False).map(p.Number),
        st.sampled_from(p.NUMBER_NAMES).map(p.Name),
    ),
    lambda inner: st.one_of(
        inner.map(p.Negate),
        st.builds(p.Arithmetic, st.sampled_from(p.ARITHMETIC_OPS), inner, inner),
        st.builds(lambda x: p.Call("abs", (x,)), inner),
        st.builds(lambda x, y: p.Call("max", (x, y)), inner, inner),
    ),
    max_leaves=6,
)
links = st.lists(st.tuples(st.sampled_from(p.COMPARE_OPS), numbers), min_size=1, max_size=3)
booleans = st.recursive(
    st.one_of(st.just(p.Name("guided")), st.builds(p.Compare, numbers, links.map(tuple))),
    lambda inner: st.one_of(
        inner.map(p.Not),
        st.builds(p.Logic, st.sampled_from(p.LOGIC_OPS), st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)
levels = st.builds(
    lambda steps, i, sigma, guided: Level(i % steps, steps, sigma, guided),
    st.integers(2, 300),
    st.integers(0, 300),
    st.floats(0.002, 80),
    st.booleans(),
)


@given(booleans, levels)
def test_evaluation_is_total(predicate, level):
    """IEEE arithmetic: no predicate raises at any level."""
    assert p.holds(predicate, level) in (True, False)


@given(booleans)
def test_json_round_trip(predicate):
    assert p.from_json(p.to_json(predicate)) == predicate


def test_values():
    level = Level(3, 10, 0.5)
    sigma, half = p.Name("sigma"), p.Number(0.5)
    assert p.holds(p.Compare(sigma, (("<=", half),)), level)
    assert not p.holds(p.Compare(p.Arithmetic("/", half, p.Number(0)), (("<", half),)), level)
    assert p.holds(p.Compare(p.Arithmetic("/", half, p.Number(0)), (("==", p.Number(math.inf)),)), level)
    assert p.holds(p.Compare(p.Name("progress"), (("==", p.Number(3 / 9)),)), level)
    assert p.holds(p.Compare(p.Name("log_snr"), (("==", p.Number(-2 * math.log(0.5))),)), level)


def test_text_has_no_parentheses_that_it_does_not_need():
    a, b = p.Compare(p.Name("sigma"), (("<", p.Number(0.3)),)), p.Name("guided")
    assert p.text(p.Logic("and", (p.Logic("or", (a, b)), p.Not(b)))) == "(sigma < 0.3 or guided) and not guided"
    one = p.Number(1)
    assert p.text(p.Arithmetic("-", one, p.Arithmetic("-", one, one))) == "1 - (1 - 1)"


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        ["name", "__import__"],
        ["system", "ls"],
        ["<", 1],
        ["compare", ["number", 1], "is", ["number", 1]],
    ],
)
def test_foreign_trees_are_refused(data):
    with pytest.raises(UsageError, match="malformed"):
        p.from_json(data)


def test_depth_is_bounded():
    tree: list = ["name", "guided"]
    for _ in range(10_000):
        tree = ["not", tree]
    with pytest.raises(UsageError, match="malformed"):
        p.from_json(tree)
