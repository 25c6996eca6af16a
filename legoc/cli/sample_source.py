"""Where `legoc sample` takes a stack from: a run, a checkpoint, a file of weights with its spec, an exported folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from legoc_runtime.errors import RunError, UsageError

if TYPE_CHECKING:
    import torch

    from legoc_runtime.backends.base import Backend
    from legoc_runtime.backends.cuda_graphs import CudaGraphs
    from legoc_runtime.checkpoint import WeightsFile
    from legoc_runtime.contract.manifest import Manifest
    from legoc_runtime.contract.policy import Configuration
    from legoc_runtime.contract.program import Program
    from legoc_runtime.link.opt_in.fp8 import Fp8
    from legoc_runtime.sampling.record import Source
    from legoc_runtime.stack import BrickStack


@dataclass(frozen=True)
class StackSource:
    """A stack whose weights are found and not yet read.

    Attributes:
        manifest: the build: the run's own, or compiled from the spec in the weights' header.
        weights: the file of weights.
        home: directory under which sets of samples go by default.
        keeper: what keeps the policies that searches found: the run, the exported folder, or the file of weights.
        build: the run, whose native code may be run; None for a file of weights and for an exported folder.
        vae: the folder of the VAE that an exported folder holds, or None.
    """

    manifest: Manifest
    weights: WeightsFile
    home: Path
    keeper: Path
    build: Path | None = None
    vae: Path | None = None

    def missing_programs(self, configurations: Sequence[Configuration]) -> list[Program]:
        """Programs, lowered now, of the configurations that the build did not foresee."""
        from legoc.driver import lower_configuration

        unforeseen = [found for found in configurations if found not in self.manifest.configurations]
        return [lower_configuration(self.manifest, configuration) for configuration in unforeseen]

    def brick_programs(self, configurations: Sequence[Configuration]) -> list[Program]:
        """Programs, lowered now, of the bricks of these configurations, each alone and given what is below it."""
        from legoc.driver import lower_brick_alone

        ids = dict.fromkeys(brick for configuration in configurations for brick in configuration)
        return [lower_brick_alone(self.manifest, id) for id in ids]

    def load(
        self,
        configurations: Sequence[Configuration],
        *,
        backend: Backend,
        device: torch.device,
        dtype: torch.dtype,
        cuda_graphs: CudaGraphs | None = None,
        fp8: Fp8 | None = None,
        brick_by_brick: bool = False,
    ) -> BrickStack:
        """Read the weights of the bricks that these configurations run; with programs of each brick alone if asked.

        Raises:
            RunError: the file is damaged.
        """
        from legoc_runtime.stack import load_bricks

        return load_bricks(
            self.manifest,
            self.weights,
            {brick for configuration in configurations for brick in configuration},
            backend=backend,
            device=device,
            dtype=dtype,
            extra_programs=self.brick_programs(configurations)
            if brick_by_brick
            else self.missing_programs(configurations),
            cuda_graphs=cuda_graphs,
            fp8=fp8,
        )

    def record(self, dtype: str = "float32") -> Source:
        """What samples.json says of it, computed in `dtype`. A file outside a checkpoint is read for its checksum."""
        from legoc_runtime.checkpoint import file_sha256
        from legoc_runtime.checkpoint.tensorfile import sha256
        from legoc_runtime.sampling.record import Source

        return Source(
            stack=self.manifest.name,
            spec_hash=self.manifest.spec_hash,
            weights_file=str(self.weights.path),
            weights_sha256=file_sha256(self.weights) or sha256(self.weights.path),
            images=self.weights.images,
            kind=self.weights.kind,
            legoc_version=self.manifest.legoc_version,
            dtype=dtype,
        )


def find_stack(path: Path, ema: str | None) -> StackSource:
    """Find a stack's build and weights.

    Args:
        path: a run, a checkpoint directory in one, a .safetensors file of legoc's, or a folder of `legoc export`.
        ema: `first` is the run's first EMA if there is one, `none` the raw weights, a rate that EMA; None takes what
            the spec says.

    Raises:
        UsageError: there is nothing to sample from.
        RunError: what is there is damaged, or the weights belong to another spec.
    """
    from legoc.policies.record import keeper_of
    from legoc_runtime.checkpoint import find_weights

    keeper = keeper_of(path)
    if path.is_file():
        weights = find_weights(path, ema=ema)
        return StackSource(_compiled(weights), weights, Path("samples") / path.stem, keeper)
    from legoc_runtime.contract.manifest import manifest_folder, read_manifest
    from legoc_runtime.interop.folder import exported_vae, exported_weights, read_folder

    if not path.is_dir():
        raise UsageError(f"there is nothing at {path}", help="give a run, a checkpoint or a .safetensors file")
    if exports := exported_weights(path):
        manifest, weights = read_folder(path)
        find_weights(exports, ema=ema)  # one file: there is no EMA to choose
        return StackSource(manifest, weights, Path("samples") / path.resolve().name, keeper, vae=exported_vae(path))
    directory = manifest_folder(path)
    manifest = read_manifest(directory)
    chosen = manifest.sample.ema if ema is None else ema
    weights = find_weights(path, ema=None if chosen == "first" else chosen)
    if weights.spec_hash != manifest.spec_hash:
        raise RunError(
            f"{weights.path} was trained under another spec than that of {directory}",
            help="sample the file itself (its spec is inside), or the run that it came from",
        )
    return StackSource(manifest, weights, directory / "samples", keeper, directory)


def _compiled(weights: WeightsFile) -> Manifest:
    """The build of the spec in a file's header, under the hash there: a later compiler may write its values in full."""
    from legoc.diagnostics import SpecError
    from legoc.driver import compile_spec
    from legoc.spec import check_text

    found = check_text(weights.spec_text, f"{weights.path} (spec in its header)")
    if found.spec is None:
        raise SpecError(found.diagnostics)
    return replace(compile_spec(found.spec)[0], spec_hash=weights.spec_hash)
