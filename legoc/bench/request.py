"""What is to be measured, made concrete before anything is timed: what can be refused is refused here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import torch

from legoc.bench import diffusers_dit
from legoc.bench.plain import PlainStack
from legoc.cost import counts
from legoc.driver import compile_path, compile_spec, lower_configuration
from legoc.spec import load_spec
from legoc_runtime.backends.base import Backend, choose_backend
from legoc_runtime.backends.cuda_graphs import CudaGraphs, graphs_for
from legoc_runtime.backends.device import choose_device, choose_dtype
from legoc_runtime.contract.block_rule import block_form, why_block
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.policy import Configuration, TruthTable, tabulate
from legoc_runtime.contract.program import Program
from legoc_runtime.contract.schedule import Evaluation, check_guidance, evaluations, sampling_levels
from legoc_runtime.contract.settings import GRID
from legoc_runtime.contract.stack import BrickShape, StackShape
from legoc_runtime.errors import UsageError
from legoc_runtime.layers.avx512 import avx512_lack
from legoc_runtime.link.opt_in.fp8 import Fp8, fp8_for

PLAIN = "plain"

DIT_SIZES = {384: (12, 6), 768: (12, 12), 1024: (24, 16), 1152: (28, 16)}
"""Width -> depth and heads of DiT-S, B, L and XL (Peebles and Xie 2023, Table 1)."""


@dataclass(frozen=True, slots=True)
class PlainPeer:
    """The same stack by hand."""


@dataclass(frozen=True, slots=True)
class SpecPeer:
    """Another stack, compiled as this one is.

    Attributes:
        manifest: its build.
        build: its directory, or None where it was compiled from a spec now.
    """

    manifest: Manifest
    build: Path | None


@dataclass(frozen=True, slots=True)
class DiffusersPeer:
    """A model of diffusers.

    Attributes:
        shape: the one-brick stack whose size it has.
    """

    shape: StackShape


Peer: TypeAlias = PlainPeer | SpecPeer | DiffusersPeer


@dataclass(frozen=True, slots=True)
class Request:
    """A measurement to take.

    Attributes:
        path: the spec, build or run.
        manifest: of the stack, its programs included.
        extra_programs: of configurations that the build does not hold.
        peers: what it is set beside.
        tables: policies over the schedule, `none` first.
        evaluations: the sampler's calls over the schedule.
        guided: whether an image takes two rows.
        batch: rows of one call.
        dtype: name of the type of weights and arithmetic.
        device: where it runs.
        backend: name of the backend.
        trust_native: whether to run the native code of builds.
        cuda_graphs: whether small batches are launched as graphs.
        fp8: bricks of the stack that multiply in 8 bits, or None; peers never do.
        repeats: rounds.
        command: as it was typed.
        notes: what a reader has to know of the peers.
    """

    path: Path
    manifest: Manifest
    extra_programs: tuple[Program, ...]
    peers: tuple[Peer, ...]
    tables: tuple[TruthTable, ...]
    evaluations: tuple[Evaluation, ...]
    guided: bool
    batch: int
    dtype: str
    device: torch.device
    backend: str
    trust_native: bool
    cuda_graphs: bool
    fp8: Fp8 | None
    repeats: int
    command: str
    notes: tuple[str, ...]

    @property
    def torch_dtype(self) -> torch.dtype:
        """Type of weights and arithmetic."""
        return choose_dtype(self.dtype)

    def own_backend(self, build: Path | None) -> Backend:
        """A backend that shares nothing with others, for a stack with this build directory or none."""
        return choose_backend(self.backend, build=build, trust_native=self.trust_native).backend

    def graphs(self) -> CudaGraphs | None:
        """The CUDA graphs of one stack, or None where none were asked for."""
        return graphs_for(self.device) if self.cuda_graphs else None

    @property
    def build(self) -> Path | None:
        """The stack's build directory, or None where it was compiled from a spec now."""
        return _build(self.path)

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        """The configurations that the policies reach; the whole stack first."""
        found = dict.fromkeys(configuration for table in self.tables for configuration in table.distinct())
        return (self.manifest.shape.ids, *(each for each in found if each != self.manifest.shape.ids))

    @property
    def levels(self) -> dict[Configuration, list[float]]:
        """The configurations, each with the noise levels at which some policy runs it."""
        return {
            configuration: sorted({s for table in self.tables for s in levels_of(table, configuration)}, reverse=True)
            for configuration in self.configurations
        }


