"""The machine's own matrix-product rate, by which everything else is judged: a square product, and the stack's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from legoc.bench.rounds import Subject
from legoc_runtime.contract.policy import Configuration
from legoc_runtime.contract.stack import BrickShape, StackShape

SQUARE = 1024
"""Side of the square product."""

SQUARE_NAME = f"{SQUARE}^3"


@dataclass(frozen=True, slots=True)
class BlockProducts:
    """The four matrix products of one block: qkv, projection, and the two of the MLP.

    Attributes:
        tokens: rows of each product: tokens of all windows of the batch.
        width: features of a token.
        hidden: hidden features of the MLP.
    """

    tokens: int
    width: int
    hidden: int

    @property
    def name(self) -> str:
        """Their shapes in words."""
        return f"{self.tokens} tokens, {self.width} and {self.hidden} wide"

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all four."""
        return self.tokens * (4 * self.width**2 + 2 * self.width * self.hidden)


def block_products(brick: BrickShape, batch: int) -> BlockProducts:
    """The products of one block of a brick in a batch of `batch` rows."""
    return BlockProducts(batch * brick.windows * brick.tokens, brick.width, brick.mlp_width)


def of_configuration(shape: StackShape, configuration: Configuration, batch: int) -> dict[BlockProducts, int]:
    """The products of a configuration, each with the number of blocks that run it; none of a pretrained brick."""
    found: dict[BlockProducts, int] = {}
    for brick in shape.own(configuration):
        products = block_products(brick, batch)
        found[products] = found.get(products, 0) + brick.depth
    return found


def square_subject(device: torch.device, dtype: torch.dtype) -> Subject:
    """The square product."""
    a, b = (torch.randn(SQUARE, SQUARE, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty_like(a)
    return Subject(SQUARE_NAME, lambda: torch.mm(a, b, out=out))


def block_subject(products: BlockProducts, device: torch.device, dtype: torch.dtype) -> Subject:
    """The four products of a block alone: nothing before, between or after them, into memory that is there already."""

    def fresh(rows: int, columns: int) -> torch.Tensor:
        return torch.randn(rows, columns, device=device, dtype=dtype)

    rows, width, hidden = products.tokens, products.width, products.hidden
    tokens, wide = fresh(rows, width), fresh(rows, hidden)
    results = {columns: torch.empty(rows, columns, device=device, dtype=dtype) for columns in (3 * width, width)}
    results[hidden] = results.get(hidden, torch.empty(rows, hidden, device=device, dtype=dtype))
    weights = [fresh(columns, width) for columns in (3 * width, width, hidden)]
    last = fresh(width, hidden)
    return Subject(products.name, _products(tokens, wide, weights, last, results))


def _products(
    tokens: torch.Tensor,
    wide: torch.Tensor,
    weights: list[torch.Tensor],
    last: torch.Tensor,
    results: dict[int, torch.Tensor],
) -> Callable[[], object]:
    def run() -> None:
        for weight in weights:
            torch.mm(tokens, weight.T, out=results[weight.shape[0]])
        torch.mm(wide, last.T, out=results[last.shape[0]])

    return run
