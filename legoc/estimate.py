"""How long training takes and what fits, before anything is trained: an estimate with its assumptions.

takes: Manifest, the name of a machine
gives: `Estimate`, as text and JSON
may import: `legoc.cost`, `legoc_runtime.contract`, numpy (only to measure the CPU it runs on); never torch
"""

from __future__ import annotations

import os
import platform
import time
from dataclasses import asdict, dataclass
from statistics import quantiles
from textwrap import wrap
from typing import Any

from legoc.cost.counts import FLOPS_PER_MAC, parameters, window_macs
from legoc.cost.executed import executed_training_macs
from legoc.cost.memory import BYTES, Precision, state_bytes, training_numbers
from legoc.cost.table import byte_count, quantity
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.errors import UsageError

ESTIMATE_VERSION = 1
"""Version of the JSON form."""

FULL_WIDTH = 512
"""Width from which a GPU reaches the assumed shares of its peak; below it, they fall in proportion."""

NARROW_SOURCE = "fitted to one run on an H100: a prototype of width 192 and 7.2 M parameters, 20,000 images/s"

SHORT_WINDOW = 16
"""Windows of up to so many tokens reach the lower share: their attention is bound by memory, not by products."""

USABLE = 0.9
"""Share of a device's memory that a batch may fill; the rest is context, workspaces and fragmentation."""

PROBE_SIDE, PROBE_SECONDS = 1024, 1.5

NOISY_SPREAD, NOISY_LOAD = 0.2, 0.5
"""A probe is noisy where the middle half of its products spreads further than this share of their median, or where
other work occupies more than this share of the cores."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast a machine trains in one precision.

    Attributes:
        peak: floating-point operations a second that it can do at best.
        share: share of them that training reaches in wide bricks, 0 to 1.
        short_share: the same for bricks whose windows have up to `SHORT_WINDOW` tokens.
        source: where the two come from.
        warning: what makes the figures doubtful, or None.
    """

    peak: float
    share: float
    short_share: float
    source: str
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """A device to train on.

    Attributes:
        name: what it is.
        memory: bytes.
        rates: precision -> rate.
        narrow: whether narrow stacks reach less (kernel launches and memory traffic dominate).
    """

    name: str
    memory: int
    rates: dict[Precision, Rate]
    narrow: bool


H100 = Machine(
    "one NVIDIA H100 80GB (SXM)",
    80 * 10**9,
    {
        "float32": Rate(
            67e12,
            0.65,
            0.45,
            "peak published; shares measured on forward passes of 128 rows (DiT-XL/2 698 ms, "
            "LEGO-XL-PG 511 ms, public code, eager), assumed for training",
        ),
        "bfloat16": Rate(
            989e12,
            0.37,
            0.16,
            "dense peak published; shares measured on training, autocast, compiled, batch 64 (DiT-XL/2 511 images/s, "
            "LEGO-XL-PG 596, public code)",
        ),
    },
    narrow=True,
)
A100 = Machine(
    "one NVIDIA A100 80GB (SXM)",
    80 * 10**9,
    {
        "float32": Rate(
            19.5e12,
            0.67,
            0.46,
            "peak published; share from DiT-XL/2 sampling at 512x512 (320 s for 8 images, DiT issue 25); "
            "short windows in the proportion of an H100",
        ),
        "bfloat16": Rate(
            312e12,
            0.25,
            0.11,
            "dense peak published; share from fast-DiT's README (DiT-XL/2, 0.84 steps/s of 128 images); "
            "short windows in the proportion of an H100",
        ),
    },
    narrow=True,
)
CPU_SHARE = 0.7
"""Share of a large product's rate that training reaches on a CPU: assumed, from two-core runs of small stacks."""


