r"""What training on a share of the windows saves: step time and peak memory beside the predicted MACs.

    python benchmarks/patch_sampling.py specs/emoji_32.yaml -o benchmarks/patch_sampling
    python benchmarks/patch_sampling.py specs/lego_pg_xl.yaml --data LATENTS --batch 64 --device cuda \
        --precision bf16 -o out

The same stack with all windows of its patch-bricks, three quarters, a half and a quarter; each takes its turn in every
round. The record goes to OUT.md and the curves to OUT.svg. Image-bricks run in full whatever the share, and so do
optimizer, averages and data: time saves less than MACs do, and the record says by how much.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from training_steps import (
    Ours,
    as_typed,
    compiled,
    frame,
    in_turns,
    milliseconds,
    peak_bytes,
    say,
    table,
    times,
    trainer_of,
)

from legoc.bench.rounds import ratio
from legoc.cost import training_macs
from legoc.draw.curves import Curve, curves_svg
from legoc_runtime.backends.base import choose_backend
from legoc_runtime.backends.device import choose_device
from legoc_runtime.data import open_dataset

SHARES = (1.0, 0.75, 0.5, 0.25)


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and write the record and its plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", type=Path)
    parser.add_argument("--data", type=Path, default=Path("examples/data/noto-emoji-32.zip"))
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="of the spec; may be repeated")
    parser.add_argument("--steps", type=int, default=4, help="of a sample, which makes one batch more")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--no-memory", action="store_true", help="leave out the steps that memory is measured in")
    parser.add_argument("-o", "--out", type=Path, required=True, help="OUT.md and OUT.svg")
    given = parser.parse_args(words)
    device, choice = choose_device(given.device), choose_backend(given.backend)
    data = open_dataset(given.data)
    subjects: dict[float, Ours] = {}
    macs: dict[float, int] = {}
    for share in SHARES:
        manifest = compiled(given, share)
        macs[share] = training_macs(manifest.shape, manifest.train)
        subjects[share] = Ours(trainer_of(manifest, data, choice.backend, device), given.batch)
    named = in_turns({f"{share:g}": one for share, one in subjects.items()}, rounds=given.rounds, steps=given.steps)
    seconds = {share: named[f"{share:g}"] for share in SHARES}
    peaks: dict[float, int] = {}
    if not given.no_memory:
        for share, one in subjects.items():
            peaks[share] = peak_bytes(one, device)
            say(f"{share:g}: {peaks[share] / 2**20:.0f} MiB")
    question = (
        f"How much of step time and memory does `{given.spec.stem}` save when its patch-bricks train on a share of "
        "their windows, beside the MACs that it saves?"
    )
    method = (
        f"{given.precision} on {device}, backend {choice.backend.name}, batch {given.batch}, every step whole: batch, "
        f"forward, backward, optimizer, averages. Samples of {given.steps} steps take turns in {given.rounds} rounds "
        "after two steps that are not counted; median and quartiles, ratios are medians of the rounds' own. Peak "
        "memory is the most that two steps hold beside weights, moments and averages."
    )
    text = [
        f"# Training `{given.spec.stem}` on a share of its windows",
        frame(question, as_typed("patch_sampling", given), device, method),
    ]
    text.append(numbers(seconds, macs, peaks))
    text.append("7. **What they mean.** (to be written by whoever ran it, against the numbers above)")
    given.out.with_suffix(".md").write_text("\n\n".join(text) + "\n", encoding="utf-8")
    given.out.with_suffix(".svg").write_text(plot(given.spec.stem, seconds, macs, peaks), encoding="utf-8")
    print(given.out.with_suffix(".md"), given.out.with_suffix(".svg"), sep="\n")


def numbers(seconds: Mapping[float, Sequence[float]], macs: Mapping[float, int], peaks: Mapping[float, int]) -> str:
    """A row a share."""
    head = ["share of windows", "ms a step", "time", "GMACs an image", "MACs", "time / MACs", "peak MiB", "memory"]
    rows: list[list[str]] = []
    for share in SHARES:
        time, work = ratio(seconds[share], seconds[1.0]), macs[share] / macs[1.0]
        memory = ["-", "-"]
        if peaks:
            memory = [f"{peaks[share] / 2**20:,.0f}", f"{peaks[share] / peaks[1.0]:.3f}"]
        own = [f"{share:g}", milliseconds(seconds[share]), times(seconds[share], seconds[1.0])]
        rows.append([*own, f"{macs[share] / 1e9:.4g}", f"{work:.3f}", f"{time / work:.2f}", *memory])
    return table(head, rows)


def plot(
    name: str, seconds: Mapping[float, Sequence[float]], macs: Mapping[float, int], peaks: Mapping[float, int]
) -> str:
    """Time, memory and MACs as shares of those with all windows."""
    shares = sorted(SHARES)
    curves = [Curve("step time", tuple((share, ratio(seconds[share], seconds[1.0])) for share in shares))]
    if peaks:
        curves.append(Curve("peak memory", tuple((share, peaks[share] / peaks[1.0]) for share in shares)))
    curves.append(Curve("predicted MACs", tuple((share, macs[share] / macs[1.0]) for share in shares)))
    title = f"{name}: a training step on a share of the windows"
    return curves_svg(title, curves, across="share of windows", below="each as a share of the step on all windows")


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
