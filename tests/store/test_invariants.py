"""One store under every module: what must hold in training and in sampling, under each backend.

Parameters are the store's own wherever they are read; a step of an optimizer and a swap to averages are seen by all; a
swap copies; the number of parameters does not grow with configurations; what is derived from weights is remade.
"""

from __future__ import annotations

from itertools import chain

import pytest
import torch

from legoc.lower.pipeline import choose, training_program
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.stack import BrickStack, TrainingStack
from legoc_runtime.store import WeightStore
from legoc_runtime.training.ema import Ema
from tests.stack.conditioned import brick_stack
from tests.stacks import batch, random_store
from tests.stacks import stack as shapes

# blocks and final layers of one form, so that one of each is compiled
SHAPE = shapes(windows=(4, 4), grid=(8, 8), receptive_fields=(2, 2), depths=(2, 1), widths=(16, 16))
BACKENDS = ["eager", pytest.param("inductor", marks=pytest.mark.compiler)]


class Everything:
    """Every configuration and the training module over one store."""

    def __init__(self, backend: str) -> None:
        self.store = random_store(SHAPE)
        self.sampling = brick_stack(SHAPE, backend=backend, store=self.store)
        manifest = self.sampling.manifest
        training = training_program(SHAPE, TrainSettings(), choose())
        with_training = type(manifest)(**{**vars(manifest), "programs": (*manifest.programs, training)})
        self.training = TrainingStack(with_training, self.store, backend=backend)
        self.arguments = batch(SHAPE, 2)
        self.ahead = self.sampling.tabulate([(c, 1.0) for c in self.sampling.configurations], range(6))

    def estimates(self) -> list[torch.Tensor]:
        """What every module makes of the same images: each configuration, with a table and without, and training."""
        x, sigma, labels = self.arguments
        with torch.no_grad():
            direct = [self.sampling(x, sigma, labels, configuration=c) for c in self.sampling.configurations]
            one = torch.tensor(1.0)
            looked_up = [
                self.sampling(x, one, labels, configuration=c, table=self.ahead) for c in self.sampling.configurations
            ]
        trained = [found.estimate.detach() for found in self.trained()]
        return [*direct, *looked_up, *trained]

    def trained(self):
        x, sigma, labels = self.arguments
        return self.training(x, sigma, labels, clean=x, windows={})

    def differ(self, before: list[torch.Tensor]) -> bool:
        return all(not torch.equal(a, b) for a, b in zip(before, self.estimates(), strict=True))


@pytest.fixture(params=BACKENDS)
def everything(request: pytest.FixtureRequest) -> Everything:
    return Everything(request.param)


def addresses(store: WeightStore) -> dict[str, int]:
    return {key: weight.data_ptr() for key, weight in store.weights.items()}


def modules_of(stack: BrickStack) -> list[torch.nn.Module]:
    linked = [stack._module(configuration) for configuration in stack.configurations]
    parts = chain.from_iterable((part.graph, part.body, part.conditioning._run) for part in linked)
    return [module for module in parts if isinstance(module, torch.nn.Module)]


def test_every_module_reads_the_parameters_of_the_store(everything: Everything):
    everything.estimates()
    own = set(addresses(everything.store).values())
    modules = [*modules_of(everything.sampling), everything.training.graph, *everything.training._compiled.values()]
    assert len(modules) > len(everything.sampling.configurations)
    for module in modules:
        assert {parameter.data_ptr() for parameter in module.parameters()} <= own
        assert {id(parameter) for parameter in module.parameters()} <= set(map(id, everything.store.weights.values()))


def test_the_number_of_parameters_does_not_grow_with_configurations(everything: Everything):
    alone = sum(parameter.numel() for parameter in WeightStore(SHAPE, device="meta").parameters())
    everything.estimates()
    together = [*modules_of(everything.sampling), everything.training.graph, everything.store]
    distinct = {p.data_ptr(): p.numel() for module in together for p in module.parameters()}
    assert sum(distinct.values()) == alone
    assert sum(parameter.numel() for parameter in everything.store.parameters()) == alone


def test_a_fused_optimizer_step_is_seen_by_every_module(everything: Everything):
    before, where = everything.estimates(), addresses(everything.store)
    optimizer = torch.optim.AdamW(everything.store.parameters(), lr=1e-2, fused=True)
    torch.stack([found.estimate.square().mean() for found in everything.trained()]).sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in everything.store.weights.values())
    with everything.store.updating():
        optimizer.step()
    assert everything.differ(before)
    assert addresses(everything.store) == where


def test_a_swap_to_averages_copies_and_is_seen_by_every_module(everything: Everything):
    store = everything.store
    average = Ema(store, [0.5])
    with store.updating(), torch.no_grad():
        for weight in store.weights.values():
            weight.mul_(1.5)
    average.update(0)
    before, where = everything.estimates(), addresses(store)
    kept = {key: weight.detach().clone() for key, weight in store.weights.items()}
    store.load(average.averages[0.5])
    assert addresses(store) == where
    assert everything.differ(before)
    assert all(torch.equal(store.weights[key], tensor) for key, tensor in average.averages[0.5].items())
    # and back, to the bit
    store.load(kept)
    assert all(torch.equal(a, b) for a, b in zip(before, everything.estimates(), strict=True))
    assert addresses(store) == where


def test_what_is_derived_from_weights_is_remade_when_they_change_and_only_then(everything: Everything):
    store = everything.store
    everything.estimates()
    windows = everything.ahead.use.windows
    everything.estimates()
    assert everything.ahead.use.windows == windows
    made: list[int] = []

    def total() -> float:
        made.append(store.generation)
        return sum(weight.sum().item() for weight in store.weights.values())

    assert store.derived("sum", total) == store.derived("sum", total)
    before = everything.estimates()
    with store.updating(), torch.no_grad():
        for weight in store.weights.values():
            weight.data.mul_(0.5)  # which PyTorch's own counter does not see
    store.derived("sum", total)
    assert made == [store.generation - 1, store.generation]
    assert everything.differ(before)
    assert everything.ahead.use.windows == windows + 1


def test_training_and_sampling_stay_as_they_are_beside_each_other(everything: Everything):
    """Compiling for one does not change what the other runs."""
    kinds = {name: type(module) for name, module in everything.store.named_modules()}
    modes = {name: module.training for name, module in everything.store.named_modules()}
    first = everything.estimates()
    everything.training.graph.train()
    assert all(torch.equal(a, b) for a, b in zip(first, everything.estimates(), strict=True))
    assert {name: type(module) for name, module in everything.store.named_modules()} == kinds
    everything.training.graph.train(modes[""])
