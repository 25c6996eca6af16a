"""What a break costs: how far pictures move when a brick is left out beyond a noise level, and what decides it.

Every break is sampled from the same seeds and held against the pictures without skipping. A part asks one thing each:

    schedule    the same breaks on other numbers of steps, another rho, with and without guidance
    brick       each brick by itself, early (above a noise level) and late (below one)
    sizes       one brick alone late, by the size of its windows
    length      the same breaks on snapshots of one training
    dropping    the same breaks after training for skipping and without (`--train` makes both runs)
    denoising   no pictures: what each configuration makes of noised images, against clean ones and the whole stack

    python benchmarks/breaks.py --train                                 # the two runs of `dropping`
    python benchmarks/breaks.py --pg runs/backbones/pg --pr runs/backbones/pr --snapshots kept/*.safetensors
    python benchmarks/breaks.py --report-only

The stack of three bricks and its reverse are those of `emoji_backbones.py`; snapshots are averages that one training of
`examples/demo/emoji_pr_32.yaml` left on its way (`000000020000.safetensors` and so on). A part whose weights are not
given is left out, aloud. Every point is kept in OUT/points.json as soon as it is there, and a second call measures
what is missing. Leaves OUT/report.md, OUT/*.svg and OUT/breaks-pictures.png.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from breaks_report import strip_of, write_report
from torch import Tensor

from legoc.cli.sample_source import StackSource, find_stack
from legoc.draw.timeline import macs_saved
from legoc.policies.predicates import policy_of
from legoc_runtime.backends.base import choose_backend
from legoc_runtime.contract.policy import Configuration, Policy, builtin_policy, configuration_name, tabulate
from legoc_runtime.contract.schedule import evaluations, sampling_levels
from legoc_runtime.contract.stack import EdmConstants, StackShape
from legoc_runtime.data import open_dataset
from legoc_runtime.data.split import split
from legoc_runtime.sampling.pictures import png_bytes, to_uint8, write_whole
from legoc_runtime.stack import BrickStack
from legoc_runtime.study.refine import examples, noised
from legoc_runtime.study.roll_out import RollOuts

DEMO = Path("examples/demo/emoji_pr_32.safetensors")
SPECS = Path(__file__).parent / "breaks"
TRAINED = ("plain", "drop")
PARTS = ("denoising", "brick", "schedule", "sizes", "length", "dropping")
EARLY, LATE = (3.0, 1.0, 0.3), (0.1, 0.3, 1.0)
"""Noise levels of the breaks of a brick that rests above one, and below one."""

SIGMAS = (0.01, 0.03, 0.1, 0.2, 0.3, 0.6, 1.0, 2.0, 3.0, 6.0, 10.0, 30.0)
SHOWN, NOISE_SEED, SHOWN_PICTURES = 32, 5, 8
"""Images that are noised, spread over the set; the seed of their noise; pictures of a point that are kept."""


@dataclass(frozen=True)
class Setting:
    """A schedule and the guidance on it."""

    steps: int = 18
    rho: float = 7.0
    guidance: float = 1.0

    @property
    def key(self) -> str:
        """As points name it."""
        return f"{self.steps} steps, rho {self.rho:g}, guidance {self.guidance:g}"


@dataclass(frozen=True)
class Break:
    """Bricks that rest on one side of a noise level; without bricks, the built-in `halfway`."""

    end: str
    sigma: float
    bricks: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """As points name it."""
        return f"{'+'.join(self.bricks)} {self.end} {self.sigma:g}" if self.bricks else "halfway"

    def policy(self, shape: StackShape) -> Policy:
        """The policy: early is above the noise level, late below it."""
        if not self.bricks:
            halfway = builtin_policy("halfway", shape.bricks)
            assert halfway is not None
            return halfway
        op = ">" if self.end == "early" else "<"
        return policy_of(self.key, dict.fromkeys(self.bricks, f"sigma {op} {self.sigma:g}"))


HALFWAY = Break("", 0.0)


def breaks(brick: str, early: Sequence[float] = (), late: Sequence[float] = ()) -> tuple[Break, ...]:
    """The breaks of one brick."""
    found = [Break("early", sigma, (brick,)) for sigma in early]
    return (*found, *(Break("late", sigma, (brick,)) for sigma in late))


@dataclass(frozen=True)
class Job:
    """Breaks of one stack on one schedule."""

    stack: str
    setting: Setting
    breaks: tuple[Break, ...]


class Points:
    """What was measured, kept on the disk point by point, with some of its pictures."""

    def __init__(self, out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._path = out / "points.json"
        self.found: dict[str, Any] = json.loads(self._path.read_text("utf-8")) if self._path.exists() else {}

    def add(self, key: str, point: object) -> None:
        """Keep a point."""
        self.found[key] = point
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(self.found, indent=1) + "\n", encoding="utf-8")
        os.replace(partial, self._path)

    def show(self, key: str, pictures: Tensor) -> None:
        """Keep the first pictures of a point side by side."""
        path = strip_of(self._path.parent, key)
        path.parent.mkdir(exist_ok=True)
        strip = np.concatenate(list(to_uint8(pictures[:SHOWN_PICTURES])), axis=2)
        write_whole(path, png_bytes(strip))


def jobs(stacks: dict[str, Path], parts: Sequence[str]) -> Iterator[Job]:
    """What is sampled, part by part; stacks that are not there are left out."""
    asked = [job for part in parts if part != "denoising" for job in _of_part(part, stacks)]
    yield from (job for job in asked if job.stack in stacks)


def _of_part(part: str, stacks: dict[str, Path]) -> Iterator[Job]:
    plain = Setting()
    match part:
        case "brick":
            stacks_bricks = {
                "demo": ("detail", "whole"),
                "pg": ("detail", "parts", "top"),
                "pr": ("coarse", "parts", "detail"),
            }
            for stack, bricks in stacks_bricks.items():
                yield Job(stack, plain, tuple(each for brick in bricks for each in breaks(brick, EARLY, LATE)))
        case "schedule":
            top = (*breaks("top", late=(3.0, 1.0, 0.3)), HALFWAY)
            yield from (Job("pg", replace(plain, rho=rho), top) for rho in (7.0, 3.0, 15.0))
            yield from (Job("pg", replace(plain, steps=steps), top) for steps in (10, 36))
            yield Job("pg", replace(plain, guidance=2.0), top)
            above = (*breaks("detail", early=(1.0,)), HALFWAY)
            yield from (Job("demo", replace(plain, steps=steps), above) for steps in (18, 10, 36))
            yield Job("demo", replace(plain, guidance=2.0), above)
            yield Job("pg", replace(plain, steps=75), top)
        case "sizes":
            alone = (("pg", ("parts", "top")), ("pg", ("detail", "top")), ("pr", ("coarse", "parts")))
            for stack, bricks in (*alone, ("pr", ("coarse", "detail"))):
                yield Job(stack, plain, tuple(Break("late", sigma, bricks) for sigma in LATE))
        case "length":
            chosen = (*breaks("detail", early=(1.0,)), *breaks("whole", early=(1.0,), late=(0.3,)))
            yield from (Job(name, plain, chosen) for name in ("demo", *filter(str.isdecimal, stacks)))
        case _:
            chosen = (*breaks("whole", early=(1.0,), late=(0.1, 0.3)), *breaks("detail", early=(1.0,)))
            yield from (Job(name, plain, chosen) for name in ("demo", *TRAINED))


class Remembering:
    """A stack that keeps its answers: policies that begin alike repeat calls until their first break."""

    def __init__(self, stack: BrickStack) -> None:
        self._stack = stack
        self._known: dict[tuple[object, ...], Tensor] = {}

    def __call__(
        self, x: Tensor, sigma: Tensor, labels: Tensor | None = None, *, configuration: Configuration | None = None
    ) -> Tensor:
        """As `BrickStack`: the same bits for the same call."""
        asked = (x, sigma, *(() if labels is None else (labels,)))
        key = (configuration, *(hashlib.sha256(each.contiguous().numpy()).digest() for each in asked))
        if key not in self._known:
            self._known[key] = self._stack(x, sigma, labels, configuration=configuration)
        return self._known[key]

    def bricks_run(self, configuration: Configuration) -> tuple[str, ...]:
        """As `BrickStack`."""
        return self._stack.bricks_run(configuration)


def roll_out(job: Job, source: StackSource, seeds: Sequence[int], points: Points) -> None:
    """Sample what is missing of a job, from the same seeds each, and keep how far every picture moved."""
    before = f"{job.stack} | {job.setting.key}"
    missing = [each for each in dict.fromkeys(job.breaks) if f"{before} | {each.key}" not in points.found]
    if not missing:
        return
    shape, setting = source.manifest.shape, job.setting
    edm = shape.diffusion
    assert isinstance(edm, EdmConstants), "breaks are measured on schedules of EDM"
    shape = replace(shape, diffusion=replace(edm, rho=setting.rho))
    sample = replace(source.manifest.sample, steps=setting.steps, guidance=setting.guidance, batch=16)
    levels, calls = sampling_levels(sample, shape.diffusion), evaluations(sample.sampler, sample.steps)
    tables = {each.key: tabulate(each.policy(shape), shape.ids, levels) for each in missing}
    reached = list(dict.fromkeys((shape.ids, *(c for table in tables.values() for c in table.distinct()))))
    stack = source.load(
        reached, backend=choose_backend("eager").backend, device=torch.device("cpu"), dtype=torch.float32
    )
    begun = time.perf_counter()
    rolls = RollOuts(Remembering(stack), shape, sample, seeds)
    whole = rolls.whole.pictures
    points.add(f"{before} | whole", {"apart": _rms(whole - whole.roll(1, dims=0)).tolist()})
    points.show(f"{before} | whole", whole)
    for each in missing:
        table = tables[each.key]
        change, made = table.breaks(), rolls.roll(each.policy(shape))
        points.add(
            f"{before} | {each.key}",
            {
                "sigma": change[0].sigma if change else None,
                "steps": sum(row != shape.ids for row in table.configurations),
                "saved": macs_saved(shape, table, calls),
                "squared": rolls.squared_errors(made).tolist(),
            },
        )
        points.show(f"{before} | {each.key}", made.pictures)
        print(f"{before} | {each.key}: {time.perf_counter() - begun:.0f} s", flush=True)


def _rms(difference: Tensor) -> Tensor:
    """Root mean square by picture, [N]."""
    return difference.double().square().mean(dim=(1, 2, 3)).sqrt()


def subsets(ids: Sequence[str]) -> tuple[Configuration, ...]:
    """Every configuration, the whole stack first."""
    return tuple(c for size in range(len(ids), 0, -1) for c in combinations(ids, size))


@torch.no_grad()
def denoise(name: str, source: StackSource, path: Path, points: Points) -> None:
    """Mean squared errors of each configuration's estimates, to the clean images and to those of the whole stack."""
    key = f"{name} | denoising"
    if key in points.found:
        return
    manifest = source.manifest
    shape, share = manifest.shape, manifest.train.held_out
    data = open_dataset(path)
    data = (split(data, share)[1] if share else None) or data
    every = len(data) // SHOWN
    shown = examples(data, shape, range(0, every * SHOWN, every))
    configurations = subsets(shape.ids)
    stack = source.load(
        configurations, backend=choose_backend("eager").backend, device=torch.device("cpu"), dtype=torch.float32
    )
    found: dict[str, dict[str, list[float]]] = {
        configuration_name(c): {"clean": [], "whole": []} for c in configurations
    }
    for sigma in SIGMAS:
        noisy = noised(shown, sigma, NOISE_SEED)
        level = torch.tensor(sigma, dtype=torch.float32)
        made = {c: stack(noisy, level, shown.labels, configuration=c) for c in configurations}
        for configuration, estimate in made.items():
            row = found[configuration_name(configuration)]
            row["clean"].append(float((estimate - shown.clean).double().square().mean()))
            row["whole"].append(float((estimate - made[shape.ids]).double().square().mean()))
    points.add(key, {"sigmas": SIGMAS, "held_out": bool(share), "images": weights_images(source), "by": found})
    print(f"{key}: {SHOWN} images", flush=True)


