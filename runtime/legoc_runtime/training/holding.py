"""What a process holds of the weights, their gradients, moments and averages: all of it, or its shard.

`Shards` is FSDP2 (`torch.distributed.fsdp.fully_shard`): between steps each process holds some rows of every weight,
and the weights of a block are gathered when it runs, forwards and backwards. The optimizer and the averages work on
plain tensors that share their memory with the shards, so that they are the same code and kernels for both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import get_total_norm

from legoc_runtime.backends.base import Module
from legoc_runtime.backends.device import choose_dtype
from legoc_runtime.checkpoint import tensorfile
from legoc_runtime.contract.settings import Precision, TrainSettings
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.store import WeightStore
from legoc_runtime.training.gathered import gathered, rooted
from legoc_runtime.training.ranks import ALONE, Ranks

T = TypeVar("T")

MOMENTS = ("exp_avg", "exp_avg_sq")
"""What AdamW keeps as large as a weight, one more each."""


class Whole:
    """Every process holds every weight; gradients are averaged over the processes.

    Args:
        store: the weights.
        ranks: the processes.

    Attributes:
        weights: weight key -> what this process updates of it.
    """

    sharded = False

    def __init__(self, store: WeightStore, ranks: Ranks = ALONE) -> None:
        self._store = store
        self._ranks = ranks
        self.weights: Mapping[str, nn.Parameter] = store.weights

    def run(self, call: Callable[[], T]) -> T:
        """What a forward or backward pass gives."""
        return call()

    def around(self, module: Module, *, whole: bool) -> Module:
        """A compiled module, or a part of one, as it runs over these weights."""
        return module

    def reduce(self, loss: Tensor) -> None:
        """Bring gradients, and a scalar, to their means over the processes."""
        self._ranks.average([*gradients(self.weights), loss])

    def norm(self) -> Tensor:
        """The norm of the gradient of all weights, a scalar."""
        return get_total_norm(gradients(self.weights))

    def finite(self, gradient: Tensor) -> bool:
        """Whether a gradient is finite in every process."""
        return bool(torch.isfinite(gradient).all())

    def load(self, path: Path) -> None:
        """Take the weights from a file."""
        self._store.load(tensorfile.load(path))

    def read(self, path: Path) -> dict[str, Tensor]:
        """What this process holds of the tensors of a file, by their names."""
        return tensorfile.load(path)

    def collect(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Whole tensors from what the processes hold of them; called by all, and complete in the first."""
        return tensors


