"""The models of a request, made ready to be called: the stack in its configurations, and its peers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor

from legoc.bench.diffusers_dit import NAME as DIFFUSERS
from legoc.bench.diffusers_dit import DiffusersDit
from legoc.bench.plain import PlainStack
from legoc.bench.products import BlockProducts, of_configuration
from legoc.bench.request import PLAIN, DiffusersPeer, PlainPeer, Request, SpecPeer
from legoc.bench.results import Kind
from legoc.cost import counts
from legoc.cost.executed import executed_macs
from legoc_runtime.checkpoint import find_weights, read_tensors
from legoc_runtime.contract.policy import Configuration, configuration_name
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.pretrained import open_store
from legoc_runtime.stack import BrickStack
from legoc_runtime.store import WeightStore

SEED = 0
NOISE = 0.02
"""Added to fresh weights: output layers start at zero, and timing should not meet special numbers."""


@dataclass(frozen=True)
class Ahead:
    """Conditioning of a schedule computed before its loop.

    Attributes:
        run: computes it.
        levels: the noise levels that one call of `run` computes it for.
    """

    run: Callable[[], object]
    levels: int


@dataclass(frozen=True)
class Model:
    """A model in one configuration, ready to be called.

    Attributes:
        name: the model's.
        kind: as in `results.Timed`.
        configuration: the bricks that run.
        shape: of its stack.
        products: the products of its blocks, with the number of blocks of each.
        run: one call with the whole batch.
        ahead: what is computed before the loop and not by `run`, or None.
    """

    name: str
    kind: Kind
    configuration: Configuration
    shape: StackShape
    products: tuple[tuple[BlockProducts, int], ...]
    run: Callable[[], object]
    ahead: Ahead | None = None

    @property
    def label(self) -> str:
        """The model, and its configuration where it has several bricks."""
        several = len(self.shape.ids) > 1
        return f"{self.name}: {configuration_name(self.configuration)}" if several else self.name

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one evaluation, as `legoc cost` counts them."""
        return counts.macs(self.shape, self.configuration)

    @property
    def executed_macs(self) -> int:
        """Those that one call really runs for a row: without the conditioning where that was computed ahead."""
        if self.kind == "plain":  # no pass saves it anything
            return counts.macs(self.shape, self.configuration) - counts.label_macs(self.shape)
        return executed_macs(self.shape, self.configuration, ahead=self.ahead is not None)


@dataclass(frozen=True)
class Arguments:
    """A batch: images [N, C, H, W], noise levels [N], labels [N] or None."""

    x: Tensor
    sigma: Tensor
    labels: Tensor | None


def arguments(shape: StackShape, batch: int, device: torch.device) -> Arguments:
    """A batch for a stack: noise levels spread over the schedule, every class in turn."""
    generator = torch.Generator().manual_seed(SEED)
    x = torch.randn(batch, shape.channels, *shape.grid, generator=generator).to(device)
    sigma = torch.logspace(-2, 1.5, batch).to(device)
    labels = None if shape.classes is None else torch.arange(batch, device=device) % shape.classes
    return Arguments(x, sigma, labels)


def random_store(shape: StackShape, device: torch.device, dtype: torch.dtype) -> WeightStore:
    """A store whose weights are random and not zero."""
    store = open_store(shape, device=device, dtype=dtype)
    store.initialise(SEED)
    with store.updating(), torch.no_grad():
        for weight in store.weights.values():
            weight.add_(torch.randn_like(weight) * NOISE)
    return store


def stack_store(request: Request) -> tuple[WeightStore, str]:
    """The stack's weights, and in words where they came from: a run's newest, or random."""
    dtype = request.torch_dtype
    if (request.path / "checkpoints").is_dir():
        weights = find_weights(request.path, ema=None)
        store = open_store(request.manifest.shape, device=request.device, dtype=dtype)
        store.load(read_tensors(weights))
        return store, f"{weights.kind} after {weights.images:,} images"
    return random_store(request.manifest.shape, request.device, dtype), "random, none of them zero"


