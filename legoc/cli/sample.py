"""`legoc sample`: pictures from a trained stack, with bricks left out as a skip policy says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from legoc.cli.options import as_interval, known_sampler, overridden, refuse_idle_guidance, refuse_stdin
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option

if TYPE_CHECKING:
    from legoc.cli.sample_source import StackSource
    from legoc_runtime.backends.base import Choice
    from legoc_runtime.contract.manifest import Manifest
    from legoc_runtime.sampling.plan import Plan
    from legoc_runtime.sampling.record import Source

FROM_SPEC = "[default: the spec's]"


def command(
    path: Annotated[
        Path | None,
        Argument(
            help="A run, a checkpoint in one, or a .safetensors file. [default: the newest run in runs/]",
            show_default=False,
        ),
    ] = None,
    skip_policy: Annotated[
        str | None,
        Option(
            help=f"none, halfway, halfway:SHARE, or one of the spec's. {FROM_SPEC}",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        str | None, Option(help=f"One picture a seed: 0-63, or 1,5,9-12. {FROM_SPEC}", show_default=False)
    ] = None,
    classes: Annotated[
        str | None,
        Option(
            help=f"One class (3), a list that seeds cycle through (0,3,5), balanced or random. {FROM_SPEC}",
            show_default=False,
        ),
    ] = None,
    sampler: Annotated[
        str | None,
        Option(help=f"heun, euler, or dpmpp_2m; ddpm or ddim for DDPM stacks. {FROM_SPEC}", show_default=False),
    ] = None,
    guidance: Annotated[
        float | None,
        Option(help=f"Scale of classifier-free guidance; 1 is none. {FROM_SPEC}", show_default=False),
    ] = None,
    guidance_channels: Annotated[
        str | None, Option(help=f"Guide the first so many channels, or all. {FROM_SPEC}", show_default=False)
    ] = None,
    guidance_interval: Annotated[
        str | None,
        Option(
            metavar="LOW,HIGH",
            help=f"Guide at these values of sigma only (elsewhere it costs nothing), or all. {FROM_SPEC}",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[int | None, Option(help=f"Noise levels. {FROM_SPEC}", show_default=False)] = None,
    churn: Annotated[
        float | None,
        Option(help=f"S_churn of EDM; 0 is deterministic. {FROM_SPEC}", show_default=False),
    ] = None,
    churn_min: Annotated[
        float | None, Option(help=f"S_min: churn acts from this sigma. {FROM_SPEC}", show_default=False)
    ] = None,
    churn_max: Annotated[
        float | None,
        Option(help=f"S_max: churn acts up to this sigma. {FROM_SPEC}", show_default=False),
    ] = None,
    churn_noise: Annotated[float | None, Option(help=f"S_noise of EDM. {FROM_SPEC}", show_default=False)] = None,
    eta: Annotated[float | None, Option(help=f"DDIM's share of noise, 0 to 1. {FROM_SPEC}", show_default=False)] = None,
    batch: Annotated[int | None, Option(help=f"Pictures at once. {FROM_SPEC}", min=1, show_default=False)] = None,
    out: Annotated[
        Path | None,
        Option("-o", "--out", help="Where they go. [default: RUN/samples/POLICY-...]", show_default=False),
    ] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace samples of another request.")] = False,
    ema: Annotated[
        str | None,
        Option(help=f"Rate of the EMA to sample, `first` of the run's, or `none`. {FROM_SPEC}", show_default=False),
    ] = None,
    device: Annotated[str, Option(help="auto, cpu, or cuda.")] = "auto",
    backend: Annotated[str, Option(help="auto, eager, inductor, aoti, or tensorrt.")] = "auto",
    trust_native: Annotated[
        bool,
        Option("--trust-native", help="Run the native code in the run (aoti, tensorrt); you know who built it."),
    ] = False,
    cuda_graphs: Annotated[
        bool,
        Option("--cuda-graphs", help="On CUDA: launch calls of up to 32 rows as one graph each, for small batches."),
    ] = False,
    dtype: Annotated[str, Option(help="Type of weights and blocks: float32, bf16, or fp16.")] = "float32",
    fp8: Annotated[
        str | None,
        Option(
            metavar="BRICKS",
            help="Multiply in 8-bit floats in these bricks (ids joined by commas, or `large`): faster at large batches "
            "on GPUs from compute capability 9.0 on, with --dtype bf16, and not exact. [default: none]",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[bool, Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Sample a trained stack: a PNG a seed, grid.png and samples.json.

    The noise of a seed is the same whatever the batch, device and policy, so sets of several policies can
    be laid side by side. There is no --set: what a run was trained with is fixed, and flags change the rest.
    Every call of the stack is held against the policy; samples.json keeps the trace.
    The directory is printed on stdout.
    """
    refuse_stdin(path, "sample")
    flags = {"sampler": known_sampler(sampler), "guidance": guidance, "steps": steps, "churn": churn}
    flags |= {"guidance_channels": guidance_channels, "guidance_interval": as_interval(guidance_interval)}
    flags |= {"churn_min": churn_min, "churn_max": churn_max, "churn_noise": churn_noise, "eta": eta}
    flags |= {"skip_policy": skip_policy, "seeds": seeds, "classes": classes, "batch": batch, "ema": _as_in_specs(ema)}
    say = _Talk(quiet)
    source = _find(path, ema, say)
    plan = _plan(source.manifest, flags, say)
    from legoc_runtime.backends.base import choose_backend

    choice = choose_backend(backend, build=source.build, trust_native=trust_native)
    echo(_sample(source, plan, out, overwrite, _Machine(device, choice, dtype, cuda_graphs, fp8), say))


