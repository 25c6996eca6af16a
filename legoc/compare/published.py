"""What was published about stacks of LEGO bricks, as far as it was at hand; this project measured none of it."""

from __future__ import annotations

from dataclasses import dataclass

PAPER = "paper (arXiv 2310.06389)"
README = "README of the released code (JegZheng/LEGODiffusion)"


@dataclass(frozen=True, slots=True)
class Published:
    """A row of a table.

    Attributes:
        table: which table of the paper treats the experiment.
        data: what was trained on.
        model: its name there.
        parameters: as it was said there.
        gflops: of a forward pass, as it was said there; docs/paper.md says how that fits a count.
        fid: FID of 50,000 samples.
        source: who says so.
    """

    table: int
    data: str
    model: str
    parameters: str | None
    gflops: float | None
    fid: float | None
    source: str


ROWS = (
    Published(1, "CelebA 64x64", "DiT-S/2", None, 0.4, None, PAPER),
    Published(1, "CelebA 64x64", "LEGO-S", "35M", None, None, PAPER),
    Published(2, "ImageNet 64x64", "DiT-L/2", None, 161.4, None, PAPER),
    Published(2, "ImageNet 64x64", "LEGO-L", "464M", 68.8, None, PAPER),
    Published(2, "ImageNet 64x64", "LEGO-L-PG", "0.4B", None, 2.16, README),
    Published(2, "ImageNet 64x64", "LEGO-L-PR", "0.4B", None, 2.29, README),
    Published(3, "ImageNet 256x256", "LEGO-XL-PG", "681M", None, 2.05, PAPER),
    Published(3, "ImageNet 256x256", "LEGO-XL-U", "1.2B", None, 2.59, README),
)
"""Tables 1 to 3; what was not at hand is None. docs/paper.md says where they disagree with a count."""