def make_request(
    path: Path,
    *,
    overrides: Sequence[str] = (),
    peers: Sequence[str] = (),
    policies: Sequence[str] = (),
    steps: int | None = None,
    guidance: float | None = None,
    batch: int = 8,
    dtype: str = "float32",
    device: str = "auto",
    backend: str = "auto",
    trust_native: bool = False,
    cuda_graphs: bool = False,
    fp8: str | None = None,
    repeats: int = 7,
    command: str = "",
) -> Request:
    """Check a request and make it concrete.

    Args:
        path: a spec, a build or a run.
        overrides: those of `--set`.
        peers: `plain`, `diffusers-dit`, or paths of specs; none is `plain`, or no peer on a pretrained model.
        policies: names; none prices `none`, `halfway` and all that the spec declares.
        steps: noise levels of the schedule; None takes the spec's.
        guidance: scale; 1 is none; None takes the spec's.
        batch: rows of one call, 1 or more.
        dtype: `float32`, `bf16` or `fp16`.
        device: `auto`, `cpu` or `cuda`.
        backend: `auto`, or a backend by name.
        trust_native: run the native code of builds, which some backends do.
        cuda_graphs: launch small batches as graphs.
        fp8: bricks of the stack that multiply in 8 bits: ids joined by commas, or `large`.
        repeats: rounds, 1 or more.
        command: as it was typed, for the record.

    Raises:
        SpecError: a spec does not check.
        UsageError: anything else that cannot be measured, in words.
    """
    choose_dtype(dtype)
    where = choose_device(device)
    if cuda_graphs:
        graphs_for(where)
    choice = choose_backend(backend, build=_build(path), trust_native=trust_native)
    manifest, _ = compile_path(path, overrides)
    shape = manifest.shape
    steps = manifest.sample.steps if steps is None else steps
    sample = replace(
        manifest.sample,
        steps=steps,
        guidance=manifest.sample.guidance if guidance is None else guidance,
    )
    check_guidance(sample.guidance)
    if sample.guidance != 1 and shape.classes is None:
        raise UsageError(
            f"`{manifest.name}` has no classes, so guidance has nothing to guide by",
            help="leave --guidance out, or set it to 1",
        )
    levels = sampling_levels(sample, shape.diffusion)
    tables = tuple(tabulate(manifest.policy(name), shape.ids, levels) for name in policy_names(manifest, policies))
    reached = dict.fromkeys(configuration for table in tables for configuration in table.distinct())
    missing = [found for found in reached if found not in manifest.configurations]
    notes: list[str] = []
    if sample.size != GRID:
        notes.append(f"the spec samples canvases of {sample.size}; what is timed is pictures of the grid's own size")
    eight = None if fp8 is None else fp8_for(fp8, shape, where, choose_dtype(dtype))
    if eight is not None:
        notes.append(
            f"{', '.join(eight.bricks)} of `{manifest.name}` multiply in 8-bit floats; peers and the machine's own "
            f"products are {dtype}"
        )
    timed = _peers(manifest, peers or _usual_peers(shape, notes), notes)
    if choice.backend.name == "inductor":
        for each in (manifest, *(peer.manifest for peer in timed if isinstance(peer, SpecPeer))):
            notes += own_blocks(each, where, dtype)
    return Request(
        path=path,
        manifest=manifest,
        extra_programs=tuple(lower_configuration(manifest, found) for found in missing),
        peers=timed,
        tables=tables,
        evaluations=evaluations(manifest.sample.sampler, steps),
        guided=any(level.guided for level in levels),
        batch=batch,
        dtype=dtype,
        device=where,
        backend=choice.backend.name,
        trust_native=trust_native,
        cuda_graphs=cuda_graphs,
        fp8=eight,
        repeats=repeats,
        command=command,
        notes=tuple(notes if choice.reason is None else [f"backend {choice.reason}", *notes]),
    )


def own_blocks(manifest: Manifest, device: torch.device, dtype: str) -> Iterator[str]:
    """On CPUs a sentence on the bricks whose blocks run in the kernel of our own, and on those that do not and why."""
    if device.type == "cuda":
        return
    lack, own = avx512_lack(), list[str]()
    others: dict[str, list[str]] = {}
    for brick in manifest.shape.bricks:
        if block_form(brick.width, brick.tokens, device="cpu", dtype=dtype, lack=lack) == "avx512":
            own.append(brick.id)
            continue
        why = why_block(brick.width, brick.tokens, device="cpu", dtype=dtype, lack=lack)
        others.setdefault(why, []).append(brick.id)
    if own:
        yield f"blocks of {', '.join(own)} of `{manifest.name}` ran in legoc's own kernel for AVX-512"
    for why, bricks in others.items():
        yield f"blocks of {', '.join(bricks)} of `{manifest.name}` were {why}"


def _build(path: Path) -> Path | None:
    return path if path.is_dir() else None


