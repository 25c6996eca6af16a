"""Sets in two parts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from legoc_runtime.data.split import split
from legoc_runtime.errors import UsageError
from tests.training.tiny import tiny_data


def names(part: object) -> list[str]:
    return [part.name(i) for i in range(len(part))]  # type: ignore[attr-defined, arg-type]


def test_parts_share_nothing_and_a_larger_share_holds_out_what_a_smaller_one_does(tmp_path: Path):
    data = tiny_data(tmp_path)
    kept, held_out = split(data, 0.5)
    assert held_out is not None
    assert sorted(names(kept) + names(held_out)) == sorted(names(data))
    _, fewer = split(data, 0.3)
    assert fewer is not None
    assert set(names(fewer)) < set(names(held_out))


def test_a_part_has_the_examples_labels_and_names_of_its_set(tmp_path: Path):
    data = tiny_data(tmp_path)
    _, part = split(data, 0.5)
    assert part is not None
    places = {data.name(i): i for i in range(len(data))}
    for i in range(len(part)):
        own = places[part.name(i)]
        assert part.label(i) == data.label(own)
        one, other = part.clean([i], [3], 0, flip=True), data.clean([own], [3], 0, flip=True)
        assert torch.equal(torch.from_numpy(one), torch.from_numpy(other))


@pytest.mark.parametrize("share", [1e-9, 0.999999])
def test_a_share_that_leaves_a_side_empty_is_refused(tmp_path: Path, share: float):
    with pytest.raises(UsageError, match="would be held out"):
        split(tiny_data(tmp_path), share)


def test_no_share_is_the_set_itself(tmp_path: Path):
    data = tiny_data(tmp_path)
    assert split(data, 0) == (data, None)
