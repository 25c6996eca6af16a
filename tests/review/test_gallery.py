"""The classes are proven: checkpoints are made, loaded into the other spec's store, and run."""

from __future__ import annotations

import pytest
import torch

from legoc.driver import describe_spec, lower_configuration
from legoc.hashes import spec_hashes
from legoc.review.changes import BrickAdded
from legoc.review.classify import rank
from legoc.review.compare import Review, review
from legoc.review.sides import Side
from legoc.spec import StackSpec
from legoc_runtime.errors import RunError
from legoc_runtime.stack import BrickStack
from legoc_runtime.store import WeightStore
from tests.review.carrying import carried
from tests.review.gallery import BASE, GALLERY, Exhibit
from tests.stacks import batch, random_store

LOADS = [e for e in GALLERY if e.impact != "breaks"]


def reviewed(exhibit: Exhibit) -> Review:
    before, after = exhibit.specs
    sides = Side("a", "spec", "a", exhibit.base, before), Side("b", "spec", "b", exhibit.text, after)
    found = review(*sides)
    assert found is not None
    return found


def output(spec: StackSpec, store: WeightStore, bricks: set[str] | None = None) -> torch.Tensor:
    """The estimate of a stack, of these bricks alone where they are named."""
    configuration = tuple(id for id in spec.shape.ids if bricks is None or id in bricks)
    manifest, _ = describe_spec(spec)
    stack = BrickStack(manifest, store, extra_programs=[lower_configuration(manifest, configuration)])
    with torch.no_grad():
        return stack(*batch(spec.shape, dtype=torch.float64), configuration=configuration)


def test_the_gallery_has_every_class_and_at_least_25_changes() -> None:
    assert len(GALLERY) >= 25
    assert {e.impact for e in GALLERY} == {"cosmetic", "sampling", "training", "resumable", "meaning", "breaks"}
    assert len({e.name for e in GALLERY}) == len(GALLERY)


@pytest.mark.parametrize("exhibit", GALLERY, ids=lambda e: e.name)
def test_a_change_gets_its_class(exhibit: Exhibit) -> None:
    found = reviewed(exhibit)
    assert found.impact == exhibit.impact, found.verdicts
    assert max(rank(v.impact) for v in found.verdicts) == rank(exhibit.impact)
    assert all(v.reason and "\n" not in v.reason for v in found.verdicts)
    assert bool(found.plan.lost) == any(v.impact == "breaks" and v.tensors for v in found.verdicts)
    before, after = (spec_hashes(spec).architecture for spec in exhibit.specs)
    assert before != after or rank(exhibit.impact) <= rank("training")


@pytest.mark.parametrize("exhibit", LOADS, ids=lambda e: e.name)
def test_what_loads_is_loaded_and_run(exhibit: Exhibit) -> None:
    found, (before, after) = reviewed(exhibit), exhibit.specs
    old = random_store(before.shape, dtype=torch.float64)
    tensors = {key: weight.detach() for key, weight in old.weights.items()}
    new = WeightStore(after.shape, dtype=torch.float64)
    new.initialise(0)
    if found.loading == "migrate":
        with pytest.raises(RunError):
            new.load(tensors)
        tensors = carried(found.plan, tensors, new)
    new.load(tensors)
    known = {v.change.after.text for v in found.verdicts if isinstance(v.change, BrickAdded)}
    same = _equal(output(before, old), output(after, new, set(after.shape.ids) - known))
    assert same == (exhibit.impact != "meaning")
    if exhibit.name in ("a new bottom brick", "new, renamed and deeper"):
        assert _equal(output(before, old), output(after, new))


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal up to the rounding of products that have further columns of zeros; other weights differ by far more."""
    return one.shape == other.shape and bool(torch.allclose(one, other, rtol=0, atol=1e-9))


@pytest.mark.parametrize("exhibit", [e for e in GALLERY if e.impact == "breaks"], ids=lambda e: e.name)
def test_what_breaks_does_not_load(exhibit: Exhibit) -> None:
    found, (before, after) = reviewed(exhibit), exhibit.specs
    assert found.loading == "no"
    old = WeightStore(before.shape)
    with pytest.raises(RunError, match="of another stack"):
        WeightStore(after.shape).load({key: weight.detach() for key, weight in old.weights.items()})
    lost = {
        m.after or m.before for v in found.verdicts for m in v.tensors if m.how in ("reshaped", "missing", "dropped")
    }
    assert lost == {m.after or m.before for m in found.plan.lost}


def test_the_base_is_what_the_gallery_changes() -> None:
    assert all(e.base != BASE or e.specs[0].name == "small" for e in GALLERY)
