"""An exported folder in diffusers itself: a model and a pipeline of its classes. Needs diffusers, the extra `[peers]`.

from legoc_runtime.interop.diffusers_pipeline import LegoDiffusionPipeline
pictures = LegoDiffusionPipeline.from_pretrained("exported")(seeds="0-3", num_inference_steps=20).images
"""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast

import torch

from legoc_runtime.contract.canvas_request import on_grid
from legoc_runtime.contract.policy import Configuration, tabulate
from legoc_runtime.contract.request import parse_channels, parse_classes, parse_seeds
from legoc_runtime.contract.schedule import Level, chain_levels
from legoc_runtime.contract.stack import DdpmConstants, EdmConstants, StackShape
from legoc_runtime.errors import UsageError
from legoc_runtime.interop.folder import SCHEDULER_FOLDER, exported_vae, write_stack
from legoc_runtime.interop.pipeline import Pictures, held, load_exported
from legoc_runtime.sampling.guidance import Guided
from legoc_runtime.sampling.noise import start_noise
from legoc_runtime.sampling.plan import Plan, make_plan
from legoc_runtime.vae import load_vae

if TYPE_CHECKING:
    from torch import Tensor

    from legoc_runtime.stack import BrickStack

try:
    _diffusers: Any = import_module("diffusers")
except ImportError as error:
    raise UsageError(
        f"diffusers cannot be imported: {error}", help='install it with `pip install "legoc[peers]"`'
    ) from error

_ModelMixin: Any = _diffusers.ModelMixin
_ConfigMixin: Any = _diffusers.ConfigMixin
_Pipeline: Any = _diffusers.DiffusionPipeline


class DiffusersStack(_ModelMixin, _ConfigMixin):
    """A stack as a model of diffusers: moved with its pipeline, saved and read by it.

    Args:
        stack: with its weights.

    Attributes:
        stack: as given.
    """

    config_name = "config.json"

    def __init__(self, stack: BrickStack) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]
        self.register_to_config(name=stack.manifest.name, spec_hash=stack.manifest.spec_hash)
        self.store = stack.store  # its weights are this module's, so that `.to(device)` finds them
        self.stack = stack

    def forward(
        self,
        sample: Tensor,
        sigma: Tensor,
        class_labels: Tensor | None = None,
        configuration: Configuration | None = None,
    ) -> Tensor:
        """The estimate of the clean image; arguments as of `BrickStack`."""
        return self.stack(sample, sigma, class_labels, configuration=configuration)

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, torch_dtype: torch.dtype | None = None, **_: object) -> Self:
        """The `stack` of an exported folder. What else a pipeline hands to its models is about files of other kinds."""
        return cls(load_exported(Path(folder), dtype=torch_dtype or torch.float32))

    def save_pretrained(self, folder: str | Path, **_: object) -> None:
        """Write the `stack` of a folder, with the weights that it has now."""
        write_stack(self.stack.manifest, *held(self.stack), Path(folder))


