"""`docs/passes.md` has every pass, says of which kind it is, and shows what it really does."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from legoc.driver import compile_spec
from legoc.graph.brick_graph import BrickGraph
from legoc.graph.text import to_text as graph_text
from legoc.lower.passes.opt_in.catalog import opt_in_sampling, opt_in_training
from legoc.lower.pipeline import LOWER, choose, pass_names
from legoc.passes.catalog import NEEDED
from legoc.passes.runner import PassRun
from legoc.spec import load_spec
from legoc_runtime.contract.program_text import to_text as program_text

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "passes.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### `([\w-]+)`\n\n(.*?)(?=^#|\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))
OPT_IN = {step.name: step for step in (*opt_in_sampling(), *opt_in_training())}


@cache
def runs() -> list[PassRun]:
    """Every pass on every program of the page's two specs."""
    found: list[PassRun] = []
    for overrides in ((), ("carry=raw", "train.fill=x0")):
        spec = load_spec(ROOT / "specs" / "emoji_32.yaml", overrides)
        compile_spec(spec, enable=tuple(OPT_IN), observe=found.append)
    return found


def lines(form) -> set[str]:
    text = graph_text(form) if isinstance(form, BrickGraph) else program_text(form)
    return {line.strip() for line in text.splitlines()}


def test_the_page_has_every_pass_in_the_order_in_which_they_run():
    assert tuple(SECTIONS) == pass_names()


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_says_of_which_kind_the_pass_is(name):
    kind = re.match(r"Needed|Exact|Opt-in", SECTIONS[name])
    assert kind is not None
    if name in NEEDED or name == LOWER:
        assert kind[0] == "Needed"
    elif name in OPT_IN:
        assert kind[0] == "Opt-in"
        assert OPT_IN[name].tolerance in SECTIONS[name]
    else:
        assert name in choose().names
        assert kind[0] == "Exact"


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_shows_what_the_pass_does(name):
    (shown,) = re.findall(r"^```diff\n(.*?)^```", SECTIONS[name], flags=re.MULTILINE | re.DOTALL)
    gone = {line[1:].strip() for line in shown.splitlines() if line[0] == "-"}
    new = {line[1:].strip() for line in shown.splitlines() if line[0] == "+"}
    assert gone | new
    assert any(
        gone <= lines(run.before) - lines(run.after) and new <= lines(run.after) - lines(run.before)
        for run in runs()
        if run.name == name
    )
