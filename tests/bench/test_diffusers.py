"""diffusers' DiT as a peer: the real package where it is installed."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from inspect import signature

import pytest
import torch

from legoc.bench import diffusers_dit
from legoc.bench.diffusers_dit import DiffusersDit
from legoc_runtime.errors import UsageError
from tests.stacks import stack

ONE = stack((16,), grid=(16, 16), receptive_fields=(2,), depths=(2,), widths=(32,), ids=("dit",), channels=4)


def test_without_diffusers_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diffusers_dit, "MODULE", "no_such_package.models")
    with pytest.raises(UsageError, match="diffusers cannot be imported") as caught:
        diffusers_dit.check(ONE)
    assert caught.value.help is not None
    assert "legoc[peers]" in caught.value.help


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (stack(), "one image-brick on a square grid"),
        (replace(ONE, grid=(16, 32)), "one image-brick on a square grid"),
        (replace(ONE, bricks=(replace(ONE.bricks[0], mlp_ratio=2.0),)), "4 times as wide"),
    ],
    ids=["three bricks", "rectangle", "narrow MLP"],
)
def test_what_it_has_no_model_for_is_refused(shape: object, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diffusers_dit, "MODULE", "json")
    with pytest.raises(UsageError, match=message):
        diffusers_dit.check(shape)  # type: ignore[arg-type]


@pytest.mark.peers
@pytest.mark.filterwarnings("default")
def test_the_real_model_has_the_size_of_the_brick() -> None:
    model = DiffusersDit(ONE, torch.device("cpu"), torch.float32, compiled=False)
    x, labels = torch.randn(3, 4, 16, 16), torch.tensor([0, 1, 4])
    with torch.no_grad():
        (out,) = model.call(x, labels)()  # type: ignore[misc]
        (other,) = model.call(x, labels.flip(0))()  # type: ignore[misc]
    assert out.shape == (3, 8, 16, 16)
    assert not torch.equal(out, other)
    blocks = [module for module in model.module.modules() if type(module).__name__ == "BasicTransformerBlock"]
    assert len(blocks) == ONE.bricks[0].depth


def recorded(
    *,
    num_attention_heads: int = 16,
    attention_head_dim: int = 72,
    in_channels: int = 4,
    out_channels: int | None = None,
    num_layers: int = 28,
    dropout: float = 0.0,
    norm_num_groups: int = 32,
    attention_bias: bool = True,
    sample_size: int = 32,
    patch_size: int = 2,
    activation_fn: str = "gelu-approximate",
    num_embeds_ada_norm: int | None = 1000,
    upcast_attention: bool = False,
    norm_type: str = "ada_norm_zero",
    norm_elementwise_affine: bool = False,
    norm_eps: float = 1e-5,
) -> None:
    """The signature of `DiTTransformer2DModel` in diffusers 0.42.1."""


@pytest.mark.peers
@pytest.mark.filterwarnings("default")
def test_the_recorded_signature_is_the_real_one() -> None:
    real = import_module(diffusers_dit.MODULE).DiTTransformer2DModel
    found = {name: p.default for name, p in signature(real.__init__).parameters.items() if name != "self"}
    assert found == {name: p.default for name, p in signature(recorded).parameters.items()}


def test_the_model_is_asked_for_by_keywords_that_it_has() -> None:
    given = diffusers_dit.keywords(ONE)
    signature(recorded).bind(**given)
    assert (given["num_attention_heads"], given["attention_head_dim"], given["sample_size"]) == (4, 8, 16)
