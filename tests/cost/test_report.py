"""Cost as data and as text."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from legoc.cost import Cost, brick_macs, brick_parameters, dit_xl_2, macs, parameters, price
from legoc.cost.table import quantity, table
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.policy import Policy
from legoc_runtime.contract.predicate import Compare, Name, Number
from legoc_runtime.contract.settings import SampleSettings, Stage, TrainSettings
from legoc_runtime.contract.stack import BrickShape, EdmConstants, StackShape
from legoc_runtime.errors import UsageError


def brick(id: str, side: int, receptive_field: int, train_patches: float = 1.0) -> BrickShape:
    return BrickShape(
        id=id,
        window=(side, side),
        grid=(16, 16),
        receptive_field=receptive_field,
        depth=2,
        width=32,
        heads=2,
        mlp_ratio=4.0,
        channels=3,
        coordinates=2,
        takes_estimate=id != "low",
        condition_width=32,
        train_patches=train_patches,
    )


def manifest(classes: int | None = 5, guidance: float = 2.0) -> Manifest:
    shape = StackShape(
        channels=3,
        grid=(16, 16),
        classes=classes,
        label_form="table",
        coordinates="row_column",
        condition_width=32,
        carry="x0",
        diffusion=EdmConstants(),
        bricks=(brick("low", 4, 2, train_patches=0.75), brick("top", 16, 2)),
    )
    late = Policy("late", (("top", Compare(Name("step"), ((">=", Number(6)),))),))
    sample = SampleSettings(steps=8, guidance=guidance)
    return Manifest("tiny", "", "0", "", shape, 0.1, (late,), None, "none", TrainSettings(), sample, (), ())


def test_a_policy_saves_what_its_evaluations_leave_out() -> None:
    """`late` leaves the top brick out at levels 6 and 7: two evaluations each of Heun's 15."""
    build = manifest()
    cost = price(build)
    none, halfway, late = cost.policies
    assert (none.policy, none.saving, none.skipped, none.breaks) == ("none", 0.0, {}, ())
    assert none.macs == 2 * 15 * macs(build.shape)
    assert none.macs - late.macs == 2 * 4 * brick_macs(build.shape.bricks[1])
    assert late.skipped == {"top": 2}
    assert [(b.brick, b.step, b.runs) for b in late.breaks] == [("top", 6, False)]
    assert halfway.skipped == {"top": 4}
    assert 0 < late.saving < halfway.saving < 1


def test_configurations_are_those_that_the_priced_policies_reach() -> None:
    build = manifest()
    whole, lean = price(build).configurations
    assert (whole.configuration, whole.macs, whole.share) == (("low", "top"), macs(build.shape), 1.0)
    assert (lean.configuration, lean.macs) == (("low",), macs(build.shape, ("low",)))
    assert whole.parameters - lean.parameters == brick_parameters(build.shape.bricks[1])
    assert [c.configuration for c in price(build, policies=["none"]).configurations] == [("low", "top")]
    assert "\nlow+top " in table(price(build))


def test_what_dit_would_take_is_said_apart() -> None:
    """DiT-XL/2 on the same grid at as many evaluations and rows; negative where the stack costs more."""
    cost = price(manifest())
    dit = dit_xl_2((16, 16), 3)
    assert dit is not None
    assert cost.peer is not None
    assert cost.peer.macs == macs(dit)
    for policy in cost.policies:
        assert policy.peer_saving == pytest.approx(1 - policy.macs / (2 * 15 * macs(dit)))
    heavy = replace(dit, bricks=(replace(dit.bricks[0], id="low", depth=56),))
    whole = price(replace(manifest(), shape=heavy, policies=())).policies[0]
    assert whole.saving == 0
    assert whole.peer_saving is not None
    assert -1.1 < whole.peer_saving < -0.9


def test_dit_on_latents_is_the_published_one_and_odd_grids_have_none() -> None:
    dit = dit_xl_2((32, 32), 4)
    assert dit is not None
    assert (parameters(dit), macs(dit)) == (674_834_720, 118_621_421_568)
    assert dit_xl_2((15, 16), 4) is None
    build = manifest()
    odd = replace(build.shape, grid=(15, 15), bricks=(replace(build.shape.bricks[0], grid=(15, 15), window=(5, 5)),))
    cost = price(replace(build, shape=odd, policies=()))
    assert cost.peer is None
    assert cost.policies[0].peer_saving is None
    assert "DiT" not in table(cost)