class Shards:
    """Every process holds some rows of every weight.

    Args:
        store: the weights, whole, on the CPU; sharded here, and moved to the device.
        ranks: the processes, two or more.
        device: where this one computes.
        precision: what products compute in; weights are gathered in it.

    Attributes:
        weights: weight key -> what this process updates of it: its rows, in the memory of its shard.
    """

    sharded = True

    def __init__(self, store: WeightStore, ranks: Ranks, device: torch.device, precision: Precision) -> None:
        self._store = store
        self._ranks = ranks
        self._shapes = {key: weight.shape for key, weight in store.weights.items()}
        self._mesh = _shard(store, ranks.size, device, precision)
        held = {key: nn.Parameter(_local(weight.detach())) for key, weight in store.weights.items()}
        self.weights: Mapping[str, nn.Parameter] = held
        own = {key: self._own(shape[0]) for key, shape in self._shapes.items()}
        assert all(len(weight) == own[key].stop - own[key].start for key, weight in held.items())

    def run(self, call: Callable[[], T]) -> T:
        """What a forward or backward pass gives; the processes meet in it.

        Raises:
            RunError: one of them is gone.
        """
        return self._ranks.together(call)

    def around(self, module: Module, *, whole: bool) -> Module:
        """A compiled module, or a part of one, as it runs over these weights."""
        assert isinstance(module, fx.GraphModule), "training compiles block by block"
        found = gathered(module, self._store)
        return rooted(found, self._store) if whole else found

    def reduce(self, loss: Tensor) -> None:
        """Take the mean gradients, which FSDP2 left on its shards, and bring a scalar to its mean."""
        for key, weight in self._store.weights.items():
            self.weights[key].grad = None if weight.grad is None else _local(weight.grad)
            weight.grad = None
        self._ranks.average([loss])

    def norm(self) -> Tensor:
        """The norm of the gradient of all weights, a scalar; the same bits in every process."""
        norm = get_total_norm(gradients(self.weights)).to(self._store.device, torch.float64)
        return self._ranks.total(norm.square()).sqrt().to(torch.float32)

    def finite(self, gradient: Tensor) -> bool:
        """Whether a gradient is finite in every process."""
        return not self._ranks.any(not bool(torch.isfinite(_local(gradient)).all()))

    def load(self, path: Path) -> None:
        """Take the weights from a file."""
        found = self.read(path)
        if found.keys() != self.weights.keys():
            raise RunError(f"{path} is of another stack", help="take the checkpoint of this spec")
        with self._store.updating(), torch.no_grad():
            for key, weight in self.weights.items():
                weight.copy_(found[key])

    def read(self, path: Path) -> dict[str, Tensor]:
        """What this process holds of the tensors of a file, by their names: rows of weights, moments and averages."""
        return {name: self._read(path, name, header.shape) for name, header in tensorfile.headers(path).items()}

    def collect(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Whole tensors from what the processes hold of them; called by all, and complete in the first."""
        found: dict[str, Tensor] = {}
        for key, tensor in tensors.items():
            whole = self._ranks.together(self.spread(key, tensor).full_tensor)
            if self._ranks.first:  # one weight at a time is whole on the device
                found[key] = whole.cpu()
        return found

    def spread(self, key: str, rows: Tensor) -> Any:
        """The DTensor whose rows in this process are `rows`, laid out as a weight."""
        from torch.distributed.tensor import DTensor, Shard

        shape = self._shapes[key]
        stride = torch.empty(shape, device="meta").stride()
        return DTensor.from_local(rows, self._mesh, [Shard(0)], run_check=False, shape=shape, stride=stride)

    def _read(self, path: Path, name: str, shape: tuple[int, ...]) -> Tensor:
        key = key_of(name)
        if key not in self._shapes or tuple(self._shapes[key]) != shape:
            return tensorfile.load_part(path, name, ())
        return tensorfile.load_part(path, name, (self._own(shape[0]), *(slice(0, size) for size in shape[1:])))

    def _own(self, rows: int) -> slice:
        """The rows of this process, as FSDP2 shares them out: as torch.chunk does."""
        each = -(-rows // self._ranks.size)
        return slice(min(self._ranks.rank * each, rows), min((self._ranks.rank + 1) * each, rows))


Holding = Whole | Shards


def refuse_pretrained(shape: StackShape, settings: TrainSettings, ranks: Ranks) -> None:
    """Refuse to share out a pretrained model, whose modules are not the store's own.

    Raises:
        UsageError: names its brick.
    """
    if settings.sharding == "fsdp2" and ranks.size > 1 and shape.pretrained is not None:
        raise UsageError(
            f"brick `{shape.pretrained.id}` is a pretrained model, which `sharding: fsdp2` cannot share out",
            help="train with `sharding: none`",
        )


def gradients(weights: Mapping[str, nn.Parameter]) -> list[Tensor]:
    """The gradients that are there, in store order."""
    return [weight.grad for weight in weights.values() if weight.grad is not None]


def key_of(name: str) -> str:
    """The weight that a tensor of a checkpoint belongs to: of `exp_avg/KEY` it is KEY."""
    moment, slash, key = name.partition("/")
    return key if slash and moment in MOMENTS else name


def is_moment(name: str) -> bool:
    """Whether a tensor of the optimizer's state is as large as its weight."""
    return name.partition("/")[0] in MOMENTS


def _shard(store: WeightStore, size: int, device: torch.device, precision: Precision) -> Any:
    """Shard a store over all processes; its mesh."""
    from torch.distributed import device_mesh, fsdp

    typed: Any = fsdp  # in part
    mesh: Any = cast("Any", device_mesh).init_device_mesh(device.type, (size,))
    # under autocast alone the 16-bit copies of all weights would live from the forward to the backward pass
    narrow = None if precision == "float32" else choose_dtype(precision)
    policy = typed.MixedPrecisionPolicy(param_dtype=narrow, reduce_dtype=torch.float32, cast_forward_inputs=False)
    with store.updating():
        for unit in _units(store):
            typed.fully_shard(unit, mesh=mesh, reshard_after_forward=True, mp_policy=policy)
        # of what is left embeddings and output layers compute in float32 in part: they are gathered as they are
        typed.fully_shard(store, mesh=mesh, reshard_after_forward=True)
    store.rebind()
    return mesh


def _units(store: WeightStore) -> Sequence[nn.Module]:
    """What is gathered at a time, innermost first: a modulation layer, and what else a block has."""
    return [
        unit
        for id in store.bricks
        for unit in (*store.adaln_layers(id), *(store.block(id, i) for i in range(store.shape.brick(id).depth)))
    ]


def _local(tensor: Tensor) -> Tensor:
    return cast("Tensor", cast("Any", tensor).to_local())