def _as_in_specs(ema: str | None) -> str | None:
    """A rate as the spec has it, so that 0.990 does not override 0.99."""
    try:
        return None if ema is None else repr(float(ema))
    except ValueError:
        return ema


@dataclass(frozen=True)
class _Machine:
    """How to compute: backend, and device and type in the words of the command line."""

    device: str
    choice: Choice
    dtype: str
    cuda_graphs: bool
    fp8: str | None


class _Talk:
    """Lines on stderr, unless quiet."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet

    def __call__(self, line: str) -> None:
        if not self.quiet:
            echo(line, err=True)


def _find(path: Path | None, ema: str | None, say: _Talk) -> StackSource:
    from legoc.build_directory import newest_run
    from legoc.cli.sample_source import find_stack

    chosen = path if path is not None else newest_run(Path())
    source = find_stack(chosen, ema)
    which = f"{chosen}, the newest run" if path is None else f"{chosen}"
    say(f"{which}: {source.weights.kind} after {source.weights.images:,} images")
    return source


def _plan(
    manifest: Manifest,
    flags: dict[str, float | str | None],
    say: _Talk,
) -> Plan:
    """Everything that can be refused before the weights are read."""
    from legoc_runtime.contract.request import parse_classes, parse_seeds
    from legoc_runtime.sampling.plan import make_plan

    settings, notices = overridden(manifest.sample, flags)
    refuse_idle_guidance(settings.guidance, flags)
    policy = manifest.policy(settings.skip_policy)
    if flags["skip_policy"] is None:
        say(f"no --skip-policy: taking `{policy.name}`, {_why(policy.name, manifest)}")
    for notice in notices:
        say(notice)
    seeds, classes = parse_seeds(settings.seeds), parse_classes(settings.classes)
    return make_plan(manifest.shape, policy, settings, seeds, classes)


def _why(policy: str, manifest: Manifest) -> str:
    if policy == "default":
        return "the spec's `skip:` keys"
    own_keys = any(known.name == "default" for known in manifest.policies)
    return "as the spec has no `skip:` keys" if policy == "none" and not own_keys else "the spec's `sample.skip_policy`"


def _sample(
    source: StackSource,
    plan: Plan,
    out: Path | None,
    overwrite: bool,
    machine: _Machine,
    say: _Talk,
) -> Path:
    """Load, sample and write; gives the directory."""
    from legoc.cli.sample_talk import SamplingBar, plan_lines, result_line
    from legoc.draw.timeline import macs_saved
    from legoc_runtime.backends.cuda_graphs import graphs_for
    from legoc_runtime.backends.device import choose_device, choose_dtype
    from legoc_runtime.link.opt_in.fp8 import fp8_for
    from legoc_runtime.sampling.output import SampleDirectory
    from legoc_runtime.sampling.run import SamplingRun

    saved = macs_saved(plan.shape, plan.table, plan.evaluations)
    for line in plan_lines(plan, saved):
        say(line)
    where, dtype, choice = choose_device(machine.device), choose_dtype(machine.dtype), machine.choice
    graphs = graphs_for(where) if machine.cuda_graphs else None
    fp8 = None if machine.fp8 is None else fp8_for(machine.fp8, plan.shape, where, dtype)
    record = source.record(machine.dtype + (f", fp8 in {', '.join(fp8.bricks)}" if fp8 else ""))
    directory = SampleDirectory(out if out is not None else source.home / set_name(plan, record), plan, record)
    directory.claim(overwrite=overwrite)
    stack = source.load(
        plan.table.distinct(), backend=choice.backend, device=where, dtype=dtype, cuda_graphs=graphs, fp8=fp8
    )
    if stack.unread_bytes:
        idle = ", ".join(id for id in plan.shape.ids if id not in stack.store.bricks)
        say(f"{stack.unread_bytes:,} bytes of weights were not loaded: policy `{plan.policy.name}` never runs {idle}")
    how = {"device": str(where), "backend": choice.backend.name, "unloaded_bytes": stack.unread_bytes}
    how |= {"cuda_graphs": True} if graphs else {}
    batch = plan.settings.batch
    seeds = f"{len(plan.seeds):,} seed{'s' if len(plan.seeds) > 1 else ''}"
    say(f"{seeds} by {batch} on {where}, backend {choice.reason or choice.backend.name}")
    with SamplingBar(plan, quiet=say.quiet) as bar:
        run = SamplingRun(stack, plan, device=where)
        done = directory.fill(run, batch=batch, how=how, macs_saved=saved, on_call=bar.advance)
    say(result_line(done))
    if directory.suffix == ".npy":
        say(f"{plan.shape.channels} channels are latents, not colours: float32 .npy files and no grid")
    return directory.path


def set_name(plan: Plan, source: Source) -> str:
    """The name of a set's directory by default: the policy, and what tells one request from another."""
    from legoc_runtime.sampling.record import request_hash

    return f"{plan.policy.name.replace(':', '-')}-{plan.settings.steps}-steps-{request_hash(plan, source)[:8]}"
