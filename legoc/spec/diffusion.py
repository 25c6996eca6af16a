"""Rules about the diffusion and its sampler: constants of one kind, bounds in order, a schedule that exists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from legoc.codes import report
from legoc.diagnostics import Diagnostic, Label
from legoc.spec.load import Loaded
from legoc.spec.resolved import Path
from legoc_runtime.contract.samplers import SAMPLERS, samplers_of
from legoc_runtime.contract.schedule import MIN_SIGNAL, Level, alphas_cumprod, sampling_levels
from legoc_runtime.contract.settings import SampleSettings
from legoc_runtime.contract.stack import DdpmConstants, EdmConstants
from legoc_runtime.contract.stack import Diffusion as Constants

if TYPE_CHECKING:
    from legoc.spec.values import DiffusionKind

CONSTANTS: dict[DiffusionKind, tuple[str, ...]] = {
    "edm": ("sigma_data", "sigma_min", "sigma_max", "rho", "p_mean", "p_std"),
    "ddpm": ("steps", "beta_start", "beta_end", "variance"),
}
"""Whose the keys of `diffusion:` are."""

_OTHER: dict[DiffusionKind, DiffusionKind] = {"edm": "ddpm", "ddpm": "edm"}
_CHURN = ("churn", "churn_min", "churn_max", "churn_noise")


def kind_of(loaded: Loaded) -> DiffusionKind | None:
    """The spec's diffusion; None where it is broken."""
    if loaded.is_broken("diffusion", "kind"):
        return None
    diffusion = loaded.written.diffusion
    return "edm" if diffusion is None else diffusion.kind


def resolve_diffusion(loaded: Loaded) -> Constants:
    """The constants of the diffusion; keys of another kind, which have a diagnostic, are left out."""
    written, kind = loaded.written.diffusion, kind_of(loaded) or "edm"
    chosen: dict[str, Any] = {}
    if written is not None:
        chosen = {key: getattr(written, key) for key in CONSTANTS[kind] if key in written.model_fields_set}
    return EdmConstants(**chosen) if kind == "edm" else DdpmConstants(**chosen)


def check_diffusion(loaded: Loaded) -> Iterator[Diagnostic]:
    """LG111 for what belongs to another diffusion, LG108 for bounds that are crossed."""
    kind = kind_of(loaded)
    if kind is None:
        return
    yield from _foreign_constants(loaded, kind)
    yield from _foreign_sampling(loaded, kind)
    match resolve_diffusion(loaded):
        case EdmConstants() as edm:
            yield from _edm_bounds(loaded, edm)
        case DdpmConstants() as ddpm:
            yield from _ddpm_bounds(loaded, ddpm)


def schedule(loaded: Loaded, sample: SampleSettings) -> tuple[Level, ...] | None:
    """The spec's own sampling schedule, or None where something that it depends on is broken."""
    keys = ("kind", "sigma_min", "sigma_max", "rho", "steps", "beta_start", "beta_end")
    places = [
        *(("diffusion", key) for key in keys),
        *(("sample", key) for key in ("steps", "guidance", "guidance_interval")),
    ]
    if any(loaded.is_broken(*place) for place in places) or any(check_diffusion(loaded)):
        return None
    return sampling_levels(sample, resolve_diffusion(loaded))


def _foreign_constants(loaded: Loaded, kind: DiffusionKind) -> Iterator[Diagnostic]:
    other = _OTHER[kind]
    for key in CONSTANTS[other]:
        path = ("diffusion", key)
        if loaded.tree.has(path) and not loaded.is_broken(*path):
            own = ", ".join(CONSTANTS[kind])
            help = f"remove it, or write `kind: {other}`; the constants of {kind} are {own}"
            yield _foreign(loaded, path, f"`{key}` belongs to {other}; the diffusion is {kind}", help)


def _foreign_sampling(loaded: Loaded, kind: DiffusionKind) -> Iterator[Diagnostic]:
    sample = loaded.written.sample
    if sample is None or loaded.is_broken("sample", "sampler"):
        return
    own = samplers_of(kind)
    if sample.sampler is not None and sample.sampler not in own:
        message = f"the sampler `{sample.sampler}` belongs to {_OTHER[kind]}; the diffusion is {kind}"
        help = f"write `sampler: {own[0]}`, or remove it"
        yield _foreign(loaded, ("sample", "sampler"), message, help)
    chosen = sample.sampler if sample.sampler in own else own[0]
    if loaded.tree.has(("sample", "eta")) and not SAMPLERS[chosen].takes_eta and not loaded.is_broken("sample", "eta"):
        span = loaded.tree.key(("sample", "eta")) or loaded.span("sample", "eta")
        help = "remove it, or write `sampler: ddim`" if kind == "ddpm" else "remove it: only `diffusion: ddpm` has ddim"
        yield report("LG111", f"`eta` belongs to the sampler ddim; the sampler is {chosen}", span, help=help)
    for key in _CHURN:
        path = ("sample", key)
        if not loaded.tree.has(path) or loaded.is_broken(*path):
            continue
        if kind == "ddpm":
            message = f"`{key}` belongs to Heun's sampler, so to edm; the diffusion is ddpm"
            yield _foreign(loaded, path, message, "remove it: DDPM's sampler adds the noise of its variance")
        elif sample.sampler in own and not SAMPLERS[sample.sampler].churns:
            message = f"`{key}` belongs to samplers that add noise, heun and euler; the sampler is {sample.sampler}"
            chosen = [Label(loaded.span("sample", "sampler"), "the sampler is chosen here")]
            span = loaded.tree.key(path) or loaded.span(*path)
            yield report("LG111", message, span, secondary=chosen, help="remove it, or write `sampler: heun`")


