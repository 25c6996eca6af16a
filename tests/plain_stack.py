"""The paper's formulas written plainly, to hold compiled modules against.

One window after another, one attention in plain products, nothing fused, nothing shared.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from legoc_runtime.contract.schedule import chain_levels
from legoc_runtime.contract.stack import BrickShape, EdmConstants, StackShape
from legoc_runtime.layers.tables import coordinate_channels, position_table, time_frequencies

Model = Callable[[Tensor, Tensor], Tensor]


def plain_estimate(
    shape: StackShape,
    weights: dict[str, Tensor],
    x: Tensor,
    sigma: Tensor,
    label: Tensor | None,
    runs: tuple[str, ...],
    model: Model | None = None,
) -> Tensor:
    """The estimate of the last of the bricks that run, then its variance where it learns one.

    `model` is what stands for a pretrained brick: the estimate of one image [C, H, W] at a noise level.
    """
    results: list[Tensor] = []
    for i in range(x.shape[0]):
        skip, out, scale, time = _scales(shape, sigma[i])
        condition = _condition(shape, weights, shape.time_scale * time, None if label is None else int(label[i]))
        below: Tensor | None = None
        estimate: Tensor | None = None
        result = x[i]
        for id in shape.ids:
            if id not in runs:
                continue
            if given := shape.runs_pretrained((id,)):
                assert model is not None
                estimate = result = model(*_given(given.noise_scale, x[i], sigma[i], estimate))
                below = (estimate - skip * x[i]) / out if shape.carry == "raw" else handed_on(shape, estimate, scale)
                continue
            brick = shape.brick(id)
            raw = _brick(shape, weights, brick, scale * x[i], below, condition)
            estimate = skip * x[i] + out * raw[: shape.channels]
            below = raw[: shape.channels] if shape.carry == "raw" else handed_on(shape, estimate, scale)
            result = torch.cat([estimate, raw[shape.channels :]])
        results.append(result)
    return torch.stack(results)


def _scales(shape: StackShape, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """c_skip, c_out, c_in and the time that the network is told."""
    if isinstance(shape.diffusion, EdmConstants):
        sd = shape.diffusion.sigma_data
        variance = sigma**2 + sd**2
        return sd**2 / variance, sigma * sd / variance.sqrt(), 1 / variance.sqrt(), sigma.log() / 4
    signal = [1 / (1 + level**2) for level in chain_levels(shape.diffusion)]
    low = max(t for t in range(len(signal) - 1) if signal[t] >= 1 / (1 + sigma**2))
    between = [((1 - abar) / abar) ** 0.5 for abar in signal[low : low + 2]]
    time = low + (sigma - between[0]) / (between[1] - between[0])
    return torch.ones(()), -sigma, 1 / (1 + sigma**2).sqrt(), time


def _given(share: float | None, x: Tensor, sigma: Tensor, estimate: Tensor | None) -> tuple[Tensor, Tensor]:
    """What a pretrained model is given: the noisy image, or one with a share of its noise around the estimate below."""
    if estimate is None:
        return x, sigma
    assert share is not None
    noise = (x - estimate) / sigma
    return estimate + share * sigma * noise, share * sigma


def handed_on(shape: StackShape, estimate: Tensor, scale: Tensor) -> Tensor:
    """An estimate as the next brick reads it: DDPM's drawn to 0 by abar."""
    return estimate if isinstance(shape.diffusion, EdmConstants) else scale**2 * estimate


