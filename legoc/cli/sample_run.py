"""The second half of `legoc sample`: what is planned, loaded, sampled and written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from legoc.cli.output import echo
from legoc_runtime.errors import UsageError

if TYPE_CHECKING:
    import torch

    from legoc.cli.sample_source import StackSource
    from legoc_runtime.backends.base import Choice
    from legoc_runtime.backends.cuda_graphs import CudaGraphs
    from legoc_runtime.link.opt_in.fp8 import Fp8
    from legoc_runtime.sampling.output import SampleDirectory
    from legoc_runtime.sampling.plan import Plan
    from legoc_runtime.sampling.ranks import Ranks
    from legoc_runtime.sampling.record import Source


@dataclass(frozen=True)
class Machine:
    """How to compute: backend, and device and type in the words of the command line."""

    device: str
    choice: Choice
    dtype: str
    cuda_graphs: bool
    fp8: str | None
    window_batch: int | None = None


@dataclass(frozen=True)
class Place:
    """Where samples go and what may happen to those that are there.

    Attributes:
        out: the directory; None takes one that is named after the request.
        overwrite: whether samples of another request may be replaced.
        resume: whether pictures of the same settings are kept.
        npz: whether ADM's file of samples is written too.
    """

    out: Path | None
    overwrite: bool
    resume: bool
    npz: bool

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.overwrite and self.resume:
            raise UsageError("--resume keeps pictures and --overwrite replaces them", help="pass one of them")


class Talk:
    """Lines on stderr, unless quiet."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet

    def __call__(self, line: str) -> None:
        """Say a line."""
        if not self.quiet:
            echo(line, err=True)


def sample(source: StackSource, plan: Plan, place: Place, machine: Machine, say: Talk) -> Path | None:
    """Load, sample and write; gives the directory, or None where another rank speaks for it."""
    from legoc_runtime.sampling.output import SampleDirectory
    from legoc_runtime.sampling.ranks import ranks_here

    with ranks_here() as ranks:
        computing = _computing(machine, plan, ranks)
        record = source.record(machine.dtype + (f", fp8 in {', '.join(computing.fp8.bricks)}" if computing.fp8 else ""))
        out = place.out if place.out is not None else source.home / set_name(plan, record)
        directory = SampleDirectory(out, plan, record)
        if place.npz:
            directory.check_npz()
        if ranks.leads:
            directory.claim(overwrite=place.overwrite, resume=place.resume)
        ranks.wait()
        places = directory.missing()
        # nobody writes before everybody has looked
        ranks.wait()
        if places:
            _fill(source, directory, plan, computing, places, place.npz, say)
        else:
            say(f"{directory.path}: all {len(plan.seeds):,} pictures are there")
            if place.npz and ranks.leads:
                directory.add_npz()
        if directory.suffix == ".npy":
            kept = f"{plan.shape.channels} channels are latents, not colours: float32 .npy files and no grid"
            say(f"{kept}; `legoc decode {directory.path} --decoder VAE` makes pictures of them")
        return directory.path if ranks.leads else None


@dataclass(frozen=True)
class _Computing:
    """A machine with its words looked up."""

    device: torch.device
    dtype: torch.dtype
    choice: Choice
    graphs: CudaGraphs | None
    fp8: Fp8 | None
    ranks: Ranks
    window_batch: int | None


def _computing(machine: Machine, plan: Plan, ranks: Ranks) -> _Computing:
    from legoc_runtime.backends.cuda_graphs import graphs_for
    from legoc_runtime.backends.device import choose_device, choose_dtype
    from legoc_runtime.link.opt_in.fp8 import fp8_for

    where, dtype = ranks.device(choose_device(machine.device)), choose_dtype(machine.dtype)
    graphs = graphs_for(where) if machine.cuda_graphs else None
    fp8 = None if machine.fp8 is None else fp8_for(machine.fp8, plan.shape, where, dtype)
    return _Computing(where, dtype, machine.choice, graphs, fp8, ranks, machine.window_batch)


def _fill(
    source: StackSource,
    directory: SampleDirectory,
    plan: Plan,
    computing: _Computing,
    places: tuple[int, ...],
    npz: bool,
    say: Talk,
) -> None:
    """Make the pictures at these places of the plan."""
    from legoc.cli.picture_bar import PictureBar
    from legoc.cli.sample_talk import plan_lines, result_line
    from legoc.draw.timeline import macs_saved
    from legoc_runtime.sampling.run import SamplingRun

    rows = None if plan.canvas is None else plan.canvas.rows_by_brick(plan.shape)
    saved = macs_saved(plan.shape, plan.table, plan.evaluations, rows)
    for line in [*plan_lines(plan, saved), *_measured(source, plan)]:
        say(line)
    where, choice, ranks = computing.device, computing.choice, computing.ranks
    if plan.decoding is not None:
        plan.decoding.vae.to(where)
    stack = source.load(
        plan.configurations,
        backend=choice.backend,
        device=where,
        dtype=computing.dtype,
        cuda_graphs=computing.graphs,
        fp8=computing.fp8,
        brick_by_brick=plan.canvas is not None and plan.canvas.way == "factorised",
    )
    if stack.unread_bytes:
        idle = ", ".join(id for id in plan.shape.ids if id not in stack.store.bricks)
        say(f"{stack.unread_bytes:,} bytes of weights were not loaded: policy `{plan.policy.name}` never runs {idle}")
    how = {"device": str(where), "backend": choice.backend.name, "unloaded_bytes": stack.unread_bytes}
    how |= {"cuda_graphs": True} if computing.graphs else {}
    how |= {"decode_batch": plan.decoding.batch} if plan.decoding is not None else {}
    if plan.canvas is not None:
        how["window_batch"] = computing.window_batch or plan.settings.batch
    say(_pace(plan, places, ranks, f"{where}, backend {choice.reason or choice.backend.name}"))
    rounds, aside = len(plan.evaluations), f", {saved:.0%} of the MACs skipped" if saved else ""
    # of several processes the first one's bar is shown, over its own share of the pictures
    share = -(-len(places) // ranks.world)
    with PictureBar("sampling", share, rounds=rounds, aside=aside, quiet=say.quiet) as bar:
        run = SamplingRun(stack, plan, device=where, window_batch=computing.window_batch)
        batch, advance = plan.settings.batch, bar.advance
        done = directory.fill(
            run, batch=batch, how=how, macs_saved=saved, on_call=advance, places=places, ranks=ranks, npz=npz
        )
    say(result_line(done, made=len(places)))


def _measured(source: StackSource, plan: Plan) -> list[str]:
    """What the policy does to pictures, where a search measured it."""
    from legoc.policies.record import error_line, read_record

    if plan.given is not None or plan.canvas is not None:
        return []
    record = read_record(source.keeper)
    line = None if record is None else error_line(record, plan.table, plan.settings)
    return [] if line is None else [line]


def _pace(plan: Plan, places: tuple[int, ...], ranks: Ranks, where: str) -> str:
    seeds = f"{len(places):,} seed{'s' if len(places) > 1 else ''}"
    kept = f", {len(plan.seeds) - len(places):,} kept" if len(places) < len(plan.seeds) else ""
    several = f", {ranks.world} processes" if ranks.world > 1 else ""
    return f"{seeds}{kept} by {plan.settings.batch} on {where}{several}"


def set_name(plan: Plan, source: Source) -> str:
    """The name of a set's directory by default: the policy, and what tells one request from another."""
    from legoc_runtime.sampling.record import request_hash

    return f"{plan.policy.name.replace(':', '-')}-{plan.settings.steps}-steps-{request_hash(plan, source)[:8]}"
