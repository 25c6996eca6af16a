"""Every change gets its class; `tests/migrate/test_over_the_gallery.py` proves them on checkpoints."""

from __future__ import annotations

import pytest

from legoc.driver import sealed_shape
from legoc.hashes import spec_hashes
from legoc.review.changes import BrickRenamed, ValueChanged
from legoc.review.classify import rank
from legoc.review.compare import Review, review
from legoc.review.rules import RULES, Impact
from legoc.review.sides import Side
from legoc_runtime.errors import RunError
from legoc_runtime.store import WeightStore
from tests.review.gallery import BASE, GALLERY, Exhibit


def reviewed(exhibit: Exhibit) -> Review:
    before, after = exhibit.specs
    sides = Side("a", "spec", "a", exhibit.base, before), Side("b", "spec", "b", exhibit.text, after)
    found = review(*sides)
    assert found is not None
    return found


def of_values(exhibit: Exhibit) -> list[tuple[ValueChanged, Impact]]:
    return [(v.change, v.impact) for v in reviewed(exhibit).verdicts if isinstance(v.change, ValueChanged)]


def test_the_gallery_has_every_class_and_at_least_25_changes() -> None:
    assert len(GALLERY) >= 25
    assert {e.impact for e in GALLERY} == {"cosmetic", "sampling", "training", "resumable", "meaning", "breaks"}
    assert len({e.name for e in GALLERY}) == len(GALLERY)


def test_the_class_of_every_key_is_proven_by_an_exhibit() -> None:
    """A key that is new gets an exhibit, in which nothing is of a worse class."""
    shown = {change.key for e in GALLERY for change, impact in of_values(e) if impact == e.impact}
    assert set(RULES) == shown


@pytest.mark.parametrize("exhibit", GALLERY, ids=lambda e: e.name)
def test_a_change_gets_its_class(exhibit: Exhibit) -> None:
    found = reviewed(exhibit)
    assert found.impact == exhibit.impact, found.verdicts
    assert max(rank(v.impact) for v in found.verdicts) == rank(exhibit.impact)
    assert all(v.reason and "\n" not in v.reason for v in found.verdicts)
    assert bool(found.plan.lost) == any(v.impact == "breaks" and v.tensors for v in found.verdicts)
    before, after = (spec_hashes(spec).architecture for spec in exhibit.specs)
    assert before != after or rank(exhibit.impact) <= rank("training")


@pytest.mark.parametrize("exhibit", [e for e in GALLERY if e.impact == "breaks"], ids=lambda e: e.name)
def test_what_breaks_does_not_load(exhibit: Exhibit) -> None:
    found, (before, after) = reviewed(exhibit), exhibit.specs
    assert found.loading == "no"
    old = WeightStore(sealed_shape(before.shape))
    with pytest.raises(RunError, match="of another stack"):
        WeightStore(sealed_shape(after.shape)).load({key: weight.detach() for key, weight in old.weights.items()})
    lost = {
        m.after or m.before for v in found.verdicts for m in v.tensors if m.how in ("reshaped", "missing", "dropped")
    }
    assert lost == {m.after or m.before for m in found.plan.lost}


def test_the_base_is_what_the_gallery_changes() -> None:
    assert all(e.base != BASE or e.specs[0].name == "small" for e in GALLERY)


def test_a_brick_of_another_id_is_trained_as_before() -> None:
    renamed = next(e for e in GALLERY if e.name.startswith("a brick renamed in stages"))
    assert [type(v.change) for v in reviewed(renamed).verdicts] == [BrickRenamed]
