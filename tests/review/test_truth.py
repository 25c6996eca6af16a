"""Over many random pairs of specs the class says the truth about loading, and a comparison is its own mirror."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from functools import cache

import pytest
import torch

from legoc.review.changes import BrickAdded, Changes, ValueChanged, compare_specs, inverse
from legoc.review.classify import IMPACTS, Case, classify, rank
from legoc.review.compare import review
from legoc.review.rules import RULES
from legoc.review.sides import Side
from legoc.review.tensors import plan_tensors
from legoc.review.values import BRICK_KEYS, SHAPE_KEYS, SPEC_KEYS, brick_texts, spec_texts
from legoc.spec import StackSpec
from legoc_runtime.contract.stack import BrickShape, StackShape, weight_shapes
from legoc_runtime.errors import RunError
from legoc_runtime.store import WeightStore
from tests.lower.test_lower import MODEL
from tests.review.gallery import ABOVE, BASE, DDPM, ONE, resolved
from tests.review.random_specs import STACK, random_pairs

PAIRS = 2_000
MODEL_IDS = STACK["base_id"]


@cache
def compared() -> tuple[tuple[StackSpec, StackSpec, Changes], ...]:
    """Every pair, with its comparison."""
    return tuple((before, after, compare_specs(before, after)) for before, after in random_pairs(PAIRS, seed=7))


def test_the_class_tells_the_truth_about_loading() -> None:
    seen: Counter[tuple[str, str]] = Counter()
    for before, after, found in compared():
        plan = plan_tensors(before.shape, after.shape, found.matched)
        case = Case(before, after, found.matched, plan)
        verdicts = [classify(change, case) for change in found.changes]
        worst = IMPACTS[max((rank(v.impact) for v in verdicts), default=0)]
        seen[worst, plan.loading] += 1
        ours, theirs = weight_shapes(before.shape), weight_shapes(after.shape)
        assert (plan.loading == "as_is") == (ours == theirs)
        assert (plan.loading == "no") == (worst == "breaks"), (found, plan.lost)
        if rank(worst) <= rank("training"):
            assert plan.loading == "as_is", found
        if worst == "resumable" and not adds_a_frozen_model(found):
            assert plan.loading == "migrate", found
        # the plan speaks of every tensor of both stacks once, by its true shape
        assert {m.after: m.shape_after for m in plan.moves if m.after} == theirs
        assert {m.before: m.shape_before for m in plan.moves if m.before} == ours
        assert len(plan.moves) == len(theirs) + sum(m.after is None for m in plan.moves)
    assert {worst for worst, _ in seen} == {"cosmetic", "training", "sampling", "resumable", "meaning", "breaks"}, seen
    assert seen["meaning", "migrate"], seen
    on_models = [pair for pair in compared() if any(spec.pretrained for spec in pair[:2])]
    assert len(on_models) > PAIRS // 10
    assert sum(any((spec.shape.pretrained or MODEL).place for spec in pair[:2]) for pair in on_models) > PAIRS // 20


def adds_a_frozen_model(found: Changes) -> bool:
    """Its weights are in no checkpoint, and above other bricks it gives none a slot: what is there loads as it is."""
    return any(isinstance(change, BrickAdded) and change.after.text in MODEL_IDS for change in found.changes)


def test_stores_on_the_meta_device_take_what_is_said_to_load() -> None:
    taken: Counter[str] = Counter()
    for before, after, found in compared():
        loading = plan_tensors(before.shape, after.shape, found.matched).loading
        if taken[loading] == 20:
            continue
        taken[loading] += 1
        tensors = {key: torch.empty(shape, device="meta") for key, shape in weight_shapes(before.shape).items()}
        store = WeightStore(after.shape, device="meta")
        if loading == "as_is":
            store.load(tensors)
        else:
            with pytest.raises(RunError, match="of another stack"):
                store.load(tensors)
    assert taken == {"as_is": 20, "migrate": 20, "no": 20}


def test_a_comparison_is_its_own_mirror_and_empty_with_itself() -> None:
    for before, after, there in compared():
        back = compare_specs(after, before)
        assert {inverse(change) for change in there.changes} == set(back.changes)
        assert {other: mine for mine, other in there.matched.items()} == dict(back.matched)
        assert bool(there.changes) == (before != after)
    specs = {id(spec): spec for before, after, _ in compared() for spec in (before, after)}
    assert all(compare_specs(spec, spec).changes == () for spec in specs.values())
    side = Side("a", "spec", "a", "text", compared()[0][0])
    assert review(side, side) is None


def test_every_value_of_a_spec_is_compared_and_has_a_rule() -> None:
    """A field that is added to a spec must be named here and get a rule."""
    compared = {"shape", "default_skips", "policies", "train", "sample", "pretrained", "spans", *SPEC_KEYS}
    assert {entry.name for entry in fields(StackSpec)} == compared
    assert {entry.name for entry in fields(StackShape)} == {"diffusion", "bricks", "pretrained", *SHAPE_KEYS}
    follows = {"id", "grid", "channels", "coordinates", "takes_estimate", "condition_width", "variance_channels"}
    assert {entry.name for entry in fields(BrickShape)} == {*follows, *BRICK_KEYS}
    specs = [resolved(text) for text in (BASE, ONE, DDPM, ABOVE)]
    keys = {key for spec in specs for key in spec_texts(spec)}
    keys |= {key for spec in specs for id in spec.ids for key in brick_texts(spec, id)}
    assert keys == set(RULES)


def test_a_stride_that_follows_from_the_grid_changes_only_where_there_is_a_canvas() -> None:
    """It is 7, or the side of a smaller grid, said or not; pictures of the grid's size have none."""
    small, large = ("grid.height=4", "grid.width=4", "bricks.whole.receptive_field=2"), ("sample.size=64x64",)
    texts = [resolved(BASE, *sets) for sets in ((), small, large, (*small, *large))]
    grid, small_grid, canvas, small_canvas = texts

    def keys(before: StackSpec, after: StackSpec) -> set[str]:
        return {change.key for change in compare_specs(before, after).changes if isinstance(change, ValueChanged)}

    assert "grid" in keys(grid, small_grid)
    assert "sample.stride" not in keys(grid, small_grid) | keys(grid, canvas)
    assert "sample.stride" in keys(canvas, small_canvas)
