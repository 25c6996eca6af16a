"""Extractors by the names that a command takes."""

from __future__ import annotations

from pathlib import Path

import torch

from legoc_runtime.errors import UsageError
from legoc_runtime.evaluation.extractor import INCEPTION, Extractor
from legoc_runtime.evaluation.inception import load_inception
from legoc_runtime.evaluation.small_network import load_small_extractor

EMOJI = "emoji"


def open_extractor(name: str, device: torch.device, inception_weights: Path | None = None) -> Extractor:
    """The extractor called `inception` or `emoji`, or the one in a folder.

    Raises:
        UsageError: there is none of that name, or what it needs is not there.
        RunError: its files cannot be read.
    """
    if inception_weights is not None and name != INCEPTION:
        raise UsageError(f"--inception-weights are of no use to --features {name}", help="leave one of them out")
    match name:
        case "inception":
            return load_inception(inception_weights, device)
        case "emoji":
            return load_small_extractor(Path(__file__).parent / EMOJI, device)
        case _ if Path(name).is_dir():
            return load_small_extractor(Path(name), device)
        case _:
            raise UsageError(
                f"there are no features `{name}`", help=f"choose {INCEPTION}, {EMOJI}, or the folder of an extractor"
            )
