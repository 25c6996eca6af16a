"""The peer `plain`: the stack as people write it by hand, run operation by operation.

A batched torch module from the paper's formulas: windows by reshape and permute, one row of conditioning a window, the
coordinates made in every forward, one fused attention call over all windows, every brick that runs in order. Nothing
is hoisted, folded or compiled. It shares the store's weights, so that its estimates are the compiled stack's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear, scaled_dot_product_attention, silu

from legoc_runtime.contract.policy import Configuration
from legoc_runtime.contract.schedule import chain_levels
from legoc_runtime.contract.stack import TIME_FREQUENCIES, BrickShape, DdpmConstants, EdmConstants, StackShape
from legoc_runtime.errors import UsageError
from legoc_runtime.layers.tables import MAX_PERIOD, position_table

LAYER_NORM_EPS = 1e-6


class PlainStack:
    """The stack of a shape over weights that belong to somebody else.

    Args:
        shape: the stack.
        weights: weight key -> tensor, as `WeightStore.weights`.
    """

    def __init__(self, shape: StackShape, weights: Mapping[str, Tensor]) -> None:
        self.check(shape)
        self.shape = shape
        self.weights = weights
        some = next(iter(weights.values()))
        self._dtype = some.dtype
        self._exact = torch.float64 if some.dtype == torch.float64 else torch.float32
        self._positions = {
            brick.id: position_table(*brick.tokens_down_and_across, brick.width).to(some) for brick in shape.bricks
        }

    @staticmethod
    def check(shape: StackShape) -> None:
        """Refuse a stack that nobody wrote by hand.

        Raises:
            UsageError: a brick is a pretrained model.
        """
        if shape.pretrained is not None:
            raise UsageError(
                f"brick `{shape.pretrained.id}` is a pretrained model, which the peer `plain` does not run",
                help="leave `--peer plain` out",
            )

    def __call__(
        self, x: Tensor, sigma: Tensor, labels: Tensor | None = None, *, configuration: Configuration | None = None
    ) -> Tensor:
        """The estimate of the clean image [N, C, H, W] at x [N, C, H, W], sigma [N], labels [N]; None runs all bricks.

        Without labels a stack with classes takes the null label, as `BrickStack` does; with a learned variance its
        channels come last, as there.
        """
        x, sigma = x.to(self._exact), sigma.to(self._exact)
        c_skip, c_out, c_in, c_noise = self._scales(sigma)
        condition = self._condition(c_noise, labels)
        below: Tensor | None = None
        result = x
        for brick in self.shape.bricks:
            if configuration is None or brick.id in configuration:
                raw = self._brick(brick, c_in * x, below, condition)
                network, variance = raw[:, : brick.channels], raw[:, brick.channels :]
                estimate = c_skip * x + c_out * network
                below = network if self.shape.carry == "raw" else self._handed_on(estimate, c_in)
                result = torch.cat([estimate, variance], dim=1)
        return result

    def _scales(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """c_skip, c_out and c_in [N, 1, 1, 1], c_noise [N]: EDM's Table 1, or DDPM's noise prediction."""
        level = sigma[:, None, None, None]
        match self.shape.diffusion:
            case EdmConstants(sigma_data=sd):
                variance = level**2 + sd**2
                return sd**2 / variance, level * sd / variance.sqrt(), 1 / variance.sqrt(), sigma.log() / 4
            case DdpmConstants() as ddpm:
                levels = torch.tensor(chain_levels(ddpm), dtype=sigma.dtype, device=sigma.device)
                low = (torch.searchsorted(levels, sigma, right=True) - 1).clamp(0, ddpm.steps - 2)
                between = (sigma - levels[low]) / (levels[low + 1] - levels[low])
                return torch.ones_like(level), -level, 1 / (1 + level**2).sqrt(), low + between.clamp(0, 1)

    def _handed_on(self, estimate: Tensor, c_in: Tensor) -> Tensor:
        """An estimate as the next brick reads it: within bounds under DDPM too."""
        return estimate if isinstance(self.shape.diffusion, EdmConstants) else c_in**2 * estimate

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _condition(self, c_noise: Tensor, labels: Tensor | None) -> Tensor:
        """One row an image [N, C]: SiLU of the time and label embeddings' sum."""
        index = torch.arange(TIME_FREQUENCIES, dtype=torch.float32, device=c_noise.device)
        frequencies = torch.exp(-math.log(MAX_PERIOD) * index / TIME_FREQUENCIES).to(c_noise)
        angles = (self.shape.time_scale * c_noise)[:, None] * frequencies
        waves = torch.cat([angles.cos(), angles.sin()], dim=1).to(self._dtype)
        embedding = self._linear("conditioning.time.fc2", silu(self._linear("conditioning.time.fc1", waves)))
        if self.shape.classes is not None:
            null = torch.full(c_noise.shape, self.shape.classes, dtype=torch.int64, device=c_noise.device)
            embedding = embedding + self._label(null if labels is None else labels)
        return silu(embedding)

    def _label(self, labels: Tensor) -> Tensor:
        weight = self.weights["conditioning.label.weight"]
        if self.shape.label_form == "table":
            return weight[labels]
        # a linear layer on the one-hot label, whose row for the null label is zero
        hot = torch.nn.functional.one_hot(labels, weight.shape[0] + 1)[:, :-1].to(weight)
        return hot @ weight + self.weights["conditioning.label.bias"]

    def _brick(self, brick: BrickShape, x: Tensor, below: Tensor | None, condition: Tensor) -> Tensor:
        """The network output [N, C, H, W] of one brick."""
        parts = [x]
        if brick.takes_estimate:
            parts.insert(0, torch.zeros_like(x) if below is None else below)
        if brick.coordinates:
            parts.append(self._coordinates(x).expand(len(x), -1, -1, -1))
        image = torch.cat(parts, dim=1).to(self._dtype)
        tokens = self._cut(brick, image.roll((-brick.offset[0], -brick.offset[1]), dims=(2, 3)))
        tokens = self._linear(f"bricks.{brick.id}.embed", tokens) + self._positions[brick.id]
        rows = condition.repeat_interleave(brick.windows, dim=0)
        for i in range(brick.depth):
            tokens = self._block(brick, f"bricks.{brick.id}.blocks.{i}", tokens, rows)
        shift, scale = self._linear(f"bricks.{brick.id}.final.adaln", rows)[:, None].chunk(2, dim=-1)
        pixels = self._linear(f"bricks.{brick.id}.final.linear", _norm(tokens) * (1 + scale) + shift)
        return self._join(brick, pixels).roll(brick.offset, dims=(2, 3)).to(self._exact)

    def _block(self, brick: BrickShape, name: str, tokens: Tensor, rows: Tensor) -> Tensor:
        """Tokens [N*W, L, D] and conditioning [N*W, C] to [N*W, L, D]."""
        modulation = self._linear(f"{name}.adaln", rows)[:, None].chunk(6, dim=-1)
        shift1, scale1, gate1, shift2, scale2, gate2 = modulation
        qkv = self._linear(f"{name}.attn.qkv", _norm(tokens) * (1 + scale1) + shift1)
        split = qkv.reshape(*qkv.shape[:2], 3, brick.heads, brick.width // brick.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        tokens = tokens + gate1 * self._linear(f"{name}.attn.proj", mixed)
        hidden = self._linear(f"{name}.mlp.fc1", _norm(tokens) * (1 + scale2) + shift2)
        return tokens + gate2 * self._linear(f"{name}.mlp.fc2", gelu(hidden, approximate="tanh"))

    def _coordinates(self, x: Tensor) -> Tensor:
        """Pixel coordinates from -1 to 1 [2, H, W], made anew."""
        lines: list[Tensor] = []
        for side in self.shape.grid:
            line = torch.arange(side, dtype=torch.float32, device=x.device)
            lines.append((line / (side - 1) - 0.5) * 2 if side > 1 else line)
        row, column = torch.meshgrid(*lines, indexing="ij")
        both = [row, column] if self.shape.coordinates == "row_column" else [column, row]
        return torch.stack(both).to(x.dtype)

    def _cut(self, brick: BrickShape, image: Tensor) -> Tensor:
        """An image [N, C, H, W] to the tokens of its windows [N*W, L, C*p*p]."""
        (rows, columns), (down, across) = brick.windows_down_and_across, brick.tokens_down_and_across
        p = brick.receptive_field
        cut = image.reshape(len(image), -1, rows, down, p, columns, across, p).permute(0, 2, 5, 3, 6, 1, 4, 7)
        return cut.reshape(-1, down * across, brick.in_features)

    def _join(self, brick: BrickShape, pixels: Tensor) -> Tensor:
        """Decoded tokens [N*W, L, p*p*C] to an image [N, C, H, W]."""
        (rows, columns), (down, across) = brick.windows_down_and_across, brick.tokens_down_and_across
        p = brick.receptive_field
        cut = pixels.reshape(-1, rows, columns, down, across, p, p, brick.out_channels).permute(0, 7, 1, 3, 5, 2, 4, 6)
        return cut.reshape(len(cut), brick.out_channels, *brick.grid)


def _norm(tokens: Tensor) -> Tensor:
    return layer_norm(tokens, tokens.shape[-1:], eps=LAYER_NORM_EPS)
