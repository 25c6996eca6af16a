"""Leaf modules: each owns the weights of one operation and is called by every module that the store lends it to.

Weights are allocated, not initialised: the store initialises or loads them.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear, silu

from legoc_runtime.contract.attention_rule import AttentionForm
from legoc_runtime.contract.gelu_rule import GeluForm
from legoc_runtime.contract.schedule import chain_levels
from legoc_runtime.contract.stack import BrickShape, DdpmConstants, StackShape
from legoc_runtime.layers.activation import linear_gelu
from legoc_runtime.layers.attention import attend_windows
from legoc_runtime.layers.bias import bias_after
from legoc_runtime.layers.scaling import ddpm_scales
from legoc_runtime.layers.tables import coordinate_channels, position_table, time_frequencies

LAYER_NORM_EPS = 1e-6


class Linear(nn.Linear):
    """A linear layer whose weights are left as allocated."""

    def reset_parameters(self) -> None:
        """Leave initialisation to the store."""


class Sinusoid(nn.Module):
    """[cos, sin] of time [N] at 128 frequencies: [N, 256] (DiT, released LEGO)."""

    def forward(self, time: Tensor) -> Tensor:
        """Time [N] to [N, 256]."""
        angles = time[:, None] * time_frequencies().to(time)[None, :]
        return torch.cat([angles.cos(), angles.sin()], dim=1)


class TimeEmbedding(nn.Module):
    """Sinusoid, linear, SiLU, linear."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sinusoid = Sinusoid()
        self.fc1 = Linear(256, width)
        self.fc2 = Linear(width, width)

    def forward(self, time: Tensor) -> Tensor:
        """Time [N] to [N, width]."""
        return self.fc2(silu(self.fc1(self.sinusoid(time).to(self.fc1.weight.dtype))))


class LabelTable(nn.Module):
    """One row a class and a last one for the null label (DiT)."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes + 1, width))

    def forward(self, label: Tensor) -> Tensor:
        """Label [N] to [N, width]."""
        return self.weight[label]


class LabelLinear(nn.Module):
    """A linear layer on the one-hot label, as a look-up: row + bias; the null label is the bias (released LEGO)."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, width))
        self.bias = nn.Parameter(torch.empty(width))

    def forward(self, label: Tensor) -> Tensor:
        """Label [N] to [N, width]."""
        null = label == self.weight.shape[0]
        rows = self.weight[label.masked_fill(null, 0)]
        return rows.masked_fill(null[:, None], 0.0) + self.bias


class Conditioning(nn.Module):
    """SiLU(time embedding + label embedding); one row an image."""

    def __init__(self, stack: StackShape) -> None:
        super().__init__()
        self.time = TimeEmbedding(stack.condition_width)
        self.label: LabelTable | LabelLinear | None = None
        if stack.classes is not None:
            form = LabelTable if stack.label_form == "table" else LabelLinear
            self.label = form(stack.classes, stack.condition_width)

    def forward(self, time: Tensor, label: Tensor | None = None, time_scale: float = 1.0) -> Tensor:
        """Time [N], times `time_scale`, and label [N] to [N, condition_width]."""
        embedding = self.time(time * time_scale if time_scale != 1 else time)
        if self.label is not None:
            if label is None:
                raise ValueError("a conditional stack needs labels")
            embedding = embedding + self.label(label)
        return silu(embedding)


class Coordinates(nn.Module):
    """The coordinate channels of the grid, [2, H, W], or [0, H, W] when the stack reads none."""

    table: Tensor

    def __init__(self, stack: StackShape) -> None:
        super().__init__()
        table = coordinate_channels(stack.grid, stack.coordinates)
        self.register_buffer("table", table.to(torch.get_default_dtype()), persistent=False)

    def forward(self) -> Tensor:
        """The table."""
        return self.table


class Chain(nn.Module):
    """DDPM's chain: the noise level of every timestep, float32 at least; owns no weight."""

    levels: Tensor

    def __init__(self, ddpm: DdpmConstants) -> None:
        super().__init__()
        dtype = torch.promote_types(torch.get_default_dtype(), torch.float32)
        self.register_buffer("levels", torch.tensor(chain_levels(ddpm), dtype=dtype), persistent=False)

    def forward(self, sigma: Tensor) -> tuple[Tensor, ...]:
        """The scales of noise levels [N]: see `scaling.ddpm_scales`."""
        return ddpm_scales(sigma, self.levels.to(sigma.dtype))


class Modulate(Linear):
    """Conditioning [N, C] to shifts, scales and gates [N, k*D]."""