class LegoDiffusionPipeline(_Pipeline):
    """A pipeline of diffusers: its scheduler steps, the stack estimates, a policy leaves bricks out.

    Args:
        stack: the model.
        scheduler: one of `prediction_type="sample"`: EulerDiscreteScheduler for EDM, DDIMScheduler for DDPM.
        vae: an AutoencoderKL that makes pictures of latents; None keeps what the stack makes.
    """

    _optional_components: ClassVar[list[str]] = ["vae"]

    def __init__(self, stack: DiffusersStack, scheduler: Any, vae: Any = None) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]
        self.register_modules(stack=stack, scheduler=scheduler, vae=vae)

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, torch_dtype: torch.dtype | None = None) -> Self:
        """The pipeline of an exported folder, with its VAE where it has one, or of one that `save_pretrained` wrote.

        diffusers' own loader takes models of the libraries that it lists alone, so that the two parts are put together
        here.

        Raises:
            UsageError: it is no such folder.
            RunError: it is damaged.
        """
        stack = DiffusersStack.from_pretrained(folder, torch_dtype=torch_dtype)
        classes = {EdmConstants: "EulerDiscreteScheduler", DdpmConstants: "DDIMScheduler"}
        scheduler = getattr(_diffusers, classes[type(stack.stack.shape.diffusion)])
        place = exported_vae(Path(folder))
        vae = None if place is None else load_vae(place).model.to(torch_dtype or torch.float32)
        return cls(stack, scheduler.from_pretrained(str(folder), subfolder=SCHEDULER_FOLDER), vae)

    @torch.no_grad()
    def __call__(
        self,
        seeds: str | None = None,
        *,
        classes: str | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        skip_policy: str | None = None,
        output_type: Literal["pil", "latent"] = "pil",
    ) -> Pictures:
        """Pictures of seeds, with the noise and the classes that `legoc sample` gives them; the rest as the spec says.

        Always of the grid's size: where the spec samples canvases, a warning says so.

        Args:
            seeds: `0-63`, or `1,5,9`.
            classes: as of `legoc sample --classes`.
            num_inference_steps: noise levels.
            guidance_scale: of classifier-free guidance; 1 is none.
            skip_policy: one of the build's.
            output_type: `latent` leaves latents undecoded where there is a VAE.

        Raises:
            UsageError: a value that makes no sense.
        """
        model, scheduler = cast("DiffusersStack", self.stack), self.scheduler
        stack, manifest = model.stack, model.stack.manifest
        sample = on_grid(manifest.sample)
        if manifest.sample.size != sample.size:
            grid = "x".join(map(str, stack.shape.grid))
            message = f"the spec samples canvases of {manifest.sample.size}; this pipeline makes pictures of {grid}"
            warnings.warn(f"{message} (LegoPipeline makes canvases)", stacklevel=2)
        steps = sample.steps if num_inference_steps is None else num_inference_steps
        scale = sample.guidance if guidance_scale is None else guidance_scale
        rule = parse_classes(sample.classes if classes is None else classes) if stack.shape.classes else None
        asked = parse_seeds(sample.seeds if seeds is None else seeds)
        policy = manifest.policy(skip_policy)
        plan = make_plan(stack.shape, policy, replace(sample, steps=steps, guidance=scale), asked, rule)
        levels = _scheduled(scheduler, plan)
        table = tabulate(policy, stack.shape.ids, levels)
        channels = parse_channels(sample.guidance_channels) or stack.shape.channels
        guided, device = Guided(stack, scale, stack.shape.classes, channels=channels), stack.store.device
        labels = None if plan.labels is None else torch.tensor(plan.labels, device=device)
        x = start_noise(asked, plan.image_shape).to(device, torch.float32) * _start(stack.shape, levels[0])
        times = zip(scheduler.timesteps, levels, table.configurations, strict=True)
        for t, level, configuration in self.progress_bar(list(times)):
            # a stack takes x0 + sigma noise; DDPM's schedulers hold that over sqrt(1 + sigma^2)
            noisy = x if level.t is None else x * math.sqrt(1 + level.sigma**2)
            scheduler.scale_model_input(x, t)  # it wants to be asked; the stack scales for itself
            call = guided if level.guided else stack
            estimate = call(noisy, torch.tensor(level.sigma), labels, configuration=configuration)
            x = scheduler.step(estimate[:, : stack.shape.channels], t, x).prev_sample
        decoded = None if self.vae is None or output_type == "latent" else self._decoded(x)
        return Pictures(asked, plan.labels, x.cpu(), decoded)

    def _decoded(self, latents: Tensor) -> Tensor:
        """Pictures float32 [N, 3, H, W] on the CPU, one at a time; tiling is as the VAE was told (`enable_tiling`)."""
        vae = self.vae
        plain = latents / vae.config.scaling_factor + (getattr(vae.config, "shift_factor", None) or 0.0)
        rows = [vae.decode(row[None].to(vae.device, vae.dtype)).sample.float().cpu() for row in plain]
        return torch.cat(rows)


def _scheduled(scheduler: Any, plan: Plan) -> tuple[Level, ...]:
    """The noise levels, on which scheduler and stack agree: the plan's for EDM, the scheduler's own for DDPM."""
    steps = plan.settings.steps
    if isinstance(plan.shape.diffusion, EdmConstants):
        scheduler.set_timesteps(sigmas=[*(level.sigma for level in plan.table.levels), 0.0])
        scheduler.set_begin_index(0)
        return plan.table.levels
    scheduler.set_timesteps(steps)
    chain = chain_levels(plan.shape.diffusion)
    guided = plan.settings.guidance != 1
    return tuple(Level(i, steps, chain[int(t)], guided, int(t)) for i, t in enumerate(scheduler.timesteps))


def _start(shape: StackShape, first: Level) -> float:
    """What unit noise is multiplied by."""
    return first.sigma if isinstance(shape.diffusion, EdmConstants) else 1.0
