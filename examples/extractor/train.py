"""Train a small feature extractor for `legoc eval --features FOLDER`: a classifier of a labelled image set.

    python examples/extractor/train.py examples/data/noto-emoji-32.zip --name emoji --out my-extractor

One image in ten is held out; the folder gets `extractor.json`, `weights.safetensors` and `training.json` with the
accuracy on them. The same arguments on the same machine give the same weights.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from legoc_runtime.checkpoint import tensorfile
from legoc_runtime.data import ImageDataset, open_dataset
from legoc_runtime.evaluation.arrays import as_tensor, numbers
from legoc_runtime.evaluation.small_network import SHAPE_NAME, WEIGHTS_NAME, NetworkShape, SmallNetwork

WIDTHS = (24, 48, 96)
HELD_OUT = 10
BATCH = 128
RATE = 3e-3
SHIFT_PX = 2


class Trainee(nn.Module):
    """A network with batch normalisation, which `folded` then multiplies into the convolutions."""

    def __init__(self, network: SmallNetwork) -> None:
        super().__init__()
        self.network = network
        self.convolutions = [cast("nn.Conv2d", one) for one in network.convolutions]
        self.norms = [nn.BatchNorm2d(convolution.out_channels) for convolution in self.convolutions]
        self.registered = nn.ModuleList(self.norms)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of prepared pictures [N,3,size,size]."""
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            if i and i % 2 == 0:
                x = functional.avg_pool2d(x, 2)
            x = functional.relu(norm(convolution(x)))
        pooled = functional.dropout(x.mean(dim=(2, 3)), 0.3, self.training)
        return self.network.classify(pooled)

    def folded(self) -> dict[str, Tensor]:
        """Weights of the plain network that computes the same."""
        tensors = {f"classify.{name}": value.detach() for name, value in self.network.classify.named_parameters()}
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            mean, variance = (norm.get_buffer(f"running_{name}") for name in ("mean", "var"))
            scale = norm.weight.detach() / (variance + norm.eps).sqrt()
            assert convolution.bias is not None
            tensors[f"convolutions.{i}.weight"] = convolution.weight.detach() * scale[:, None, None, None]
            tensors[f"convolutions.{i}.bias"] = (convolution.bias.detach() - mean) * scale + norm.bias.detach()
        return {name: value.contiguous() for name, value in tensors.items()}


def augmented(images: Tensor, random: torch.Generator) -> Tensor:
    """Prepared pictures, each shifted by up to two pixels (white comes in) and half of them mirrored."""
    padded = functional.pad(images, (SHIFT_PX,) * 4, value=1.0)
    size, n = images.shape[-1], len(images)
    tops, lefts = (numbers(row) for row in torch.randint(0, 2 * SHIFT_PX + 1, (2, n), generator=random))
    mirror = torch.rand(n, generator=random) < 0.5
    out = torch.stack(
        [image[:, top : top + size, left : left + size] for image, top, left in zip(padded, tops, lefts, strict=True)]
    )
    return torch.where(mirror[:, None, None, None], out.flip(-1), out)


def train(trainee: Trainee, images: Tensor, labels: Tensor, epochs: int, seed: int) -> None:
    """AdamW with a rate that rises over the first epoch and falls to zero; rare classes weigh more."""
    random = torch.Generator().manual_seed(seed)
    counts = torch.bincount(labels, minlength=len(trainee.network.shape.classes)).float()
    weights = (counts.mean() / counts).sqrt()
    optimizer = torch.optim.AdamW(trainee.parameters(), lr=RATE, weight_decay=0.05)
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, total_steps=epochs * steps, pct_start=min(0.5, 1 / epochs)
    )
    for epoch in range(epochs):
        trainee.train()
        order = torch.randperm(len(images), generator=random)
        losses: list[float] = []
        for step in range(steps):
            rows = order[step * BATCH : (step + 1) * BATCH]
            logits = trainee(augmented(images[rows], random))
            loss = functional.cross_entropy(logits, labels[rows], weight=weights, label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()  # pyright: ignore[reportUnknownMemberType]
            optimizer.step()  # pyright: ignore[reportUnknownMemberType]
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1} of {epochs}: loss {sum(losses) / len(losses):.3f}", flush=True)


def accuracies(network: SmallNetwork, images: Tensor, labels: Tensor) -> tuple[float, list[float]]:
    """Share of pictures (uint8) whose class is found: of all, and by class."""
    network.eval()
    with torch.inference_mode():
        found = torch.cat([network(images[i : i + 256]).logits.argmax(1) for i in range(0, len(images), 256)])
        found = found == labels
    by_class = [found[labels == label].float().mean().item() for label in range(len(network.shape.classes))]
    return found.float().mean().item(), by_class


def everything(dataset: ImageDataset) -> tuple[Tensor, Tensor]:
    """Pictures uint8 [N,3,H,W] and labels of a set."""
    images = as_tensor(dataset.images(range(len(dataset))))
    labels = [dataset.label(i) for i in range(len(dataset))]
    return images.expand(-1, 3, -1, -1), torch.tensor(labels)


def main() -> None:
    """Read the arguments, train, write the folder."""
    parser = argparse.ArgumentParser(description="Train a small feature extractor.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)  # pyright: ignore[reportUnknownMemberType]
    dataset = open_dataset(arguments.data)
    if not dataset.labelled:
        raise SystemExit(f"{arguments.data} has no labels: there is nothing to classify")
    images, labels = everything(dataset)
    classes = dataset.class_names or tuple(str(i) for i in range(int(labels.max()) + 1))
    network = SmallNetwork(NetworkShape(arguments.name, 32, WIDTHS, 1, 7, classes))
    held = torch.arange(len(images)) % HELD_OUT == 0
    trainee = Trainee(network)
    train(trainee, network.prepare(images[~held]), labels[~held], arguments.epochs, arguments.seed)

    tensors = trainee.folded()
    network.load_state_dict(tensors)
    accuracy, by_class = accuracies(network, images[held], labels[held])
    arguments.out.mkdir(parents=True, exist_ok=True)
    tensorfile.save(arguments.out / WEIGHTS_NAME, tensors, {})
    (arguments.out / SHAPE_NAME).write_text(network.shape.to_json(), encoding="utf-8")
    record = {
        "data": arguments.data.name,
        "data_fingerprint": dataset.fingerprint,
        "images": {"trained_on": int((~held).sum()), "held_out": int(held.sum())},
        "settings": {"epochs": arguments.epochs, "seed": arguments.seed, "batch": BATCH, "rate": RATE},
        "held_out_accuracy": round(accuracy, 4),
        "held_out_accuracy_by_class": {name: round(value, 4) for name, value in zip(classes, by_class, strict=True)},
        "share_of_largest_class": round((torch.bincount(labels).max() / len(labels)).item(), 4),
        "torch": torch.__version__,
    }
    (arguments.out / "training.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