class Embed(nn.Module):
    """Tokens [N, W, L, F] to [N, W, L, D], with positions added."""

    position: Tensor

    def __init__(self, brick: BrickShape) -> None:
        super().__init__()
        self.pixels = brick.receptive_field**2
        self.weight = nn.Parameter(torch.empty(brick.width, brick.in_features))
        self.bias = nn.Parameter(torch.empty(brick.width))
        table = position_table(*brick.tokens_down_and_across, brick.width)
        self.register_buffer("position", table.to(self.weight.dtype), persistent=False)

    def forward(
        self,
        tokens: Tensor,
        channels: tuple[int, int] | None = None,
        *,
        coordinates: Tensor | None = None,
        constant: Tensor | None = None,
    ) -> Tensor:
        """Tokens [N, W, L, F] to [N, W, L, D].

        Args:
            tokens: numbers of the brick's input channels, or of those that `channels` names.
            channels: first input channel that the tokens hold, and how many they hold; others count as zeros.
            coordinates: as for `constant`, which is made of them here and added instead of bias and positions.
            constant: what `constant` gave before, added instead of bias and positions.
        """
        weight = self.weight if channels is None else self._columns(*channels)
        if coordinates is not None:
            constant = self.constant(coordinates)
        # in place: a second tensor of this size is the dearest part on a CPU, and no backward pass reads the product
        if constant is not None:
            return linear(tokens, weight).add_(constant)
        return linear(tokens, weight, self.bias).add_(self.position)

    def constant(self, coordinates: Tensor) -> Tensor:
        """What no image changes: the columns of the coordinates times them, bias and positions.

        Args:
            coordinates: as tokens [W, L, 2*p*p], or [1, L, 0] for a stack that reads none.

        Returns:
            [W, L, D], summed in float32 or wider.
        """
        wide = torch.promote_types(self.weight.dtype, torch.float32)
        columns = self.weight[:, self.weight.shape[1] - coordinates.shape[2] :]
        device = self.weight.device.type
        # the meta device, where programs are counted, has no autocast to switch off
        with torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext():
            product = linear(coordinates.to(wide), columns.to(wide), self.bias.to(wide))
        return (product + self.position.to(wide)).to(self.weight.dtype)

    def _columns(self, first: int, count: int) -> Tensor:
        return self.weight[:, first * self.pixels : (first + count) * self.pixels]


def modulated(tokens: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """LN(tokens) * (1 + scale) + shift; LN has no weights (DiT, section 3.2)."""
    return layer_norm(tokens, tokens.shape[-1:], eps=LAYER_NORM_EPS) * (1 + scale) + shift


def rows(modulation: Tensor, count: int) -> tuple[Tensor, ...]:
    """One row an image [N, count*D] as `count` tensors [N, 1, 1, D] that broadcast over windows and tokens."""
    return modulation[:, None, None, :].chunk(count, dim=-1)


class Attend(nn.Module):
    """The attention half of a block. Reads the first three of its six modulation vectors: shift, scale, gate."""

    def __init__(self, brick: BrickShape) -> None:
        super().__init__()
        self.heads = brick.heads
        self.tokens = brick.tokens
        self.qkv = Linear(brick.width, 3 * brick.width)
        self.proj = Linear(brick.width, brick.width)

    def forward(self, tokens: Tensor, modulation: Tensor, form: AttentionForm = "sdpa") -> Tensor:
        """Tokens [N, W, L, D], modulation [N, 6*D] to [N, W, L, D]."""
        shift, scale, gate, *_ = rows(modulation, 6)
        normed = modulated(tokens, shift, scale)
        qkv = bias_after(self.qkv, normed) if form == "products" else self.qkv(normed)
        return tokens + gate * bias_after(self.proj, attend_windows(qkv, self.heads, form))


class Mlp(nn.Module):
    """The MLP half of a block. Reads the last three of its six modulation vectors: shift, scale, gate."""

    def __init__(self, brick: BrickShape) -> None:
        super().__init__()
        self.fc1 = Linear(brick.width, brick.mlp_width)
        self.fc2 = Linear(brick.mlp_width, brick.width)

    def forward(self, tokens: Tensor, modulation: Tensor, gelu: GeluForm = "call") -> Tensor:
        """Tokens [N, W, L, D], modulation [N, 6*D] to [N, W, L, D]."""
        *_, shift, scale, gate = rows(modulation, 6)
        hidden = linear_gelu(self.fc1, modulated(tokens, shift, scale), gelu)
        return tokens + gate * bias_after(self.fc2, hidden)


class Decode(Linear):
    """Tokens to the pixels of each token."""

    def forward(self, tokens: Tensor, modulation: Tensor) -> Tensor:  # type: ignore[override]
        """Tokens [N, W, L, D], modulation [N, 2*D] to [N, W, L, p*p*C]."""
        shift, scale = rows(modulation, 2)
        return super().forward(modulated(tokens, shift, scale))
