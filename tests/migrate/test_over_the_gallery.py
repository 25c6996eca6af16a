"""What the diff says of loading is what a migration does: every change of the gallery is carried over, or refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

import legoc.migrate.write as write_room
from legoc.__main__ import main
from legoc.driver import describe_spec, lower_configuration, sealed_shape
from legoc.migrate.plan import Plan, plan_migration
from legoc.migrate.run import migrate
from legoc.spec import StackSpec
from legoc_runtime.checkpoint.tensorfile import load, metadata
from legoc_runtime.errors import RunError
from legoc_runtime.link.link import link
from legoc_runtime.pretrained import open_store
from legoc_runtime.store import WeightStore
from tests.migrate.made import IMAGES, write_trained
from tests.review.gallery import GALLERY, Exhibit, resolved
from tests.stacks import batch

LOADS = [e for e in GALLERY if e.impact != "breaks"]
BREAKS = [e for e in GALLERY if e.impact == "breaks"]


@dataclass(frozen=True)
class Trained:
    """A checkpoint, and what its stack computes."""

    checkpoint: Path
    weights: dict[str, torch.Tensor]
    estimate: torch.Tensor


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trained]:
    """Text of a spec -> a checkpoint of it."""
    root = tmp_path_factory.mktemp("trained")
    texts = {exhibit.base for exhibit in GALLERY}
    return {text: made(root / str(i), text) for i, text in enumerate(sorted(texts))}


def made(run: Path, text: str) -> Trained:
    checkpoint = write_trained(run, text, ema=())
    weights, spec = load(checkpoint / "weights.safetensors"), resolved(text)
    return Trained(checkpoint, weights, estimate(spec, weights, spec.ids))


def no_build(*_: object) -> None:
    """Writes no build."""


def planned(exhibit: Exhibit, trained: dict[str, Trained], folder: Path) -> Plan:
    spec = folder / "after.yaml"
    spec.write_text(exhibit.text, encoding="utf-8")
    return plan_migration(trained[exhibit.base].checkpoint, str(spec), exhibit.overrides)


def estimate(spec: StackSpec, weights: dict[str, torch.Tensor], bricks: tuple[str, ...]) -> torch.Tensor:
    manifest, _ = describe_spec(spec)
    manifest = replace(manifest, shape=sealed_shape(spec.shape))
    store = open_store(manifest.shape, dtype=torch.float64)
    store.load(weights)
    with torch.no_grad():
        return link(lower_configuration(manifest, bricks), store)(*batch(spec.shape, dtype=torch.float64))


@pytest.mark.parametrize("exhibit", LOADS, ids=lambda e: e.name)
def test_what_loads_is_carried_over_and_computes_what_it_must(
    exhibit: Exhibit, trained: dict[str, Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the build beside the weights is held against its spec in test_migrate.py
    monkeypatch.setattr(write_room, "write_build", no_build)
    plan = planned(exhibit, trained, tmp_path)
    found = migrate(plan, tmp_path / "out")
    assert found.holds
    assert found.out == tmp_path / "out"
    checkpoint = tmp_path / "out" / "checkpoints" / f"{IMAGES:012d}"
    after = exhibit.specs[1]
    whole = [o for o in found.outcomes if set(o.expected.after) == set(plan.matched.values())]
    assert [o.expected.must_be_equal for o in whole] == [exhibit.impact != "meaning"]
    # held against a comparison of the test's own, on the file that was written
    old, new = trained[exhibit.base], load(checkpoint / "weights.safetensors")
    assert "legoc.migrated_from" in metadata(checkpoint / "weights.safetensors")
    known = tuple(id for id in after.ids if id in plan.matched.values())
    one, other = old.estimate, estimate(after, new, known)
    same = one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=1e-11)
    assert same == (exhibit.impact != "meaning")
    # what is said to load as it is does, without a migration, and what is said to need one does not load
    store = WeightStore(sealed_shape(after.shape))
    if plan.tensors.loading == "as_is":
        store.load(old.weights)
    else:
        with pytest.raises(RunError, match="of another stack"):
            store.load(old.weights)


@pytest.mark.parametrize("exhibit", BREAKS, ids=lambda e: e.name)
def test_what_breaks_is_refused_with_every_lost_tensor(
    exhibit: Exhibit, trained: dict[str, Trained], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planned(exhibit, trained, tmp_path)
    assert not plan.is_possible
    arguments = [str(trained[exhibit.base].checkpoint), str(tmp_path / "after.yaml"), "-o", str(tmp_path / "out")]
    assert main(["migrate", *arguments, *(text for o in exhibit.overrides for text in ("--set", o))]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "cannot be carried over" in err
    assert all(str(move) in err for move in plan.tensors.lost)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["after.yaml"]


def test_the_base_of_every_exhibit_is_carried_over_to_itself(trained: dict[str, Trained], tmp_path: Path) -> None:
    for text, entry in trained.items():
        spec = tmp_path / "same.yaml"
        spec.write_text(text, encoding="utf-8")
        found = migrate(plan_migration(entry.checkpoint, str(spec)), None)
        assert all(outcome.is_equal for outcome in found.outcomes)
        assert resolved(text).ids in {outcome.expected.after for outcome in found.outcomes}