def models(request: Request, store: WeightStore) -> Iterator[Model]:
    """The stack in every configuration, the whole one first; then every peer."""
    manifest, batch = request.manifest, request.batch
    given = arguments(manifest.shape, batch, request.device)
    stack = BrickStack(
        manifest,
        store,
        backend=request.own_backend(request.build),
        extra_programs=request.extra_programs,
        cuda_graphs=request.graphs(),
        fp8=request.fp8,
    )
    yield from stack_models(manifest.name, "stack", stack, given, request.levels)
    for peer in request.peers:
        match peer:
            case PlainPeer():
                plain = PlainStack(manifest.shape, store.weights)
                for configuration in request.configurations:
                    run = _by_hand(plain, given, configuration)
                    yield Model(PLAIN, "plain", configuration, manifest.shape, (), run)
            case SpecPeer():
                shape = peer.manifest.shape
                other = random_store(shape, request.device, request.torch_dtype)
                own = request.own_backend(peer.build)
                stack = BrickStack(peer.manifest, other, backend=own, cuda_graphs=request.graphs())
                levels = {shape.ids: [level.sigma for level in request.tables[0].levels]}
                others = arguments(shape, batch, request.device)
                yield from stack_models(peer.manifest.name, "spec", stack, others, levels)
            case DiffusersPeer():
                others = arguments(peer.shape, batch, request.device)
                for compiled in (False, True):
                    model = DiffusersDit(peer.shape, request.device, request.torch_dtype, compiled=compiled)
                    name = f"{DIFFUSERS}, {'compiled' if compiled else 'eager'}"
                    run = model.call(others.x, others.labels)
                    yield Model(name, "diffusers", peer.shape.ids, peer.shape, (), run)
            case _:
                assert_never(peer)


def stack_models(
    name: str,
    kind: Kind,
    stack: BrickStack,
    given: Arguments,
    levels: Mapping[Configuration, Sequence[float]],
    *,
    tables: bool = True,
) -> Iterator[Model]:
    """A compiled stack as sampling runs it: every row at one noise level, conditioning looked up.

    Args:
        name: how the model is called.
        kind: as in `results.Timed`.
        stack: the stack.
        given: the batch.
        levels: the configurations to time, each with the noise levels at which it runs.
        tables: look conditioning up; False computes it in every call.
    """
    for configuration, sigmas in levels.items():
        products = tuple(of_configuration(stack.shape, configuration, len(given.x)).items())
        sigma = sigmas[len(sigmas) // 2]
        if tables:
            run, ahead = _looked_up(stack, given, configuration, sigma), _ahead(stack, given, configuration, sigmas)
        else:
            run, ahead = _conditioned(stack, given, configuration, sigma), None
        yield Model(name, kind, configuration, stack.shape, products, run, ahead)


def _looked_up(stack: BrickStack, given: Arguments, configuration: Configuration, sigma: float) -> Callable[[], object]:
    table = stack.tabulate([(configuration, sigma)], _labels(given))
    level = torch.tensor(sigma, dtype=stack.state_dtype)
    return lambda: stack(given.x, level, given.labels, configuration=configuration, table=table)


def _conditioned(
    stack: BrickStack, given: Arguments, configuration: Configuration, sigma: float
) -> Callable[[], object]:
    level = torch.tensor(sigma, dtype=stack.state_dtype)
    return lambda: stack(given.x, level, given.labels, configuration=configuration)


def _ahead(stack: BrickStack, given: Arguments, configuration: Configuration, sigmas: Sequence[float]) -> Ahead:
    calls = [(configuration, sigma) for sigma in sigmas]
    labels, level = _labels(given), torch.tensor(sigmas[0], dtype=stack.state_dtype)

    def run() -> object:
        return stack.tabulate(calls, labels).values(configuration, level, given.labels)

    table = stack.tabulate(calls, labels)
    of_one = max(1, table.bytes // len(table.calls))
    return Ahead(run, max(1, min(len(table.calls), table.max_bytes // of_one)))


def _by_hand(plain: PlainStack, given: Arguments, configuration: Configuration) -> Callable[[], object]:
    return lambda: plain(given.x, given.sigma, given.labels, configuration=configuration)


def _labels(given: Arguments) -> list[int] | None:
    return None if given.labels is None else sorted({int(label) for label in given.labels})
