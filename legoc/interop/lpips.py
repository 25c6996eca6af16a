"""The weights of LPIPS from files as torchvision and the package `lpips` publish them. Pickles are never run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from legoc_runtime.errors import UsageError
from legoc_runtime.foreign.stored import stored_in

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from legoc_runtime.evaluation.lpips import Lpips

_NAMES = re.compile(r"features\.\d+\.(weight|bias)|net\.slice\d\.\d+\.(weight|bias)|lin\d\.model\.1\.weight")


def read_lpips(paths: Sequence[Path], device: torch.device) -> Lpips:
    """The distance over the weights in these files, in any order: the trunk's and the linear heads'.

    Raises:
        UsageError: a file is not there, is none of weights, or holds none of these.
        RunError: it is damaged, or a pickle with what no file of weights has; weights are missing.
    """
    from legoc_runtime.data.latents import file_digest
    from legoc_runtime.evaluation.lpips import Lpips

    tensors: dict[str, Tensor] = {}
    for path in paths:
        own = {name: held for name, held in stored_in(path).items() if _NAMES.fullmatch(name)}
        if not own:
            raise UsageError(
                f"{path} holds no weights of LPIPS",
                help="give torchvision's alexnet or vgg16, and the linear heads of the package lpips for it",
            )
        if twice := [name for name in own if name in tensors]:
            raise UsageError(f"{path} holds `{twice[0]}`, which another file holds too", help="give each once")
        tensors |= {name: held.read() for name, held in own.items()}
    return Lpips(tensors, file_digest(paths), device)
