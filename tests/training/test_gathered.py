"""Blocks run through the holders of their weights compute what they computed."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from legoc_runtime.backends.base import choose_backend
from legoc_runtime.backends.regions import replace_blocks, run_block
from legoc_runtime.layers.leaves import Attend, Mlp
from legoc_runtime.stack import TrainingStack
from legoc_runtime.store import Block, WeightStore
from legoc_runtime.training.gathered import gathered, rooted
from tests.training.tiny import tiny_build


class FusedBlock(nn.Module):
    """Attention and MLP of a block in one call, as the inductor backend makes them."""

    def __init__(self, attend: Attend, mlp: Mlp) -> None:
        super().__init__()
        self.attend, self.mlp = attend, mlp

    def forward(self, tokens: Tensor, modulation: Tensor) -> Tensor:
        return run_block(self.attend, self.mlp, tokens, modulation, "sdpa", "call")


class Fused:
    """A backend that puts one call in the place of each block, without compiling any."""

    name = "fused"

    def available(self) -> str | None:
        return None

    def compile(self, module: fx.GraphModule, *, training: bool = False) -> fx.GraphModule:
        return replace_blocks(module, FusedBlock)


def around(store: WeightStore, module: object, *, whole: bool) -> object:
    found = gathered(module, store)  # type: ignore[arg-type]
    return rooted(found, store) if whole else found


def estimates_and_gradients(backend: str | Fused, *, again: bool, held: bool) -> tuple[list[Tensor], dict[str, int]]:
    """What the stack makes of a fixed batch, and how often each block's holder was called."""
    manifest, _ = tiny_build(fill=("flip: true", "flip: true, fill: model"))
    store = WeightStore(manifest.shape)
    store.initialise(0)
    generator = torch.Generator().manual_seed(0)
    with store.updating(), torch.no_grad():
        for weight in store.weights.values():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    calls: dict[str, int] = {}
    for name, module in store.named_modules():
        if isinstance(module, Block):
            module.register_forward_hook(lambda *_, name=name: calls.update({name: calls.get(name, 0) + 1}))
    options = {"around": partial(around, store)} if held else {}
    stack = TrainingStack(manifest, store, backend=backend, checkpoint_bricks=again, **options)  # type: ignore[arg-type]
    x = torch.randn(2, 3, 8, 8, generator=generator)
    windows = {
        brick.id: torch.arange(brick.windows_trained).expand(2, -1)
        for brick in manifest.shape.bricks
        if brick.windows_trained < brick.windows
    }
    found = stack(x, torch.tensor([0.5, 2.0]), torch.tensor([0, 3]), clean=x, windows=windows)
    sum(each.estimate.square().mean() for each in found).backward()  # type: ignore[union-attr]
    gradients = [weight.grad for weight in store.weights.values() if weight.grad is not None]
    return [*(each.estimate.detach() for each in found), *gradients], calls


@pytest.mark.parametrize("again", [False, True])
def test_every_block_runs_through_its_holder_bit_for_bit(again: bool) -> None:
    plain, none = estimates_and_gradients("eager", again=again, held=False)
    held, calls = estimates_and_gradients("eager", again=again, held=True)
    assert not none
    assert calls.keys() == {f"brick_{id}.blocks.0" for id in ("small", "parts", "whole")}
    assert all(torch.equal(one, other) for one, other in zip(plain, held, strict=True))


def test_what_a_backend_made_of_a_block_runs_through_its_holder() -> None:
    plain, _ = estimates_and_gradients("eager", again=False, held=False)
    held, calls = estimates_and_gradients(Fused(), again=False, held=True)
    assert len(calls) == 3
    for one, other in zip(plain, held, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_no_result_is_a_view_of_another() -> None:
    """FSDP2 puts hooks on what the root returns, and warns of views: those of a learned variance were some."""
    learned = "name: tiny\ndiffusion: {kind: ddpm, variance: learned_range}"
    manifest, _ = tiny_build(diffusion=("name: tiny", learned), patches=(", train_patches: 0.5", ""))
    store = WeightStore(manifest.shape)
    store.initialise(0)
    results: list[object] = []
    store.register_forward_hook(lambda _module, _arguments, found: results.append(found))
    stack = TrainingStack(manifest, store, backend=choose_backend("eager").backend, around=partial(around, store))
    noisy = torch.zeros(2, 3, 8, 8)
    estimates = stack(noisy, torch.ones(2), torch.zeros(2, dtype=torch.int64), clean=noisy, windows={})
    assert all(each.variance is not None for each in estimates)
    flat = tree_leaves(results)
    assert len(flat) > len(estimates)
    assert not any(tensor._is_view() for tensor in flat)
