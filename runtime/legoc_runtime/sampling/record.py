"""`samples.json`: everything needed to make a set of pictures again, and what happened when it was made.

`request` is what the pictures depend on; sets of equal requests hold the same pictures up to
`batch_dependence`. The other sections say how it went:
 the policy over the schedule, the trace, times, the conditioning that was computed ahead, versions.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, assert_never, cast

import numpy as np
import torch

from legoc_runtime.contract.policy import TruthTable, configuration_name
from legoc_runtime.contract.predicate import text
from legoc_runtime.contract.request import seeds_text
from legoc_runtime.contract.samplers import SAMPLERS
from legoc_runtime.contract.settings import SampleSettings
from legoc_runtime.contract.stack import DdpmConstants, Diffusion, EdmConstants
from legoc_runtime.errors import RunError
from legoc_runtime.sampling.pictures import write_whole
from legoc_runtime.sampling.plan import Plan
from legoc_runtime.sampling.run import BATCH_BOUND, BATCH_BOUND_LEVELS, SamplingRun
from legoc_runtime.sampling.timing import time_saved
from legoc_runtime.sampling.trace import Call

SAMPLES_VERSION = 1
RECORD_NAME = "samples.json"

_ACTING = (
    *("sampler", "steps", "guidance", "guidance_channels", "guidance_interval"),
    *("churn", "churn_min", "churn_max", "churn_noise"),
)
"""Settings that pictures depend on; policy, seeds, classes and weights stand in a request by themselves."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the pictures come from.

    Attributes:
        stack: the stack's name.
        spec_hash: SHA-256 of the resolved spec.
        weights_file: path of the weights, as given.
        weights_sha256: SHA-256 of that file.
        images: images that the weights were trained on.
        kind: `weights`, or `ema-RATE`.
        legoc_version: version of the compiler that made the programs.
        dtype: type of the weights and of the blocks' arithmetic; the state of the sampler is float64 in any case.
    """

    stack: str
    spec_hash: str
    weights_file: str
    weights_sha256: str
    images: int
    kind: str
    legoc_version: str
    dtype: str = "float32"


def request_record(plan: Plan, source: Source) -> dict[str, Any]:
    """What the pictures depend on. Batch, device and backend are not here: they move it by rounding only."""
    record = {
        "stack": source.stack,
        "spec_hash": source.spec_hash,
        "weights_sha256": source.weights_sha256,
        "shape": list(plan.image_shape),
        "seeds": seeds_text(plan.seeds),
        "classes": None if plan.labels is None else list(plan.labels),
        "schedule": _schedule(plan.shape.diffusion),
        "settings": _settings(plan.settings),
        "policy": {
            "name": plan.policy.name,
            "skips": {brick: text(expr) for brick, expr in plan.policy.skips},
        },
    }
    if plan.given is not None:
        record["given"] = plan.given.record(plan.settings.steps, plan.first_level.sigma)
    if plan.canvas is not None:
        record["canvas"] = plan.canvas.record()
    if plan.decoding is not None:
        record["decoder"] = plan.decoding.record()
    # 16 bits move a picture by more than rounding; float32 goes without saying, as in older sets
    return record if source.dtype == "float32" else {**record, "dtype": source.dtype}


def _schedule(diffusion: Diffusion) -> dict[str, Any]:
    """The constants that noise levels, and the noise of DDPM's steps, depend on."""
    match diffusion:
        case EdmConstants():
            return {name: getattr(diffusion, name) for name in ("sigma_min", "sigma_max", "rho")}
        case DdpmConstants():
            return asdict(diffusion)
        case _:
            assert_never(diffusion)


def _settings(settings: SampleSettings) -> dict[str, Any]:
    """Settings that pictures depend on; `eta` where the sampler takes one."""
    acting = (*_ACTING, "eta") if SAMPLERS[settings.sampler].takes_eta else _ACTING
    return {name: getattr(settings, name) for name in acting}


def request_hash(plan: Plan, source: Source) -> str:
    """SHA-256 of `request_record`, in hexadecimal."""
    return hashlib.sha256(_compact(request_record(plan, source)).encode()).hexdigest()


def policy_record(table: TruthTable) -> dict[str, Any]:
    """The policy over the levels that run: breaks with their noise levels, and how often each brick is left out."""
    return {
        "levels": len(table.levels),
        "skipped": {brick: table.skipped(brick) for brick in table.bricks},
        "breaks": [asdict(found) for found in table.breaks()],
        "configurations": [configuration_name(configuration) for configuration in table.distinct()],
    }


def trace_record(calls: Sequence[Call]) -> dict[str, Any]:
    """The trace of one batch, twice: as runs of calls with the same bricks, and call by call.

    `runs` counts calls: [first call, calls, bricks]. `calls` holds [step, order, level, sigma, bricks].
    """
    runs: list[list[Any]] = []
    for i, call in enumerate(calls):
        name = configuration_name(call.bricks)
        if runs and runs[-1][2] == name:
            runs[-1][1] += 1
        else:
            runs.append([i, 1, name])
    rows = [[call.step, call.order, call.level, call.sigma, configuration_name(call.bricks)] for call in calls]
    return {"runs": runs, "calls": rows}