@dataclass(frozen=True, slots=True)
class PrecisionEstimate:
    """The estimate for one precision.

    Attributes:
        precision: type of weights in the products, and of activations.
        images_per_second: training images a second.
        hours: for all images.
        share: share of peak assumed for this stack's widths and windows, 0 to 1.
        narrow_width_factor: what narrow bricks leave of that share, contained in it; 1 where none is narrow.
        narrow_width_source: where the factor comes from; None where it is 1.
        memory_bytes: at the chosen batch, in the parts that the spec says (`accumulate`).
        fits: whether that is within `USABLE` of the device's memory.
        largest_batch: images a step that fit; 0 where not even one does.
        assumption: share of peak.
        source: where the two come from.
        warning: what makes the figures doubtful, or None.
    """

    precision: Precision
    images_per_second: float
    hours: float
    share: float
    narrow_width_factor: float
    narrow_width_source: str | None
    memory_bytes: int
    fits: bool
    largest_batch: int
    assumption: str
    source: str
    warning: str | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What training would take on one device.

    Attributes:
        name: the stack's name.
        machine: what the device is.
        machine_memory_bytes: its memory.
        images: images to train on.
        batch: images a step.
        executed_training_macs: MACs that a training image really takes, as `legoc cost` has them.
        state_bytes: of weights, gradients, moments and averages.
        sharding: how several processes would share the state out, as the spec says; one device shares nothing.
        precisions: one estimate a precision.
    """

    name: str
    machine: str
    machine_memory_bytes: int
    images: int
    batch: int
    executed_training_macs: int
    state_bytes: int
    sharding: str
    precisions: tuple[PrecisionEstimate, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data, with its version."""
        return {"estimate_version": ESTIMATE_VERSION, "flops_per_mac": FLOPS_PER_MAC, **asdict(self)}


def machine(name: str) -> Machine:
    """A machine by name; `cpu` is the one that this runs on, measured now by matrix products (about two seconds).

    Raises:
        UsageError: there is none of that name.
    """
    match name:
        case "h100":
            return H100
        case "a100":
            return A100
        case "cpu":
            return this_cpu()
        case _:
            raise UsageError(f"no figures for a machine `{name}`", help="choose h100, a100 or cpu")