def levels_of(table: TruthTable, configuration: Configuration) -> list[float]:
    """The noise levels at which a policy runs a configuration."""
    pairs = zip(table.levels, table.configurations, strict=True)
    return [level.sigma for level, runs in pairs if runs == configuration]


def policy_names(manifest: Manifest, names: Sequence[str]) -> tuple[str, ...]:
    """The policies to time: `none` first, then those asked for, or `halfway` and all that the spec declares."""
    builtin = ["halfway"] if len(manifest.shape.ids) > 1 else []
    return tuple(dict.fromkeys(["none", *(names or [*builtin, *(policy.name for policy in manifest.policies)])]))


def _usual_peers(shape: StackShape, notes: list[str]) -> tuple[str, ...]:
    """The peers where none is named: the same stack by hand, which has no pretrained model."""
    if shape.pretrained is None:
        return (PLAIN,)
    notes.append(f"no peer was timed: the peer `{PLAIN}` does not run `{shape.pretrained.id}`, a pretrained model")
    return ()


def _peers(manifest: Manifest, names: Sequence[str], notes: list[str]) -> tuple[Peer, ...]:
    specs = {name: _spec_peer(Path(name)) for name in names if name not in (PLAIN, diffusers_dit.NAME)}
    found: list[Peer] = []
    for name in dict.fromkeys(names):
        if name == PLAIN:
            PlainStack.check(manifest.shape)
            found.append(PlainPeer())
        elif name == diffusers_dit.NAME:
            found.append(_diffusers_peer(manifest.shape, list(specs.values()), notes))
        else:
            found.append(specs[name])
            notes.extend(_other_image(manifest.shape, specs[name].manifest))
    names_taken = [PLAIN, manifest.name, *(peer.manifest.name for peer in specs.values())]
    if twice := next((name for name in names_taken if names_taken.count(name) > 1), None):
        raise UsageError(
            f"two of what is to be timed are called `{twice}`", help="--peer takes each spec once, and not the stack"
        )
    return tuple(found)


def _spec_peer(path: Path) -> SpecPeer:
    """Another stack: a spec, or a build."""
    if not path.exists():
        raise UsageError(
            f"there is no peer `{path}`", help=f"choose {PLAIN}, {diffusers_dit.NAME}, or the path of a spec"
        )
    if path.is_dir():
        return SpecPeer(compile_path(path)[0], path)
    return SpecPeer(compile_spec(load_spec(path))[0], None)


def _other_image(shape: StackShape, peer: Manifest) -> Iterator[str]:
    """A sentence where a peer's images are of another size: its figures are then of another task."""
    if (*peer.shape.grid, peer.shape.channels) != (*shape.grid, shape.channels):
        sizes = [f"{s.grid[0]}x{s.grid[1]}x{s.channels}" for s in (peer.shape, shape)]
        yield f"`{peer.name}` makes images of {sizes[0]}, this stack of {sizes[1]}"


def _diffusers_peer(shape: StackShape, specs: Sequence[SpecPeer], notes: list[str]) -> DiffusersPeer:
    """Of the size of the first one-brick peer, else the DiT whose width is that of the stack's widest brick."""
    one_brick = next((peer.manifest.shape for peer in specs if len(peer.manifest.shape.ids) == 1), None)
    size = one_brick or _dit(shape)
    brick = diffusers_dit.check(size)
    gmacs = counts.macs(size) / 1e9
    notes.append(
        f"{diffusers_dit.NAME} is diffusers' DiTTransformer2DModel, {brick.depth} blocks {brick.width} wide, "
        f"{brick.heads} heads, tokens of {brick.receptive_field}x{brick.receptive_field} "
        f"({gmacs:.1f} GMACs an evaluation), without preconditioning, with random weights"
    )
    return DiffusersPeer(size)


def _dit(shape: StackShape) -> StackShape:
    width = max(brick.width for brick in shape.bricks)
    if width not in DIT_SIZES:
        raise UsageError(
            f"there is no DiT of width {width} (they are {', '.join(map(str, DIT_SIZES))} wide)",
            help=f"say which by a one-brick spec: --peer specs/dit_s_2.yaml --peer {diffusers_dit.NAME}",
        )
    if any(side % 2 for side in shape.grid):
        raise UsageError("DiT's tokens of 2x2 do not divide the grid", help=f"leave --peer {diffusers_dit.NAME} out")
    depth, heads = DIT_SIZES[width]
    brick = BrickShape(
        id="dit",
        window=shape.grid,
        grid=shape.grid,
        receptive_field=2,
        depth=depth,
        width=width,
        heads=heads,
        mlp_ratio=4.0,
        channels=shape.channels,
        coordinates=0,
        takes_estimate=False,
        condition_width=width,
    )
    return replace(shape, coordinates="none", condition_width=width, bricks=(brick,), pretrained=None)