def _linear(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _condition(shape: StackShape, weights: dict[str, Tensor], time: Tensor, label: int | None) -> Tensor:
    angles = time * time_frequencies().to(time.dtype)
    hidden = _linear(weights, "conditioning.time.fc1", torch.cat([angles.cos(), angles.sin()]))
    embedding = _linear(weights, "conditioning.time.fc2", hidden * torch.sigmoid(hidden))
    if label is not None:
        embedding = embedding + _label(shape, weights, label)
    return embedding * torch.sigmoid(embedding)


def _label(shape: StackShape, weights: dict[str, Tensor], label: int) -> Tensor:
    table = weights["conditioning.label.weight"]
    if shape.label_form == "table":
        return table[label]
    one_hot = torch.tensor([float(label == i) for i in range(table.shape[0])], dtype=table.dtype)
    return one_hot @ table + weights["conditioning.label.bias"]


def _brick(
    shape: StackShape,
    weights: dict[str, Tensor],
    brick: BrickShape,
    x: Tensor,
    below: Tensor | None,
    condition: Tensor,
) -> Tensor:
    parts = [x, coordinate_channels(shape.grid, shape.coordinates).to(x.dtype)]
    if brick.takes_estimate:
        parts.insert(0, torch.zeros_like(x) if below is None else below)
    image = torch.cat(parts).roll((-brick.offset[0], -brick.offset[1]), dims=(1, 2))
    (height, width), p = brick.window, brick.receptive_field
    result = torch.zeros(brick.out_channels, *shape.grid, dtype=x.dtype)
    for top in range(0, shape.grid[0], height):
        for left in range(0, shape.grid[1], width):
            window = image[:, top : top + height, left : left + width]
            result[:, top : top + height, left : left + width] = _window(weights, brick, window, condition, p)
    return result.roll(brick.offset, dims=(1, 2))


def _window(weights: dict[str, Tensor], brick: BrickShape, window: Tensor, condition: Tensor, p: int) -> Tensor:
    rows, columns = brick.tokens_down_and_across
    tokens = torch.stack(
        [window[:, r * p : (r + 1) * p, c * p : (c + 1) * p].reshape(-1) for r in range(rows) for c in range(columns)]
    )
    name = f"bricks.{brick.id}"
    tokens = _linear(weights, f"{name}.embed", tokens) + position_table(rows, columns, brick.width).to(tokens.dtype)
    for i in range(brick.depth):
        block = f"{name}.blocks.{i}"
        shift1, scale1, gate1, shift2, scale2, gate2 = _linear(weights, f"{block}.adaln", condition).chunk(6)
        tokens = tokens + gate1 * _attention(weights, block, brick.heads, _norm(tokens) * (1 + scale1) + shift1)
        hidden = _linear(weights, f"{block}.mlp.fc1", _norm(tokens) * (1 + scale2) + shift2)
        gelu = 0.5 * hidden * (1 + torch.tanh(math.sqrt(2 / math.pi) * (hidden + 0.044715 * hidden**3)))
        tokens = tokens + gate2 * _linear(weights, f"{block}.mlp.fc2", gelu)
    shift, scale = _linear(weights, f"{name}.final.adaln", condition).chunk(2)
    pixels = _linear(weights, f"{name}.final.linear", _norm(tokens) * (1 + scale) + shift)
    result = torch.zeros(brick.out_channels, *brick.window, dtype=tokens.dtype)
    for i, token in enumerate(pixels):
        r, c = divmod(i, columns)
        result[:, r * p : (r + 1) * p, c * p : (c + 1) * p] = token.reshape(p, p, brick.out_channels).permute(2, 0, 1)
    return result


def _norm(tokens: Tensor) -> Tensor:
    centred = tokens - tokens.mean(-1, keepdim=True)
    return centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()


def _attention(weights: dict[str, Tensor], block: str, heads: int, tokens: Tensor) -> Tensor:
    length, width = tokens.shape
    qkv = _linear(weights, f"{block}.attn.qkv", tokens).reshape(length, 3, heads, width // heads)
    mixed: list[Tensor] = []
    for head in range(heads):
        q, k, v = qkv[:, 0, head], qkv[:, 1, head], qkv[:, 2, head]
        mixed.append(torch.softmax(q @ k.T / math.sqrt(width // heads), dim=-1) @ v)
    return _linear(weights, f"{block}.attn.proj", torch.cat(mixed, dim=-1))
