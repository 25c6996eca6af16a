"""Two thousand mutated specs; `python -m tests.fuzz.run --count 100000` is the whole thing (RESULT.md)."""

import gc
import itertools
import random
import re
import time

import pytest

from legoc.fmt import format_text
from legoc.source import SourceFile
from legoc.spec import check_text
from legoc.spec.compose import compose
from legoc.spec.language import sections
from legoc.spec.rules import divisors
from legoc.spec.suggest import pattern
from legoc_runtime.errors import RunError
from tests.fuzz.mutate import broken_at, emitted, tree_of, write_known
from tests.fuzz.run import MAX_SECONDS, ROOT, Result, check_one, run


def test_mutated_specs_never_surprise_the_checker() -> None:
    result = run(2000, seed=1)
    assert not result.failures, "\n".join(f"--- spec {one}\n{what}" for one, what in result.failures)
    # the mutations reach what they are for: files that check, and every family of diagnostics
    assert 50 < result.accepted < 1500
    assert result.refused <= 2
    assert {code[:3] for code in result.codes} >= {"LG0", "LG1", "LG2", "LG3"}


def test_mutations_write_every_key_there_is() -> None:
    rng, written = random.Random(0), set[tuple[str | int, ...]]()
    tree = tree_of("legoc: 1\nbricks: [{id: a}]\ntrain: {stages: [{train: [a]}]}\n")
    for _ in range(25):
        for _ in range(50):
            write_known(tree, rng)
        composed, _ = compose(SourceFile("s.yaml", emitted(tree)))
        assert composed is not None
        written |= {pattern(at) for at in composed.nodes}
    assert not {(*section, key) for section, found in sections().items() for key in found.keys} - written


@pytest.mark.parametrize("text", [None, "null"], ids=str)
def test_whatever_is_missing_or_of_another_kind_is_a_located_finding(text: str | None) -> None:
    path = ROOT / "tests/fuzz/corpus/edm.yaml"
    parts = re.split(r"(?m)^(?=[a-z])", path.read_text(encoding="utf-8"))
    settings = tree_of("".join(part for part in parts if part.startswith(("data", "train", "sample"))))
    stack = "".join(part for part in parts[1:] if not part.startswith(("data", "train", "sample")))
    result = Result()
    for at in itertools.count():
        broken = broken_at(settings, at, text)
        if broken is None:
            break
        check_one(1, str(path), stack + broken + "\n", result)
    assert result.count > 50
    assert text is None or result.accepted < 5  # keys that may be null, and no more


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


_HEAD = """\
legoc: 1
name: a
grid: {height: 32, width: 32, channels: 3}
conditioning: {classes: 10}
brick_defaults: {width: 64, heads: 4}
bricks:
""" + "".join(f"  - {{id: brick_{i}, size: 4, receptive_field: 2, depth: 1}}\n" for i in range(64))


def _policies(names: int, bricks: int, steps: int, predicate: str, brick: str = "brick") -> str:
    """Policies of one predicate a brick, no two of them equal."""
    lines = "".join(
        f"  p{k}:\n"
        + "".join(f"    {brick}_{i}: {predicate.replace('{}', f'{i}.{k}')}\n" for i in range(1, bricks + 1))
        for k in range(names)
    )
    return f"sample: {{steps: {steps}}}\nskip_policies:\n{lines}"


def test_a_key_that_yaml_can_write_without_a_value_alone_is_a_refusal_and_no_failure() -> None:
    """Spec 0:78650 of an earlier harness: a key of more than 1,024 characters, which no colon may follow."""
    emoji = (ROOT / "specs" / "emoji_32.yaml").read_text(encoding="utf-8")
    with pytest.raises(RunError, match="left as it is") as refused:
        format_text(f"{emoji}compat: {{k{'x' * 1024}}}\n", "s.yaml")
    assert "1,024 characters" in (refused.value.help or "")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (_policies(10, 63, 10_000, "sigma > 9{}"), "LG308"),
        (_policies(5, 63, 10_000, "log(sigma * {}) < 1"), "LG314"),
        (_policies(10, 63, 10_000, "max(" + "step/steps," * 20 + "0) > {}"), "LG314"),
        (_policies(60, 63, 40, "sigma < {}", brick="brck"), "LG305"),
        (_policies(40, 20, 40, "sigm > {} and " * 7 + "guidd"), "LG302"),
        ("".join(f"unknown_brck_{i}: 1\n" for i in range(4900)), "LG101"),
    ],
    ids=["many predicates", "too many", "long", "unknown bricks", "unknown names", "unknown keys"],
)
def test_no_spec_takes_long_to_check(text: str, code: str) -> None:
    gc.collect()
    gc.freeze()  # a check pays for its own objects, not for collecting those that other tests left in this process
    try:
        start = time.process_time()
        result = check_text(_HEAD + text, "s.yaml")
        seconds = time.process_time() - start
    finally:
        gc.unfreeze()
    assert seconds < MAX_SECONDS
    assert code in {finding.code for finding in result.diagnostics}


def test_divisors_are_those_of_the_definition() -> None:
    for number in (1, 2, 36, 97, 16384, 15120):
        assert divisors(number) == [candidate for candidate in range(1, number + 1) if number % candidate == 0]