def weights_images(source: StackSource) -> int:
    """Images that the weights were trained on."""
    return source.weights.images


def train(out: Path) -> None:
    """The two runs of `dropping`, from the demo's weights, on the same images."""
    for name in TRAINED:
        command = [sys.executable, "-m", "legoc", "train", str(SPECS / f"{name}.yaml"), "--out", str(out / name)]
        if code := subprocess.run(command, check=False).returncode:
            sys.exit(code)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train or measure what is asked for and missing, then report all that is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/breaks"))
    parser.add_argument("--demo", type=Path, default=DEMO)
    parser.add_argument("--pg", type=Path, help="run of emoji_backbones/pg.yaml")
    parser.add_argument("--pr", type=Path, help="run of emoji_backbones/pr.yaml")
    parser.add_argument("--snapshots", type=Path, nargs="*", default=[], help="averages of one training, by images")
    parser.add_argument("--data", type=Path, default=Path("examples/data/noto-emoji-32.zip"))
    parser.add_argument("--seeds", type=int, default=16, help="so many pictures a break")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--train", action="store_true", help="make the runs of `dropping`, and nothing else")
    what.add_argument("--report-only", action="store_true", help="of the points that are there")
    given = parser.parse_args(arguments)
    if given.train:
        train(given.out)
        return
    points = Points(given.out)
    if not given.report_only:
        measure(given, points)
    write_report(given.out, points.found)


def measure(given: argparse.Namespace, points: Points) -> None:
    """Measure what is missing of the parts that are asked for."""
    runs = {"pg": given.pg, "pr": given.pr, **{name: given.out / name for name in TRAINED}}
    stacks = {"demo": given.demo}
    for name, path in runs.items():
        if path is not None and (path / "checkpoints").is_dir():
            stacks[name] = path
        else:
            print(f"without `{name}`: no weights were given", flush=True)
    stacks |= {str(int(path.stem)): path for path in given.snapshots}
    sources = {name: find_stack(path, None) for name, path in stacks.items()}
    for job in jobs(stacks, given.parts):
        roll_out(job, sources[job.stack], range(given.seeds), points)
    if "denoising" in given.parts:
        for name, source in sources.items():
            denoise(name, source, given.data, points)


if __name__ == "__main__":
    main()
