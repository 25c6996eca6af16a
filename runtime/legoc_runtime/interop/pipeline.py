"""An exported folder as a pipeline: seeds in, pictures out. Runs no code from the folder and needs no compiler."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from legoc_runtime.backends.base import Backend, choose_backend
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.request import parse_classes, parse_seeds
from legoc_runtime.errors import UsageError
from legoc_runtime.interop.folder import exported_vae, read_folder, write_folder
from legoc_runtime.sampling.decoding import Decoding, make_decoding
from legoc_runtime.sampling.pictures import is_picture, to_uint8
from legoc_runtime.sampling.plan import Plan, make_plan
from legoc_runtime.sampling.run import SamplingRun
from legoc_runtime.stack import BrickStack
from legoc_runtime.stack.load import load_bricks
from legoc_runtime.vae import Vae, load_vae

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from legoc_runtime.checkpoint import WeightsFile


@dataclass(frozen=True, slots=True)
class Pictures:
    """What a pipeline made.

    Attributes:
        seeds: their seeds.
        labels: their classes; None for an unconditional stack.
        estimates: float32 [N, C, H, W] on the CPU, data in [-1, 1], or latents.
        decoded: what a VAE made of latents, float32 [N, 3, H, W] on the CPU; None where none was asked.
    """

    seeds: tuple[int, ...]
    labels: tuple[int, ...] | None
    estimates: Tensor
    decoded: Tensor | None = None

    @property
    def images(self) -> list[Image]:
        """As pictures of Pillow.

        Raises:
            UsageError: they are latents, which cannot be looked at.
        """
        from PIL import Image

        found = self.estimates if self.decoded is None else self.decoded
        channels = found.shape[1]
        if not is_picture(channels):
            raise UsageError(f"{channels} channels are latents, not colours", help="name a VAE: decoder=FOLDER")
        rows = to_uint8(found).transpose(0, 2, 3, 1)
        return [Image.fromarray(np.ascontiguousarray(row[..., 0] if channels == 1 else row)) for row in rows]


def load_exported(
    folder: Path,
    *,
    backend: str | Backend = "eager",
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> BrickStack:
    """The stack of an exported folder, with its weights.

    Raises:
        UsageError: it is no such folder, or the backend cannot run here.
        RunError: it is damaged.
    """
    manifest, weights = read_folder(folder)
    chosen = choose_backend(backend).backend if isinstance(backend, str) else backend
    return load_bricks(manifest, weights, backend=chosen, device=device, dtype=dtype)


def held(stack: BrickStack) -> tuple[WeightsFile, dict[str, Tensor]]:
    """The weights that a stack has now, and the file that they came from.

    Raises:
        UsageError: not all bricks were loaded, or the stack came from no file.
    """
    store, file = stack.store, stack.weights_file
    if file is None or store.bricks != store.shape.ids:
        raise UsageError("only a whole stack that was loaded from a file can be saved", help="load all its bricks")
    return file, {key: weight.detach().cpu().clone() for key, weight in store.weights.items()}


class LegoPipeline:
    """A stack and the settings that its spec samples with.

    Args:
        stack: with its weights.
        vae: folder of the VAE that makes pictures of latents; None takes the spec's.

    Attributes:
        stack: as given.
    """

    def __init__(self, stack: BrickStack, vae: Path | None = None) -> None:
        self.stack = stack
        self._vae = vae
        self._loaded: tuple[str, Vae] | None = None

    @property
    def manifest(self) -> Manifest:
        """The build."""
        return self.stack.manifest

    @classmethod
    def from_pretrained(cls, folder: str | Path, **options: Any) -> Self:
        """A pipeline from a folder that `legoc export` wrote.

        Args:
            folder: the folder.
            options: `backend`, `device` and `dtype`, as of `legoc_runtime.load`.

        Raises:
            UsageError: it is no such folder, or the backend cannot run here.
            RunError: it is damaged.
        """
        return cls(load_exported(Path(folder), **options), exported_vae(Path(folder)))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the stack, with the weights that it has now, as `legoc export` does.

        Raises:
            UsageError: something is there, or not all bricks were loaded, or the stack came from no file.
            RunError: the disk does not take it.
        """
        file, tensors = held(self.stack)
        write_folder(self.manifest, file, tensors, Path(folder), self._vae)

    def __call__(
        self,
        *,
        seeds: str | None = None,
        classes: str | None = None,
        skip_policy: str | None = None,
        batch: int | None = None,
        **settings: Any,
    ) -> Pictures:
        """Pictures of seeds; what is not said is as the spec says. The same as `legoc sample` makes, bit by bit.

        Args:
            seeds: `0-63`, or `1,5,9`.
            classes: `random`, a class, or several as for `legoc sample --classes`.
            skip_policy: one of the build's; its configurations must be in the build.
            batch: pictures at once.
            settings: further keys of `sample:`, such as `steps`, `guidance`, `sampler`, `size`;
                `decoder` names a VAE, or `none` to keep latents where the folder or the spec has one.

        Raises:
            UsageError: a value that makes no sense, a configuration that the build does not hold, or a factorised
                canvas: an exported folder has no programs of single bricks.
        """
        sample = self.manifest.sample
        if unknown := sorted({*settings} - {*type(sample).__dataclass_fields__}):
            raise UsageError(f"`sample:` has no key `{unknown[0]}`", help="the keys are those of a spec's `sample:`")
        changed = replace(sample, **settings)
        rule = parse_classes(changed.classes if classes is None else classes) if self.stack.shape.classes else None
        plan = make_plan(
            self.stack.shape,
            self.manifest.policy(skip_policy),
            changed,
            parse_seeds(changed.seeds if seeds is None else seeds),
            rule,
        )
        if plan.canvas is not None and plan.canvas.way == "factorised":
            raise UsageError(
                "a factorised canvas runs bricks one by one, and this folder has no programs for that",
                help='`legoc sample FOLDER` makes them; or pass canvas="windows", or size="grid"',
            )
        decoder = changed.decoder if "decoder" in settings or self._vae is None else str(self._vae)
        decoding = self._decoding(plan, decoder)
        run = SamplingRun(self.stack, plan, device=self.stack.store.device)
        made = list(run.batches(changed.batch if batch is None else batch))
        estimates = torch.cat([one.pictures for one in made])
        return Pictures(plan.seeds, plan.labels, estimates, None if decoding is None else decoding.pictures(estimates))

    def _decoding(self, plan: Plan, decoder: str) -> Decoding | None:
        """How the latents of a plan become pictures; the VAE is loaded once."""
        if decoder == "none":
            return None
        if self._loaded is None or self._loaded[0] != decoder:
            self._loaded = (decoder, load_vae(Path(decoder), self.stack.store.device))
        tiled = plan.canvas is not None and plan.settings.decode == "tiles"
        return make_decoding(self._loaded[1], plan.image_shape, tiled=tiled)
