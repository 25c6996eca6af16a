r"""The same stack trained as people write it by hand, and by legoc: images a second, and what each choice gave.

    python benchmarks/training_peer.py specs/emoji_32.yaml -o benchmarks/training_peer
    python benchmarks/training_peer.py specs/lego_pg_xl.yaml --data LATENTS --batch 64 --device cuda \
        --precision bf16 -o out

By hand is `legoc.bench.plain`, run operation by operation on all windows, with AdamW and averages tensor by tensor,
batches made between steps, and a look at the loss after each. legoc is what `legoc train` runs. Each further row is
legoc without one of its choices. All take their turns in every round. The record goes to OUT.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from training_steps import Ours, Steps, as_typed, compiled, frame, in_turns, milliseconds, table, times, trainer_of

from legoc.bench.plain import PlainStack
from legoc.bench.rounds import spread
from legoc.lower.passes.catalog import exact_training
from legoc_runtime.backends.base import choose_backend
from legoc_runtime.backends.device import choose_device
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.data import ImageDataset, open_dataset
from legoc_runtime.diffusion.objective import objective_of
from legoc_runtime.store import WeightStore
from legoc_runtime.training.batch import BatchMaker
from legoc_runtime.training.precision import autocast
from legoc_runtime.training.trainer import Trainer

BY_HAND, OURS = "by hand, all windows", "legoc"


class PlainTraining(PlainStack):
    """The stack by hand, with the estimate of every brick."""

    def estimates(self, x: Tensor, sigma: Tensor, labels: Tensor | None) -> list[Tensor]:
        """Estimates [N, C, H, W], bottom to top."""
        c_skip, c_out, c_in, c_noise = self._scales(sigma)
        condition = self._condition(c_noise, labels)
        below: Tensor | None = None
        found: list[Tensor] = []
        for brick in self.shape.bricks:
            network = self._brick(brick, c_in * x, below, condition)[:, : brick.channels]
            found.append(c_skip * x + c_out * network)
            below = network if self.shape.carry == "raw" else self._handed_on(found[-1], c_in)
        return found


class ByHand:
    """A training loop as people write it.

    Args:
        manifest: of the stack; its windows are all trained on.
        data: the images.
        device: where it trains.
    """

    def __init__(self, manifest: Manifest, data: ImageDataset, device: torch.device) -> None:
        shape, settings = manifest.shape, manifest.train
        data.check_fits(shape)
        self._store = WeightStore(shape, device=device)
        self._store.initialise(settings.seed)
        self._weights = list(self._store.weights.values())
        self._stack, self._objective = PlainTraining(shape, self._store.weights), objective_of(shape.diffusion)
        self._settings, self._device, self._images = settings, device, 0
        self._maker = BatchMaker(data, shape, settings.seed, manifest.label_dropout, settings.flip)
        self._adamw = torch.optim.AdamW(self._weights, lr=1e-4, foreach=False, fused=False)
        self._averages = [weight.detach().clone() for weight in self._weights]
        weights = torch.tensor([brick.loss_weight for brick in shape.bricks], device=device)
        self._shares = weights / weights.sum()

    def run(self, steps: int) -> None:
        """Make so many steps."""
        for _ in range(steps):
            batch = self._maker.make(self._images, self._settings.batch).to(self._device)
            with autocast(self._settings.precision, self._device):
                made = self._stack.estimates(batch.noisy, batch.sigma, batch.labels)
            losses = [self._objective.loss(one, batch.clean, batch.sigma, None, None).mean() for one in made]
            loss = (torch.stack(losses) * self._shares).sum()
            loss.backward()  # pyright: ignore[reportUnknownMemberType]
            torch.nn.utils.clip_grad_norm_(self._weights, 1.0, foreach=False)
            self._adamw.step()
            self._adamw.zero_grad()
            with torch.no_grad():
                for average, weight in zip(self._averages, self._weights, strict=True):
                    average.lerp_(weight, 1e-4)
            self._images += self._settings.batch
            float(loss.detach())  # as those do who print it


def without_fused(trainer: Trainer) -> Trainer:
    """AdamW and averages tensor by tensor, in place of one call for all."""
    state: Any = trainer.state
    fused = state.optimizer._adamw.param_groups[0]
    weights = list(trainer.state.store.weights.values())
    state.optimizer._adamw = torch.optim.AdamW(
        weights, lr=fused["lr"], betas=fused["betas"], weight_decay=fused["weight_decay"], foreach=False, fused=False
    )

    @torch.no_grad()
    def update(step: int) -> None:
        for decay, average in trainer.state.ema.averages.items():
            rate = min(decay, (1 + step) / (10 + step))
            for one, weight in zip(average.values(), weights, strict=True):
                one.lerp_(weight, 1 - rate)

    state.ema.update = update
    return trainer


def subjects(given: argparse.Namespace, data: ImageDataset, device: torch.device) -> dict[str, Steps]:
    """What takes turns: by hand, legoc, and legoc without each of its choices."""
    backend, eager = choose_backend(given.backend).backend, choose_backend("eager").backend

    def manifest(share: float | None = given.share, disable: Sequence[str] = ()) -> Manifest:
        return compiled(given, share, disable)

    def ours(of: Manifest, run: Any = backend) -> Trainer:
        return trainer_of(of, data, run, device)

    passes = tuple(step.name for step in exact_training())
    return {
        BY_HAND: ByHand(manifest(1.0), data, device),
        OURS: Ours(ours(manifest()), given.batch),
        "legoc on all windows": Ours(ours(manifest(1.0)), given.batch),
        "legoc, not compiled": Ours(ours(manifest(), eager), given.batch),
        "legoc without passes": Ours(ours(manifest(disable=passes)), given.batch),
        "legoc, optimizer and averages tensor by tensor": Ours(without_fused(ours(manifest())), given.batch),
        "legoc, batches between steps": Ours(ours(manifest()), given.batch, ahead=False),
    }


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", type=Path)
    parser.add_argument("--data", type=Path, default=Path("examples/data/noto-emoji-32.zip"))
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="of the spec; may be repeated")
    parser.add_argument("--share", type=float, help="of the windows of patch-bricks [default: the spec's]")
    parser.add_argument("--steps", type=int, default=4, help="of a sample, which makes one batch more")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("-o", "--out", type=Path, required=True, help="OUT.md")
    given = parser.parse_args(words)
    device = choose_device(given.device)
    seconds = in_turns(subjects(given, open_dataset(given.data), device), rounds=given.rounds, steps=given.steps)
    head = ["row", "ms a step", "images/s", "legoc is faster by"]
    rows = [
        [name, milliseconds(own), f"{given.batch / spread(own).median:.4g}", times(own, seconds[OURS])]
        for name, own in seconds.items()
    ]
    bricks = compiled(given, given.share).shape.bricks
    trained = ", ".join(f"{brick.id} {brick.windows_trained} of {brick.windows}" for brick in bricks)
    backend = choose_backend(given.backend).backend.name
    method = (
        f"{given.precision} on {device}, batch {given.batch}, backend {backend}; windows trained: {trained}. "
        f"Every step whole: batch, forward, backward, optimizer, averages. Samples of {given.steps} steps take turns "
        f"in {given.rounds} rounds after two steps that are not counted; median and quartiles, ratios are medians "
        "of the rounds' own. The first row has every brick's loss and all windows."
    )
    question = f"How fast does `{given.spec.stem}` train beside the same stack by hand, and what does each choice give?"
    text = [
        f"# Training `{given.spec.stem}` beside the same stack by hand",
        frame(question, as_typed("training_peer", given), device, method),
    ]
    text.append(table(head, rows))
    text.append("7. **What they mean.** (to be written by whoever ran it, against the numbers above)")
    given.out.with_suffix(".md").write_text("\n\n".join(text) + "\n", encoding="utf-8")
    print(given.out.with_suffix(".md"))


if __name__ == "__main__":
    main()