def test_flags_override_the_spec() -> None:
    build = manifest()
    assert price(build, steps=4).evaluations == 7
    unguided = price(build, guidance=1.0, policies=["late"])
    assert [policy.policy for policy in unguided.policies] == ["late"]
    assert 2 * unguided.policies[0].macs == price(build, policies=["late"]).policies[0].macs
    assert price(build, policies=["halfway:1"]).policies[0].skipped == {"top": 8}


def test_requests_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="no skip policy `nope`"):
        price(manifest(), policies=["nope"])
    with pytest.raises(UsageError, match="no classes"):
        price(manifest(classes=None))
    with pytest.raises(UsageError, match="steps"):
        price(manifest(), steps=1)
    for guidance in (float("nan"), float("inf"), -1.0):
        with pytest.raises(UsageError, match="guidance must be 0 or more"):
            price(manifest(), guidance=guidance)


def test_json_is_versioned_and_whole() -> None:
    cost = price(manifest())
    data = json.loads(json.dumps(cost.to_json()))
    assert (data.pop("cost_version"), data.pop("flops_per_mac")) == (1, 2)
    assert data.pop("flops") == 2 * cost.macs
    assert data["units"]["batch_memory"] == "bytes, for `rows` and `batch`"
    assert set(data) - {"units", "batch", "rows", "batch_memory"} == set(Cost.__dataclass_fields__)
    assert sum(b["macs"] for b in data["bricks"]) + data["shared_macs"] == data["macs"]
    assert data["policies"][2]["breaks"][0]["sigma"] == pytest.approx(0.03518665, rel=1e-6)


def test_table_says_what_matters() -> None:
    text = table(price(manifest()))
    lines = text.splitlines()
    assert lines[0].startswith("tiny: 16x16x3, 5 classes, ")
    assert "windows trained: low 12 of 16" in text
    assert "8 noise levels, 15 evaluations, two rows each (guidance)" in text
    (late,) = [line for line in lines if line.startswith("late ")]
    assert late.endswith("top in 2 of 8 (stops at step 6, sigma 0.0352)")
    assert all(line == line.rstrip() for line in lines)
    assert "1 MAC = 2 FLOPs" in text
    (head,) = [line.split() for line in lines if line.startswith("brick ")]
    (whole,) = [line for line in lines if line.startswith("all ")]
    assert head[-3:] == ["MACs", "FLOPs", "share"]
    assert whole.endswith(f"{quantity(2 * price(manifest()).macs)}  100.0%")
    assert "B in all of weights, gradients, moments and averages, beside its activations" in text


@pytest.mark.parametrize(
    ("train", "words"),
    [
        (TrainSettings(), "(3 x a forward; windows trained: low 12 of 16)"),
        (TrainSettings(fill="model"), "(3 x a forward of what trains, 1 x of windows not trained; "),
        (
            TrainSettings(stages=(Stage(("low",), 10), Stage(("low", "top"), None))),
            "(mean over its stages: 3 x a forward of what trains, 1 x of what is frozen; ",
        ),
    ],
)
def test_what_a_training_image_is_the_mean_of_is_said(train: TrainSettings, words: str) -> None:
    assert words in table(price(replace(manifest(), train=train)))


def test_labels_are_looked_up_only_where_there_are_labels() -> None:
    assert "(labels are looked up)" in table(price(manifest()))
    assert "labels" not in table(price(manifest(classes=None), guidance=1))


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (999, "999"),
        (1_000, "1.00 k"),
        (99_994, "99.99 k"),
        (99_996, "100.0 k"),
        (999_949, "999.9 k"),
        (999_950, "1.00 M"),
        (681_512_345, "681.5 M"),
        (81_329_000_000, "81.33 G"),
        (1_234_567_000_000_000_000, "1234.6 P"),
    ],
)
def test_quantities_keep_four_digits_at_most(count: int, text: str) -> None:
    assert quantity(count) == text
