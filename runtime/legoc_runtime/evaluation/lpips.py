"""LPIPS: the distance of two pictures in the features of a trained network (Zhang et al. 2018).

The features are those of AlexNet or VGG-16 after five of their activations, each divided by its length over the
channels. A distance is the squared difference of two of them, weighted channel by channel by a linear head, averaged
over places and summed over the five. Weights come from the disk, under the names that torchvision and the package
`lpips` give them: nothing is fetched, and torchvision is not needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from legoc_runtime.errors import RunError

Trunk = Literal["alex", "vgg"]

EPSILON = 1e-10
"""Added to the length that features are divided by, as in the package `lpips`."""

SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
"""By channel, for pixels in [-1, 1]: mean and deviation of ImageNet as `lpips` has them."""

SMALLEST = 32
"""Rows and columns that a picture needs at least: five features down, VGG-16 has 2x2 of it and AlexNet 1x1."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution and what is done around it.

    Attributes:
        index: its place in torchvision's `features`.
        channels: what it gives.
        kernel: rows and columns of it.
        stride: from one place to the next.
        padding: zeros around.
        pooled: side of the max-pooling before it, with stride 2; 0 for none.
        tap: whether its activation is one of the five.
    """

    index: int
    channels: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    pooled: int = 0
    tap: bool = False


TRUNKS: Mapping[Trunk, tuple[Layer, ...]] = {
    "alex": (
        Layer(0, 64, 11, 4, 2, tap=True),
        Layer(3, 192, 5, 1, 2, pooled=3, tap=True),
        Layer(6, 384, pooled=3, tap=True),
        Layer(8, 256, tap=True),
        Layer(10, 256, tap=True),
    ),
    "vgg": (
        Layer(0, 64),
        Layer(2, 64, tap=True),
        Layer(5, 128, pooled=2),
        Layer(7, 128, tap=True),
        Layer(10, 256, pooled=2),
        Layer(12, 256),
        Layer(14, 256, tap=True),
        Layer(17, 512, pooled=2),
        Layer(19, 512),
        Layer(21, 512, tap=True),
        Layer(24, 512, pooled=2),
        Layer(26, 512),
        Layer(28, 512, tap=True),
    ),
}
"""Convolutions of AlexNet (Krizhevsky 2014) and VGG-16 (Simonyan and Zisserman 2015), bottom to top."""


class Lpips:
    """The distance, with its weights.

    Args:
        weights: of the trunk as `features.INDEX.weight` and `.bias`, of the heads as `linK.model.1.weight`, K from 0;
            or all of them as the package's own state dict names them (`net.sliceK.INDEX.weight`).
        fingerprint: what tells these weights from others.
        device: where it runs.
        dtype: float32, or float64 for tests.

    Attributes:
        trunk: `alex` or `vgg`, told by the first convolution.
        fingerprint: as given.

    Raises:
        RunError: a weight is missing or of another shape, or a head is negative.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        fingerprint: str,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        plain = {_plain(name): tensor for name, tensor in weights.items()}
        self.trunk, self.fingerprint = trunk_of(plain), fingerprint
        self._device, self._dtype = torch.device(device), dtype
        self._layers = TRUNKS[self.trunk]
        inputs = (3, *(layer.channels for layer in self._layers))
        self._convolutions = [
            (
                self._take(
                    plain, f"features.{layer.index}.weight", (layer.channels, given, layer.kernel, layer.kernel)
                ),
                self._take(plain, f"features.{layer.index}.bias", (layer.channels,)),
            )
            for layer, given in zip(self._layers, inputs, strict=False)
        ]
        taps = [layer.channels for layer in self._layers if layer.tap]
        self._heads = [
            self._take(plain, f"lin{k}.model.1.weight", (1, channels, 1, 1)) for k, channels in enumerate(taps)
        ]
        if any(bool((head < 0).any()) for head in self._heads):
            raise RunError("a linear head has negative weights, which no distance has", help="give lpips' own heads")

    def features(self, pictures: Tensor) -> list[Tensor]:
        """The five features of pictures, each of length one at every place.

        Args:
            pictures: float [N, 3, H, W] in [-1, 1], at least 32x32.

        Returns:
            five tensors [N, C, h, w].
        """
        with torch.inference_mode():
            x = pictures.to(self._device, self._dtype)
            shift, scale = (x.new_tensor(values)[:, None, None] for values in (SHIFT, SCALE))
            x = (x - shift) / scale
            found: list[Tensor] = []
            for layer, (weight, bias) in zip(self._layers, self._convolutions, strict=True):
                if layer.pooled:
                    x = functional.max_pool2d(x, layer.pooled, 2)
                x = functional.relu(functional.conv2d(x, weight, bias, layer.stride, layer.padding))
                if layer.tap:
                    found.append(x / (x.square().sum(dim=1, keepdim=True).sqrt() + EPSILON))
            return found

    def distances(self, first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
        """Distances [N] of pictures whose `features` these are, row by row; one row of `first` goes with all others."""
        with torch.inference_mode():
            total = torch.zeros(len(second[0]), dtype=self._dtype, device=self._device)
            for one, other, head in zip(first, second, self._heads, strict=True):
                total = total + ((one - other).square() * head).sum(dim=1).mean(dim=(1, 2))
            return total.cpu()

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """Distances [N] of pictures [N, 3, H, W] in [-1, 1], row by row."""
        return self.distances(self.features(first), self.features(second))

    def _take(self, weights: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
        if name not in weights:
            raise RunError(
                f"LPIPS over {self.trunk} needs `{name}`, which the weights do not hold",
                help="give torchvision's trunk and lpips' linear heads of one network (alex or vgg)",
            )
        found = weights[name]
        if tuple(found.shape) != shape:
            sizes = ("x".join(map(str, sides)) for sides in (tuple(found.shape), shape))
            raise RunError(
                "`{}` is {}, where {} is expected".format(name, *sizes), help="give the weights of one network"
            )
        if not bool(found.isfinite().all()):
            raise RunError(f"`{name}` holds numbers that are not finite", help="take another file")
        return found.to(self._device, self._dtype)


def trunk_of(weights: Mapping[str, Tensor]) -> Trunk:
    """Which network weights are of, by the first convolution. Raises RunError where they are of neither."""
    first = weights.get("features.0.weight")
    for name, layers in TRUNKS.items():
        side = layers[0].kernel
        if first is not None and tuple(first.shape) == (layers[0].channels, 3, side, side):
            return name
    raise RunError(
        "the weights have no first convolution of AlexNet or VGG-16 (`features.0.weight`)",
        help="give torchvision's alexnet or vgg16",
    )


def _plain(name: str) -> str:
    """A name as torchvision has it: `net.slice2.3.weight` of the package's own state dict is `features.3.weight`."""
    parts = name.split(".")
    if parts[0] == "net" and len(parts) == 4 and parts[1].startswith("slice"):
        return f"features.{parts[2]}.{parts[3]}"
    if parts[0] == "lins" and len(parts) == 5:  # the same heads, once more in a list
        return f"lin{parts[1]}.{'.'.join(parts[2:])}"
    return name