def this_cpu() -> Machine:
    """The CPU that this runs on."""
    probe, cores = probe_cpu(), os.cpu_count() or 1
    rate = Rate(
        probe.rate,
        CPU_SHARE,
        CPU_SHARE,
        f"median rate of {probe.products} products of {PROBE_SIDE}x{PROBE_SIDE} measured now, at a load of "
        f"{probe.load:.1f} on {cores} cores; {CPU_SHARE:.0%} assumed, as small stacks trained",
        noise(probe, cores),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(f"this CPU ({platform.machine()}, {cores} cores)", memory, {"float32": rate}, narrow=False)


@dataclass(frozen=True, slots=True)
class Probe:
    """Matrix products on this CPU.

    Attributes:
        rate: floating-point operations a second of the median product.
        spread: time between the quartiles over the median's.
        products: how many were timed.
        load: processes that wanted a core in the last minute, before the probe; NaN where the system does not say.
    """

    rate: float
    spread: float
    products: int
    load: float


def probe_cpu(seconds: float = PROBE_SECONDS) -> Probe:
    """Time float32 products in numpy for so many seconds, five at least."""
    import numpy as np

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    a = np.ones((PROBE_SIDE, PROBE_SIDE), dtype=np.float32)
    _ = a @ a  # the first one wakes threads up
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < 5 or time.perf_counter() - begun < seconds:
        start = time.perf_counter()
        _ = a @ a
        times.append(time.perf_counter() - start)
    low, median, high = quantiles(times, n=4)
    return Probe(FLOPS_PER_MAC * PROBE_SIDE**3 / median, (high - low) / median, len(times), load)


def noise(probe: Probe, cores: int) -> str | None:
    """What makes a probe doubtful, in words; None where nothing does."""
    if probe.load > NOISY_LOAD * cores:
        return f"other work keeps this machine busy (load {probe.load:.1f} on {cores} cores): try again when it rests"
    if probe.spread > NOISY_SPREAD:
        return f"the products' times spread by {probe.spread:.0%}: something disturbs them, try again later"
    return None


def estimate(manifest: Manifest, device: Machine, *, images: int | None = None, batch: int | None = None) -> Estimate:
    """Estimate training.

    Args:
        manifest: the build, or the description of a spec.
        device: what it trains on.
        images: images to train on; None takes the spec's.
        batch: images a step; None takes the spec's.

    Raises:
        UsageError: images or batch below 1.
    """
    images = manifest.train.images if images is None else images
    batch = manifest.train.batch if batch is None else batch
    held = -(-batch // manifest.train.accumulate)
    if images < 1 or batch < 1:
        raise UsageError("images and batch are 1 or more", help="for example --images 350M --batch 256")
    shape = manifest.shape
    macs = executed_training_macs(shape, manifest.train)
    state = state_bytes(shape, manifest.train)
    found: list[PrecisionEstimate] = []
    for precision, rate in device.rates.items():
        share = share_of_peak(shape, rate, narrow=device.narrow)
        narrow = share / share_of_peak(shape, rate, narrow=False)
        images_per_second = rate.peak * share / (FLOPS_PER_MAC * macs)
        fixed = state + _cast_weights(shape, precision)
        each = BYTES[precision] * training_numbers(shape, manifest.train)
        usable = int(USABLE * device.memory)
        found.append(
            PrecisionEstimate(
                precision=precision,
                images_per_second=images_per_second,
                hours=images / images_per_second / 3600,
                share=share,
                narrow_width_factor=narrow,
                narrow_width_source=NARROW_SOURCE if narrow < 1 else None,
                memory_bytes=fixed + held * each,
                fits=fixed + held * each <= usable,
                largest_batch=max(0, (usable - fixed) // each) * manifest.train.accumulate,
                assumption=f"{share:.0%} of {quantity(round(rate.peak))}FLOP/s",
                source=rate.source,
                warning=rate.warning,
            )
        )
    sharding = manifest.train.sharding
    return Estimate(manifest.name, device.name, device.memory, images, batch, macs, state, sharding, tuple(found))


def share_of_peak(shape: StackShape, rate: Rate, *, narrow: bool) -> float:
    """Share of a machine's peak that a stack is assumed to reach: the bricks' shares, averaged over their time."""
    work = time_needed = 0.0
    for brick in shape.bricks:
        share = rate.short_share if brick.tokens <= SHORT_WINDOW else rate.share
        if narrow:
            share *= min(1.0, brick.width / FULL_WIDTH)
        macs = brick.windows_trained * window_macs(brick)
        work += macs
        time_needed += macs / share
    return work / time_needed


def _cast_weights(shape: StackShape, precision: Precision) -> int:
    """Bytes of the weights' copies in the precision of the products, where it is not float32."""
    return 0 if precision == "float32" else BYTES[precision] * parameters(shape)


def estimate_text(found: Estimate) -> str:
    """The estimate for people; ends with a newline."""
    lines = [
        f"{found.name} on {found.machine}: an estimate, not a measurement",
        "",
        f"{found.images:,} images, batch {found.batch:,}; "
        f"{quantity(found.executed_training_macs)} MACs a training image; "
        f"{byte_count(found.state_bytes)} of weights, gradients, moments and averages",
    ]
    for each in found.precisions:
        fits = "fits" if each.fits else "does NOT fit"
        lines += [
            "",
            f"{each.precision}:",
            f"  time           {duration(each.hours)} at {speed(each.images_per_second)} images/s",
            f"  memory         {byte_count(each.memory_bytes)} at batch {found.batch:,}: {fits} "
            f"({USABLE:.0%} of {byte_count(found.machine_memory_bytes)})",
            f"  largest batch  {f'{each.largest_batch:,}' if each.largest_batch else 'not even one image fits'}",
            f"  assumed        {each.assumption}",
            *_paragraph(each.source),
        ]
        if each.narrow_width_source is not None:
            lines += _paragraph(
                f"in it a factor of {each.narrow_width_factor:.3g}, as widths below {FULL_WIDTH} reach less in "
                f"proportion: {each.narrow_width_source}"
            )
        if each.warning is not None:
            lines.append(f"  warning        {each.warning}")
    lines += ["", "Also assumed: one device, data that is never waited for, nothing but training; 1 MAC = 2 FLOPs."]
    if found.sharding != "none":
        lines.append(
            f"sharding: {found.sharding} shares nothing out on one device; each of N processes holds 1/N of the "
            f"{byte_count(found.state_bytes)} between steps."
        )
    if len(found.precisions) > 1:
        lines.append("bfloat16 is autocast with float32 weights and compiled blocks (`train: {precision: bf16}`).")
    return "\n".join(lines) + "\n"


def _paragraph(text: str) -> list[str]:
    return wrap(text, width=100, initial_indent=17 * " ", subsequent_indent=17 * " ")


def speed(images_per_second: float) -> str:
    """Images a second with three significant digits or all before the point: `1,234`, `0.0321`."""
    return f"{images_per_second:,.0f}" if images_per_second >= 100 else f"{images_per_second:.3g}"


def duration(hours: float) -> str:
    """Hours as people say them: `42 s`, `35 min`, `7.5 hours`, `1,234 hours (51 days)`."""
    if hours < 1 / 60:
        return f"{3600 * hours:.0f} s"
    if hours < 1:
        return f"{60 * hours:.0f} min"
    days = f" ({hours / 24:,.0f} days)" if hours >= 72 else ""
    return f"{hours:,.{1 if hours < 100 else 0}f} hours{days}"
