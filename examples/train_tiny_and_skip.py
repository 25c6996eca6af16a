"""Train a tiny stack and sample it with skips, from Python.

    python examples/train_tiny_and_skip.py [OUT]     # default: a temporary directory; a few seconds on two cores

The same as `legoc train examples/tiny.yaml` and two calls of `legoc sample`, a step at a time. So few images teach the
stack little more than colours; `make train-demo` trains longer.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import legoc_runtime
from legoc.build_directory import write_build
from legoc.driver import compile_path
from legoc_runtime.contract.policy import configuration_name
from legoc_runtime.data import open_dataset
from legoc_runtime.sampling.pictures import grid, png_bytes, to_uint8
from legoc_runtime.sampling.plan import make_plan
from legoc_runtime.sampling.run import SamplingRun
from legoc_runtime.training.progress import Lines
from legoc_runtime.training.run import train

HERE = Path(__file__).parent
EMOJI = HERE / "data" / "noto-emoji-32.zip"
IMAGES = 960
SEEDS = range(8)


def train_tiny(run: Path) -> None:
    """Train `tiny.yaml` for a few steps into a run directory."""
    manifest, spec_text = compile_path(HERE / "tiny.yaml")
    settings = replace(manifest.train, images=IMAGES, log_images=IMAGES // 4, snapshot_images=IMAGES)
    dataset = open_dataset(EMOJI)
    # eager: compiling takes longer than these few steps
    train(
        manifest,
        spec_text,
        dataset,
        run,
        progress=Lines(sys.stdout, seconds=0),
        settings=settings,
        backend="eager",
        write_build=write_build,
    )


def sample(stack: legoc_runtime.BrickStack, policy: str, out: Path) -> None:
    """Sample `SEEDS` under a skip policy into a picture, and say which bricks really ran."""
    manifest = stack.manifest
    plan = make_plan(stack.shape, manifest.policy(policy), manifest.sample, SEEDS)
    run = SamplingRun(stack, plan)
    pictures = [picture for batch in run.batches(len(SEEDS)) for picture in to_uint8(batch.pictures)]
    out.write_bytes(png_bytes(grid(pictures)))
    for configuration, timing in run.timings.items():
        print(f"{policy}: {timing.calls} evaluations ran {configuration_name(configuration)}")
    print(f"{policy}: {out}")


def main(out: Path) -> None:
    """Train, then sample the same seeds with every brick and without the image-brick at low noise."""
    train_tiny(out / "run")
    stack = legoc_runtime.load(out / "run")
    for policy in ("none", "late"):
        sample(stack, policy, out / f"{policy}.png")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with TemporaryDirectory() as directory:
            main(Path(directory))
