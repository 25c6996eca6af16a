"""The three hashes: what they are of, and what does not count."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from legoc import hashes
from legoc.hashes import spec_hashes
from legoc.source import SourceFile
from legoc.spec import StackSpec, check_text, load_spec
from legoc.spec.compose import compose
from legoc.spec.tree import plain
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.contract.stack import BrickShape, EdmConstants

EMOJI = Path(__file__).parents[2] / "specs" / "emoji_32.yaml"
TEXT = EMOJI.read_text(encoding="utf-8")
HASHES = spec_hashes(load_spec(EMOJI))


@pytest.mark.parametrize(
    ("override", "changes"),
    [
        ("name=other", []),
        ("description=other", []),
        ("train.log_images=3k", []),
        ("train.snapshot_images=3k", []),
        ("conditioning.width=192", []),  # what it is by default
        ("train.images=4000k", []),
        ("bricks.image.size=32", []),
        ("bricks.image.depth=6", ["architecture"]),
        ("bricks.parts.size=8", ["architecture"]),
        ("bricks.image.$before=windows", ["architecture"]),
        ("carry=raw", ["architecture"]),
        ("compat.coordinates=column_row", ["architecture"]),
        ("conditioning.classes=10", ["architecture"]),
        ("diffusion.sigma_data=1", ["architecture"]),
        ("diffusion.p_mean=-1", ["training"]),
        ("diffusion.sigma_max=81", ["sampling"]),
        ("conditioning.label_dropout=0.2", ["training"]),
        ("bricks.parts.train_patches=0.5", ["training"]),
        ("bricks.parts.loss_weight=0.5", ["training"]),
        ("train.seed=1", ["training"]),
        ("train.optimizer.lr=1e-3", ["training"]),
        ("data.path=elsewhere", ["training"]),
        ("sample.guidance=3", ["sampling"]),
        ("bricks.image.skip=sigma < 1", ["sampling"]),
        ("skip_policies.late.image=sigma < 1", ["sampling"]),
        ("skip_policies.late.image=(sigma  <  0.30)", []),
        ("skip_policies.late={$delete: true}", ["sampling"]),
    ],
)
def test_a_value_belongs_to_one_hash(override: str, changes: list[str]) -> None:
    changed = spec_hashes(load_spec(EMOJI, [override]))
    names = ("architecture", "training", "sampling")
    assert [name for name in names if getattr(changed, name) != getattr(HASHES, name)] == changes


def test_the_names_that_the_split_is_made_by_exist() -> None:
    def has(kind: type[Any], names: tuple[str, ...] | frozenset[str]) -> bool:
        return set(names) <= {field.name for field in fields(kind)}

    assert has(BrickShape, hashes.TRAINING_OF_BRICK)
    assert has(EdmConstants, hashes.TRAINING_OF_DIFFUSION + hashes.SAMPLING_OF_DIFFUSION)
    assert has(TrainSettings, hashes.BOOKKEEPING)
    assert has(StackSpec, hashes._SPLIT)


def shuffled(draw: st.DrawFn, data: Any) -> Any:
    """The same data with the keys of every mapping in another order."""
    if isinstance(data, dict):
        return {key: shuffled(draw, data[key]) for key in draw(st.permutations(list(data)))}
    return [shuffled(draw, item) for item in data] if isinstance(data, list) else data


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_key_order_layout_and_comments_do_not_count(data: st.DataObject) -> None:
    tree, _ = compose(SourceFile("emoji", TEXT))
    assert tree is not None
    text = json.dumps(shuffled(data.draw, plain(tree.root)), indent=data.draw(st.sampled_from([None, 1, 4])))
    lines = text.splitlines()
    for at in data.draw(st.lists(st.integers(0, len(lines)), max_size=5)):
        lines.insert(at, "# a comment")
    spec = check_text("\n".join(lines), "elsewhere/moved.yaml").spec
    assert spec is not None
    assert spec_hashes(spec) == HASHES


def test_anchors_and_where_a_value_is_written_do_not_count() -> None:
    text = TEXT.replace('"sigma < 0.3"', "*low").replace("*low", '&low "sigma < 0.3"', 1)
    text = text.replace("depth: 2}", "depth: 2, width: 192}")
    assert ("&low" in text, "*low" in text, "width: 192}" in text) == (True, True, True)
    spec = check_text(text, "t").spec
    assert spec is not None
    assert spec_hashes(spec) == HASHES