def timing_record(
    run: SamplingRun, macs_saved: float | None, made: int, seconds: float, decoding_seconds: float = 0.0
) -> dict[str, Any]:
    """Seconds in all and by configuration, and the shares of time and of MACs that the policy saved.

    What a VAE takes stands by itself, where there is one: no policy saves of it.

    Args:
        run: the run; of several ranks, the first one's.
        macs_saved: see `full_record`.
        made: pictures that all ranks made.
        seconds: what the slowest rank took.
        decoding_seconds: what the slowest rank's VAE took.
    """
    by_configuration = {
        configuration_name(configuration): {
            "calls": timing.calls,
            "images": timing.images,
            "seconds": timing.seconds,
            "first_seconds": timing.first_seconds,
            "seconds_per_image": timing.seconds_per_image,
        }
        for configuration, timing in run.timings.items()
    }
    return {
        "seconds": seconds,
        "images_per_second": made / seconds if seconds else None,
        "time_saved": time_saved(run.plan, run.timings),
        "macs_saved": macs_saved,
        "configurations": by_configuration,
        **({} if run.plan.decoding is None else {"decoding_seconds": decoding_seconds}),
    }


def versions() -> dict[str, str]:
    """Versions of what computed the pictures."""
    return {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}


def half_made_record(plan: Plan, source: Source, files: Sequence[str]) -> dict[str, Any]:
    """The record of a set that has only begun: its request and the pictures that are to come.

    So nothing else is written over it unasked, and what is there of it can be removed when it is asked for.
    """
    return {
        "samples_version": SAMPLES_VERSION,
        "complete": False,
        "request": request_record(plan, source),
        "pictures": picture_records(plan, files),
    }


def picture_records(plan: Plan, files: Sequence[str]) -> list[dict[str, Any]]:
    """Seed, class and file of every picture."""
    labels, given = plan.labels or (None,) * len(plan.seeds), plan.given
    return [
        {"seed": seed, "class": label, "file": file} | ({} if given is None else {"from": given.path_of(seed).name})
        for seed, label, file in zip(plan.seeds, labels, files, strict=True)
    ]


def full_record(
    run: SamplingRun,
    source: Source,
    files: Sequence[str],
    *,
    how: Mapping[str, Any],
    macs_saved: float | None,
    made: int,
    seconds: float,
    decoding_seconds: float = 0.0,
) -> dict[str, Any]:
    """The record of a finished set.

    Args:
        run: the run, after its last batch.
        source: where the pictures come from.
        files: file name of every seed's picture.
        how: batch, device, backend and the like.
        macs_saved: share of the multiply-accumulates that the policy saves (`legoc.cost`), None if not known.
        made: pictures that were made this time; the others were there.
        seconds: what that took.
        decoding_seconds: what a VAE took besides.
    """
    plan, left = run.plan, len(run.plan.seeds) - made
    return {
        "samples_version": SAMPLES_VERSION,
        "complete": True,
        "request": request_record(plan, source),
        "source": asdict(source),
        "how": {**how, **({"kept": left} if left else {}), "versions": versions()},
        "policy": policy_record(run.plan.reached),
        "timing": timing_record(run, macs_saved, made, seconds, decoding_seconds),
        "conditioning_ahead": run.ahead.record() if run.ahead is not None else None,
        "batch_dependence": {"noise": 0, "picture": BATCH_BOUND, "grey_levels": BATCH_BOUND_LEVELS},
        "trace": trace_record(run.trace.calls),
        "pictures": picture_records(plan, files),
    }


def record_text(record: Mapping[str, Any]) -> str:
    """JSON with one line an entry two levels down, so that people can read it and long lists stay short."""

    def body(value: Any) -> str:
        if isinstance(value, list) and value:
            rows = ",\n  ".join(_compact(item) for item in cast("list[Any]", value))
            return f"[\n  {rows}\n ]"
        if isinstance(value, dict) and value:
            items = cast("dict[str, Any]", value).items()
            rows = ",\n  ".join(f"{json.dumps(key)}: {_rows(item)}" for key, item in items)
            return f"{{\n  {rows}\n }}"
        return _compact(value)

    return "{\n" + ",\n".join(f" {json.dumps(key)}: {body(value)}" for key, value in record.items()) + "\n}\n"


def _rows(value: Any) -> str:
    """A list of lists or mappings with one line an item; anything else on one line."""
    if isinstance(value, list) and value and isinstance(value[0], list | dict):
        rows = ",\n   ".join(_compact(item) for item in cast("list[Any]", value))
        return f"[\n   {rows}\n  ]"
    return _compact(value)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def write_record(directory: Path, record: Mapping[str, Any]) -> None:
    """Write `samples.json`, whole or not at all."""
    write_whole(directory / RECORD_NAME, record_text(record).encode(), sync=True)


def read_record(directory: Path) -> dict[str, Any] | None:
    """The record of a directory, None when it has none.

    Raises:
        RunError: it cannot be read, or another version wrote it.
    """
    path = directory / RECORD_NAME
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}", help="remove it, or choose another --out") from error
    record = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    if record.get("samples_version") != SAMPLES_VERSION:
        raise RunError(
            f"{path} has version {record.get('samples_version')!r}, not {SAMPLES_VERSION}",
            help="choose another --out",
        )
    return record
