"""Predicates: what parses, to which tree, and where mistakes are."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from legoc.spec.predicate import MAX_DEPTH, parse
from legoc_runtime.contract.predicate import (
    ARITHMETIC_OPS,
    COMPARE_OPS,
    NUMBER_NAMES,
    Arithmetic,
    Call,
    Compare,
    Expr,
    Logic,
    Name,
    Negate,
    Not,
    Number,
    from_json,
    holds,
    text,
    to_json,
)
from legoc_runtime.contract.predicate_columns import Columns
from legoc_runtime.contract.schedule import Level

numbers: st.SearchStrategy[Expr] = st.recursive(
    st.one_of(
        st.builds(Number, st.floats(0, 1e300, allow_nan=False)),
        st.builds(Number, st.integers(0, 10**6).map(float)),
        st.sampled_from(NUMBER_NAMES).map(Name),
    ),
    lambda inner: st.one_of(
        st.builds(Negate, inner),
        st.builds(Arithmetic, st.sampled_from(ARITHMETIC_OPS), inner, inner),
        st.builds(Call, st.sampled_from(("abs", "log")), st.tuples(inner)),
        st.builds(Call, st.sampled_from(("min", "max")), st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=4,
)
links = st.lists(st.tuples(st.sampled_from(COMPARE_OPS), numbers), min_size=1, max_size=3).map(tuple)
truths: st.SearchStrategy[Expr] = st.recursive(
    st.one_of(st.just(Name("guided")), st.builds(Compare, numbers, links)),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(Logic, st.sampled_from(("and", "or")), st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(truths)
def test_the_canonical_text_of_a_tree_parses_back_to_it(tree: Expr) -> None:
    canonical = text(tree)
    if len(canonical) <= 500:
        again, findings = parse(canonical)
        assert again == tree
        assert {finding.code for finding in findings} <= {"LG313"}
        assert from_json(to_json(tree)) == tree


@pytest.mark.parametrize(
    ("written", "step", "expected"),
    [
        ("not progress > 0.5 and guided", 0, True),
        ("not (progress > 0.5 and guided)", 10, False),
        ("step < 3 or step > 8 and step != 10", 10, False),
        ("0.25 <= progress < 0.5", 3, True),
        ("1 - 2 - 3 == -4", 0, True),
        ("8 / 4 / 2 == 1", 0, True),
        ("-step * 2 == -6", 3, True),
        ("2 + 3 * 4 == 14", 0, True),
        ("min(step, 4, 7) == 4", 6, True),
        ("abs(log(sigma) + log_snr / 2) < 1e-9", 2, True),
        ("1 / 0 > 1e300", 0, True),
    ],
)
def test_operators_bind_as_in_python(written: str, step: int, expected: bool) -> None:
    tree, errors = parse(written)
    assert {error.code for error in errors} <= {"LG313"}
    assert tree is not None
    assert holds(tree, Level(step, 11, 3.0, guided=True)) is expected


@settings(max_examples=150, deadline=None)
@given(truths)
def test_a_whole_schedule_at_once_means_the_same_as_level_by_level(tree: Expr) -> None:
    levels = [Level(i, 9, 80.0 / 3**i, guided=i % 2 == 0, t=9 - i) for i in range(9)]
    assert Columns(levels).held(tree) == bytes(holds(tree, level) for level in levels)


@pytest.mark.parametrize(
    ("written", "operands"),
    [
        ("sigma < 1 / 0", ["0"]),
        ("sigma / (2 - 2) > 1", ["(2 - 2)"]),
        ("log(-3) < 1 or log(0) < 1", ["-3", "0"]),
        ("1 / sigma > 2 and log(2) > 0 and 0 / 3 < sigma", []),
    ],
)
def test_a_constant_that_means_nothing_is_pointed_at(written: str, operands: list[str]) -> None:
    tree, doubts = parse(written)
    assert tree is not None
    assert [(doubt.code, written[doubt.start : doubt.end]) for doubt in doubts] == [("LG313", o) for o in operands]


@pytest.mark.parametrize(
    ("written", "code", "wrong", "help"),
    [
        ("sigma && 1", "LG301", "&&", "`and`"),
        ("sigma > 1 || guided", "LG301", "||", "`or`"),
        ("!guided", "LG301", "!", "`not`"),
        ("sigma = 1", "LG301", "=", "`==`"),
        ("sigma ** 2 > 1", "LG301", "**", "multiply"),
        ("sigma // 2 > 1", "LG301", "//", "`/`"),
        ("sigma <> 2", "LG301", "<>", "`!=`"),
        ("sigma ≤ 2", "LG301", "≤", "`<=`"),
        ("sigma > 40%", "LG301", "%", "0.4"),
        ("sigma.real > 2", "LG301", ".", "attributes"),
        ("guided AND guided", "LG301", "AND", "small letters"),
        ("log > 2", "LG301", "log", "log(...)"),
        ("sigma(2) > 1", "LG301", "sigma", "alone"),
        ("min(sigma) > 1", "LG301", "min(sigma)", None),
        ("sigma > 1e999", "LG301", "1e999", None),
        ("sigma > 1 2", "LG301", "2", None),
        ("sigma > (1", "LG301", "", None),
        ("t > 500", "LG302", "t", "DDPM"),
        ("Sigma > 5", "LG302", "Sigma", "`sigma`"),
        ("progres > 5", "LG302", "progres", "`progress`"),
        ("True", "LG302", "True", "sigma > 0"),
        ("ln(sigma) > 0", "LG302", "ln", "`log`"),
        ("__import__(1) > 0", "LG302", "__import__", "min, max"),
        ("sigma + 1", "LG303", "sigma + 1", "compare"),
        ("guided + 1 > 2", "LG303", "guided", "alone"),
        ("(sigma > 1) > 2", "LG303", "(sigma > 1)", None),
        ("not sigma", "LG303", "sigma", "compare"),
        ("1 < sigma and 3", "LG303", "3", "compare"),
        ("(" * 40 + "guided" + ")" * 40, "LG304", "(", "fewer"),
        ("+".join("1" * 60) + " > 1", "LG304", "+".join("1" * 33), "fewer"),
    ],
)
def test_a_mistake_is_named_at_its_characters(written: str, code: str, wrong: str, help: str | None) -> None:
    tree, errors = parse(written)
    assert tree is None
    assert [error.code for error in errors] == [code]
    assert written[errors[0].start : errors[0].end] == wrong
    assert (help is None) == (errors[0].help is None)
    assert help is None or help in str(errors[0].help)


def test_all_unknown_names_are_reported_at_once() -> None:
    _, errors = parse("foo > 1 and bar(2) < 3 or baz")
    assert [error.message for error in errors] == ["unknown name `foo`", "unknown function `bar`", "unknown name `baz`"]


def test_length_and_depth_are_bounded_before_anything_recurses() -> None:
    for hostile in ("(" * 499, "-" * 499, "not " * 124, "1" * 100_000, "f(" * 200):
        tree, errors = parse(hostile)
        assert tree is None
        assert errors[-1].code in ("LG304", "LG301")
    assert parse("-" * (MAX_DEPTH - 2) + "sigma < 1")[1] == []