def _foreign(loaded: Loaded, path: Path, message: str, help: str) -> Diagnostic:
    at_key = path[0] == "diffusion" or path[-1] != "sampler"
    span = (loaded.tree.key(path) if at_key else None) or loaded.span(*path)
    word = ("diffusion", "kind") if loaded.tree.has(("diffusion", "kind")) else ("diffusion",)
    secondary = [Label(loaded.span(*word), "the diffusion is chosen here")] if loaded.tree.has(word) else []
    return report("LG111", message, span, secondary=secondary, help=help)


def _edm_bounds(loaded: Loaded, edm: EdmConstants) -> Iterator[Diagnostic]:
    sample, churn = loaded.written.sample, SampleSettings()
    if edm.sigma_min >= edm.sigma_max and _sound(loaded, "diffusion", "sigma_min", "sigma_max"):
        yield _crossed(loaded, ("diffusion", "sigma_min"), edm.sigma_min, ("diffusion", "sigma_max"), edm.sigma_max)
    low = sample.churn_min if sample and sample.churn_min is not None else churn.churn_min
    high = sample.churn_max if sample and sample.churn_max is not None else churn.churn_max
    if low > high and _sound(loaded, "sample", "churn_min", "churn_max"):
        yield _crossed(loaded, ("sample", "churn_min"), low, ("sample", "churn_max"), high)


def _ddpm_bounds(loaded: Loaded, ddpm: DdpmConstants) -> Iterator[Diagnostic]:
    if not _sound(loaded, "diffusion", "beta_start", "beta_end", "steps"):
        return
    if ddpm.beta_start > ddpm.beta_end:
        yield _crossed(loaded, ("diffusion", "beta_start"), ddpm.beta_start, ("diffusion", "beta_end"), ddpm.beta_end)
    elif alphas_cumprod(ddpm)[-1] < MIN_SIGNAL:
        written = [key for key in ("beta_end", "steps", "beta_start") if loaded.tree.has(("diffusion", key))]
        message = (
            f"nothing of the image is left after {ddpm.steps:,} timesteps with betas up to {ddpm.beta_end:g} "
            f"(the share of its variance, alpha-bar, is below {MIN_SIGNAL:g})"
        )
        help = f"for {ddpm.steps:,} timesteps, `beta_end: {20 / ddpm.steps:.3g}` leaves what DDPM's own constants do"
        yield report("LG108", message, loaded.span("diffusion", written[0]), help=help)
    steps = loaded.written.sample.steps if loaded.written.sample else None
    levels = SampleSettings().steps if steps is None else steps
    if levels > ddpm.steps and not loaded.is_broken("sample", "steps"):
        yield _too_many_levels(loaded, levels, ddpm)


def _sound(loaded: Loaded, section: str, *keys: str) -> bool:
    return not any(loaded.is_broken(section, key) for key in keys)


def _too_many_levels(loaded: Loaded, levels: int, ddpm: DdpmConstants) -> Diagnostic:
    message = f"sampling asks for {levels:,} noise levels; the diffusion has {ddpm.steps:,} timesteps"
    chain = [Label(loaded.span("diffusion", "steps"), f"{ddpm.steps:,} timesteps")]
    help = f"use at most {ddpm.steps:,}: each level is one of the timesteps"
    if loaded.tree.has(("sample", "steps")):
        secondary = chain if loaded.tree.has(("diffusion", "steps")) else []
        return report("LG108", message, loaded.span("sample", "steps"), secondary=secondary, help=help)
    help = f"write `sample: {{steps: {ddpm.steps}}}`, or fewer"
    return report("LG108", f"{message} ({levels} is the default)", loaded.span("diffusion", "steps"), help=help)


def _crossed(loaded: Loaded, low_path: Path, low: float, high_path: Path, high: float) -> Diagnostic:
    written = [(path, value) for path, value in ((low_path, low), (high_path, high)) if loaded.tree.has(path)]
    (path, _), *others = written
    secondary = [Label(loaded.span(*other), f"{other[-1]} is {value:g} here") for other, value in others]
    aside = "" if others else f" (the default of `{high_path[-1] if path == low_path else low_path[-1]}`)"
    if path == low_path:
        message = f"`{low_path[-1]}` {low:g} is not below `{high_path[-1]}` {high:g}{aside}"
    else:
        message = f"`{high_path[-1]}` {high:g} is not above `{low_path[-1]}` {low:g}{aside}"
    return report("LG108", message, loaded.span(*path), secondary=secondary)
