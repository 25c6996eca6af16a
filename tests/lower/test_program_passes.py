"""The pipeline over programs: how passes fail, which can be chosen, what a manifest says of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from legoc.diagnostics import SpecError
from legoc.lower import pipeline
from legoc.lower.passes.base import ProgramError, run_program_passes
from legoc.lower.passes.share_equal import ShareEqual
from legoc.lower.pipeline import choose, pass_names, recorded, sampling_program, training_program
from legoc.lower.program import lower_sampling
from legoc.passes.catalog import NEEDED
from legoc.passes.runner import Journal, PassRun
from legoc.source import SourceFile, Span
from legoc_runtime.contract.program import Program
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.contract.verify import Fault
from legoc_runtime.errors import RunError, UsageError
from tests.stacks import stack

SHAPE = stack(depths=(1, 1, 1))
SOURCE = SourceFile("stack.yaml", "bricks:\n  - {id: windows}\n  - {id: parts}\n  - {id: whole}\n")
SPANS = {id: Span(SOURCE, SOURCE.text.index(f"{{id: {id}}}"), SOURCE.text.index(f"{id}}}")) for id in SHAPE.ids}


@dataclass(frozen=True)
class Refuse:
    """Says that it cannot transform the program."""

    name: ClassVar[str] = "refuse"

    def apply(self, program, shape):
        raise ProgramError([Fault("the brick is too wide", "parts")])


@dataclass(frozen=True)
class Drop:
    """Leaves a malformed program: what the top brick's attention reads is gone."""

    name: ClassVar[str] = "drop"

    def apply(self, program, shape):
        gone = "whole.0.modulation"
        ops = tuple(op for op in program.ops if getattr(op, "out", None) != gone)
        return replace(program, ops=ops, types={k: v for k, v in program.types.items() if k != gone})


@dataclass(frozen=True)
class Stumble:
    """Has a fault of its own."""

    name: ClassVar[str] = "stumble"

    def apply(self, program, shape):
        return {}["nothing"]


@pytest.mark.parametrize(
    ("broken", "words", "line"),
    [
        (Refuse(), "the brick is too wide", 3),
        (Drop(), "`attend` reads %whole.0.modulation before it is defined [defined before read]", 4),
        (Stumble(), "KeyError: 'nothing'", 2),
    ],
)
def test_a_failing_pass_names_itself_those_before_it_and_the_users_line(broken, words, line):
    program = lower_sampling(SHAPE, SHAPE.ids)
    with pytest.raises(SpecError) as caught:
        run_program_passes(
            program, SHAPE, (ShareEqual(), broken, ShareEqual()), SPANS, Journal(program.name, None, ["lower"])
        )
    diagnostic = caught.value.diagnostics[0]
    assert diagnostic.message == f"pass `{broken.name}` failed on `windows+parts+whole`: {words}"
    assert f"pass `{broken.name}` ran after `lower`, `share-equal`;" in diagnostic.help
    assert diagnostic.help.endswith(f"`--disable {broken.name}` builds without it")
    assert diagnostic.primary.span.line == line


def test_a_fault_of_lowering_is_told_like_that_of_a_pass(monkeypatch):
    monkeypatch.setattr(
        pipeline, "lower", lambda graph, train, **_: Drop().apply(lower_sampling(SHAPE, SHAPE.ids), SHAPE)
    )
    with pytest.raises(SpecError, match="pass `lower` failed on `windows\\+parts\\+whole`: `attend` reads") as caught:
        sampling_program(SHAPE, SHAPE.ids, choose(), SPANS)
    assert caught.value.diagnostics[0].primary.span.line == 4


def test_an_observer_is_told_of_every_pass_in_order():
    told: list[PassRun] = []
    sampling_program(SHAPE, ("parts",), choose(), observe=told.append)
    training_program(SHAPE, TrainSettings(), choose(), observe=told.append)
    graph = ["infer-shapes", "specialise-skips", "eliminate-dead", "reroute-estimates", "lower"]
    assert [run.name for run in told if run.target == "parts"] == [*graph, *(s.name for s in choose().sampling)]
    assert [run.name for run in told if run.target == "training"][:3] == ["infer-shapes", "eliminate-dead", "lower"]
    assert all(run.seconds >= 0 for run in told)
    assert isinstance(told[-1].after, Program)
    assert {run.name for run in told} <= set(pass_names())


@pytest.mark.parametrize("name", NEEDED)
def test_what_lowering_needs_cannot_be_disabled(name):
    with pytest.raises(UsageError, match=f"`{name}` cannot be disabled: "):
        choose(disable=[name])


def test_passes_are_chosen_by_name():
    assert "share-equal" in choose().names
    assert "share-equal" not in choose(disable=["share-equal"]).names
    with pytest.raises(UsageError, match="no pass `share-eqal`") as caught:
        choose(disable=["share-eqal"])
    assert "did you mean `share-equal`?" in caught.value.help
    with pytest.raises(UsageError, match="runs unless it is disabled"):
        choose(enable=["share-equal"])
    with pytest.raises(UsageError, match="no pass `faster`"):
        choose(enable=["faster"])


def test_a_manifest_gives_back_the_passes_that_made_it():
    assert recorded(choose().names, "here") == choose()
    assert recorded((), "here").names == ()
    with pytest.raises(RunError, match="here was made with passes that this legoc does not have: later"):
        recorded(("share-equal", "later"), "here")


@dataclass(frozen=True)
class Roughly:
    """An opt-in pass."""

    name: ClassVar[str] = "roughly"
    tolerance: ClassVar[str] = "1e-3 of the largest value"

    def apply(self, program, shape):
        return program


def test_an_opt_in_pass_runs_after_the_exact_ones_and_only_where_it_is_enabled(monkeypatch):
    monkeypatch.setattr(pipeline, "opt_in_sampling", lambda: (Roughly(),))
    assert "roughly" in pass_names()
    assert "roughly" not in choose().names
    chosen = choose(enable=["roughly"])
    assert [step.name for step in chosen.sampling] == [*(s.name for s in choose().sampling), "roughly"]
    assert chosen.training == choose().training
    assert recorded(chosen.names, "here") == chosen
    with pytest.raises(UsageError, match="`roughly` runs only where it is enabled"):
        choose(disable=["roughly"])
