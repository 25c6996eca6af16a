"""The sampling stack: each configuration is a module of its own over the same weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from legoc_runtime.backends.base import Backend, Module, choose_backend
from legoc_runtime.backends.cuda_graphs import CudaGraphs
from legoc_runtime.checkpoint import WeightsFile
from legoc_runtime.contract.manifest import TRAINING, Manifest
from legoc_runtime.contract.policy import Configuration, TruthTable, configuration_name
from legoc_runtime.contract.program import Program
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.errors import UsageError
from legoc_runtime.link.link import argument_dtype, bricks_in, link
from legoc_runtime.link.opt_in.fp8 import Fp8, Fp8Products
from legoc_runtime.link.split import split
from legoc_runtime.stack.conditioning import Conditioning
from legoc_runtime.stack.mixed import configurations_at, grouped
from legoc_runtime.stack.table import DEFAULT_TABLE_BYTES, Call, ModulationTable
from legoc_runtime.store import WeightStore


@dataclass(frozen=True)
class _Linked:
    """A configuration in two parts: `body(x, *conditioning(levels, labels))`."""

    graph: fx.GraphModule
    conditioning: Conditioning
    body: Module


class BrickStack:
    """A stack that samples: each configuration is a module of its own over the same weights.

    Args:
        manifest: the build.
        store: the weights.
        backend: `auto`, `eager`, `inductor`, or a Backend.
        extra_programs: programs of configurations that the build does not hold.
        cuda_graphs: replays small batches as CUDA graphs.
        fp8: bricks whose blocks multiply in 8-bit floats; backends `eager` and `inductor`.

    Raises:
        UsageError: 8-bit products were asked for and cannot run here.

    Attributes:
        manifest: the build.
        store: the weights.
        backend: the backend in use.
        weights_file: where the weights came from, when `load` read them.
        unread_bytes: bytes of that file that belong to bricks that were not loaded.
    """

    def __init__(
        self,
        manifest: Manifest,
        store: WeightStore,
        *,
        backend: str | Backend = "eager",
        extra_programs: Iterable[Program] = (),
        cuda_graphs: CudaGraphs | None = None,
        fp8: Fp8 | None = None,
    ) -> None:
        self.manifest = manifest
        self.store = store
        self.backend: Backend = choose_backend(backend).backend if isinstance(backend, str) else backend
        self.weights_file: WeightsFile | None = None
        self._cuda_graphs = cuda_graphs
        if fp8 is not None and self.backend.name not in ("eager", "inductor"):
            raise UsageError(f"backend `{self.backend.name}` has no 8-bit products", help="take eager or inductor")
        self._fp8 = None if fp8 is None else Fp8Products(store, fp8)
        self.unread_bytes = 0
        self._programs = {program.bricks: program for program in manifest.programs if program.name != TRAINING}
        self._linked: dict[Configuration, _Linked] = {}
        for program in extra_programs:
            self.add_program(program)

    @property
    def shape(self) -> StackShape:
        """The architecture."""
        return self.manifest.shape

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        """The configurations that this stack can run: those whose bricks have their weights in the store."""
        return tuple(found for found in self._programs if {*found} <= {*self.store.bricks})

    def add_program(self, program: Program) -> None:
        """Make a further configuration runnable."""
        self._programs[program.bricks] = program
        self._linked.pop(program.bricks, None)

    def bricks_run(self, configuration: Configuration) -> tuple[str, ...]:
        """The bricks that the module of a configuration runs, read off its linked graph.

        Raises:
            UsageError: the stack has no such configuration.
        """
        return bricks_in(self._module(configuration).graph)

    def graph_module(self, configuration: Configuration) -> fx.GraphModule:
        """The linked, uncompiled module of a configuration, conditioning included.

        Raises:
            UsageError: the stack has no such configuration.
        """
        return link(self._program(configuration), self.store)

    def null_labels(self, count: int) -> Tensor | None:
        """`count` null labels [count], or None for an unconditional stack."""
        if self.shape.classes is None:
            return None
        return torch.full((count,), self.shape.classes, dtype=torch.int64, device=self.store.device)

    @property
    def state_dtype(self) -> torch.dtype:
        """Type of images, noise levels and estimates: float32, or float64 for a float64 store.

        A store of 16-bit weights computes its blocks in 16 bits; the state of a sampler never passes through them. Only
        in a build without the pass `float32-islands` everything has the type of the weights.
        """
        types = {argument_dtype(program, self.store) for program in self._programs.values()}
        return self.store.state_dtype if types == {self.store.state_dtype} else self.store.dtype

    def tabulate(
        self, calls: Iterable[Call], labels: Sequence[int] | None = None, *, max_bytes: int = DEFAULT_TABLE_BYTES
    ) -> ModulationTable:
        """A table of the conditioning of the calls to come, for `stack(..., table=table)`.

        Args:
            calls: configurations and noise levels in the order in which they will be run.
            labels: labels that will occur, the null label among them if guidance uses it; None means null labels.
            max_bytes: how much it may hold at a time; a longer schedule is computed in windows, one call at least.

        Raises:
            UsageError: labels that the stack does not have.
        """
        if labels is None and self.shape.classes is not None:
            labels = (self.shape.classes,)
        return ModulationTable(
            self.store,
            lambda configuration: self._module(configuration).conditioning,
            tuple(calls),
            labels,
            dtype=self.state_dtype,
            max_bytes=max_bytes,
        )

    def __call__(
        self,
        x: Tensor,
        sigma: Tensor,
        labels: Tensor | None = None,
        *,
        configuration: Configuration | None = None,
        table: ModulationTable | None = None,
        below: Tensor | None = None,
    ) -> Tensor:
        """The estimate of the clean image.

        Args:
            x: noisy images x0 + sigma eps [N, C, H, W], for DDPM too; taken in `state_dtype`.
            sigma: noise levels [N] or one number []. With a table keep them on the CPU: it looks their values up.
            labels: class labels [N], int64; None means null labels.
            configuration: the bricks to run, bottom to top; None runs all.
            table: conditioning computed ahead; a call that it does not hold is conditioned directly, and counted in
                `table.use.direct`.
            below: what the brick below hands on [N, C, H, W], for a program of one brick that takes it
                (`extra_programs`; the compiler's `lower_brick_alone` makes them).

        Returns:
            [N, C, H, W], in `state_dtype`; where DDPM learns its variance [N, 2C, H, W], the estimate and then v, which
            is -1 for the posterior's variance and 1 for beta.

        Raises:
            UsageError: the stack has no such configuration, or not its weights; it has no classes but got labels; a
                label on the CPU is none of its classes (on a GPU the device stops at such a label: looking at it
                would wait for the device at every evaluation); or an argument has another shape.
        """
        configuration = self.shape.ids if configuration is None else configuration
        module = self._module(configuration)
        self._check(x, sigma, labels)
        if labels is None:
            labels = self.null_labels(x.shape[0])
        values = None if table is None else table.values(configuration, sigma, labels)
        if values is None:
            levels = sigma.to(device=x.device, dtype=self.state_dtype).expand(x.shape[0])
            values = module.conditioning(levels, labels)
        given = () if below is None else (below.to(self.state_dtype),)
        return module.body(x.to(self.state_dtype), *given, *values)

    def by_level(
        self,
        x: Tensor,
        sigma: Tensor,
        labels: Tensor | None = None,
        *,
        runs: TruthTable | Sequence[Configuration],
        table: ModulationTable | None = None,
    ) -> Tensor:
        """The estimates of images at different noise levels: one call of a module for each configuration among them.

        Each image gets the estimate that it gets alone: conditioning is computed in buckets of a fixed number of rows
        (`conditioning.BUCKET_ROWS`) or comes from a table.

        Args:
            x: noisy images [N, C, H, W]; taken in `state_dtype`.
            sigma: noise levels [N]; keep them on the CPU, where they are looked at.
            labels: class labels [N], int64; None means null labels.
            runs: a policy over the schedule whose levels these are (`tabulate(policy, bricks, levels)`), or the
                configuration of each image.
            table: conditioning computed ahead; used where it is held whole.

        Returns:
            What a call of the stack gives, in the order of `x`.

        Raises:
            UsageError: a level is none of the schedule's, the number of configurations is not that of the images, or
                what a call refuses.
        """
        self._check(x, sigma, labels)
        if sigma.ndim == 0:
            raise UsageError("`sigma` is one number", help="give every image its own, or call the stack itself")
        if isinstance(runs, TruthTable):
            runs = configurations_at(runs, sigma, self.state_dtype)
        if len(runs) != x.shape[0]:
            raise UsageError(f"{len(runs)} configurations for {x.shape[0]} images", help="name one for every image")
        labels = labels if labels is not None else self.null_labels(x.shape[0])
        channels = self.shape.channels + self.shape.variance_channels
        result = torch.empty((len(x), channels, *self.shape.grid), dtype=self.state_dtype, device=x.device)
        for configuration, rows in grouped(runs).items():
            module = self._module(configuration)
            here = torch.tensor(rows, device=x.device)
            levels, own = sigma[torch.tensor(rows, device=sigma.device)], None if labels is None else labels[here]
            values = None if table is None else table.values(configuration, levels, own)
            if values is None:
                values = module.conditioning.apart(levels.to(device=x.device, dtype=self.state_dtype), own)
            result[here] = module.body(x[here].to(self.state_dtype), *values)
        return result

    def _check(self, x: Tensor, sigma: Tensor, labels: Tensor | None) -> None:
        expected = (self.shape.channels, *self.shape.grid)
        if tuple(x.shape[1:]) != expected:
            raise UsageError(f"`x` is {tuple(x.shape)}; this stack takes [N, {', '.join(map(str, expected))}]")
        if sigma.ndim > 0 and tuple(sigma.shape) != (x.shape[0],):
            raise UsageError(f"`sigma` is {tuple(sigma.shape)}; {x.shape[0]} images take one number or [{x.shape[0]}]")
        if labels is None:
            return
        classes = self.shape.classes
        if classes is None:
            raise UsageError("this stack is unconditional and takes no labels")
        if tuple(labels.shape) != (x.shape[0],):
            raise UsageError(f"`labels` is {tuple(labels.shape)}; {x.shape[0]} images take [{x.shape[0]}]")
        # on a GPU the look would wait for the device at every evaluation
        if labels.device.type == "cpu" and len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) <= classes:
            raise UsageError(f"a label is outside 0 to {classes}", help=f"{classes} is the null label")

    def _program(self, configuration: Configuration) -> Program:
        if isinstance(configuration, str):
            raise UsageError("a configuration is a tuple of brick ids", help=f'for example ("{configuration}",)')
        if not configuration:
            raise UsageError("the configuration has no brick", help="let at least one brick run")
        program = self._programs.get(configuration)
        if program is None:
            known = ", ".join(f"`{configuration_name(c)}`" for c in self._programs)
            raise UsageError(
                f"the build has no configuration `{configuration_name(configuration)}`; it has {known}",
                help="build it with `legoc build SPEC --policy ...`, or sample with the compiler installed",
            )
        return program

    def _module(self, configuration: Configuration) -> _Linked:
        if configuration not in self._linked:
            parts = split(self._program(configuration), self.shape)
            graph = link(parts.body, self.store)
            # a few small products, mostly computed ahead: as linked, they are the same bits under every backend
            conditioning = Conditioning(link(parts.conditioning, self.store), len(parts.crossing))
            body = self.backend.compile(graph if self._fp8 is None else self._fp8.apply(graph))
            if self._cuda_graphs is not None:
                body = self._cuda_graphs.wrap(body, lambda: self.store.generation)
            self._linked[configuration] = _Linked(graph, conditioning, body)
        return self._linked[configuration]
