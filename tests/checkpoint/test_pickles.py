"""A pickle is refused in words; a safetensors file whose first bytes look like one is not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from legoc_runtime.checkpoint import tensorfile
from legoc_runtime.errors import RunError


def test_a_header_length_that_looks_like_a_pickle(tmp_path: Path) -> None:
    """A safetensors file begins with its header's length: one in 32 such lengths begins with a pickle's first byte."""
    path = tmp_path / "weights.safetensors"
    for padding in range(0, 256, 8):
        tensorfile.save(path, {"a": torch.ones(2)}, {"pad": "x" * padding})
        if path.read_bytes()[0] == 0x80:
            break
    assert path.read_bytes()[0] == 0x80
    assert tensorfile.load(path)["a"].tolist() == [1.0, 1.0]
    assert tensorfile.metadata(path)["pad"] == "x" * padding


@pytest.mark.parametrize("start", [b"\x80\x04\x95", b"PK\x03\x04"], ids=["pickle", "zip of pickles"])
def test_a_pickle_is_refused_in_words(start: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(start + bytes(100))
    with pytest.raises(RunError, match="is a pickle"):
        tensorfile.load(path)
