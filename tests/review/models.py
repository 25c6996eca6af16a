"""Models that stacks of the gallery stand on, in a folder of this process; `made` writes them when first asked."""

from __future__ import annotations

import atexit
import os
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from shutil import rmtree

_ROOT = Path(tempfile.gettempdir()) / f"legoc-gallery-models-{os.getpid()}"

FIRST, SECOND, HEADS, DEEP = (_ROOT / name for name in ("first", "second", "heads", "deep"))
"""Runs of legoc: two of one stack, one of a stack of the same tensors, one of a stack of other tensors."""

OWN, OTHER = (_ROOT / name for name in ("own", "other"))
"""Folders of a user's own model, of weights of other shapes; `gallery_clean` and so on open them."""

DIT = _ROOT / "dit.safetensors"
"""A DiT's weights, of 4 heads or of 2."""

_DIT = """\
legoc: 1
name: dit
grid: {height: 16, width: 16, channels: 4}
conditioning: {classes: 4}
diffusion: ddpm
compat: {coordinates: none}
bricks: [{id: dit, size: image, receptive_field: 4, depth: 1, width: 32, heads: 4}]
"""

_STACK = """\
legoc: 1
name: below
grid: {height: 16, width: 16, channels: 4}
conditioning: {classes: null}
bricks:
  - {id: low, size: 4, depth: 1, width: 16, heads: 2}
  - {id: top, size: image, receptive_field: 4, depth: 1, width: 16, heads: 2}
"""


@cache
def made() -> None:
    """Write the models, and take them away when the process ends."""
    # torch, which those who read texts alone need not wait for
    import torch
    from safetensors.torch import save_file

    from tests.pretrained.own_model import installed

    site = ExitStack()
    atexit.register(rmtree, _ROOT, ignore_errors=True)
    atexit.register(site.close)
    _ROOT.mkdir(mode=0o700)
    for seed, (run, text) in enumerate(
        (
            (FIRST, _STACK),
            (SECOND, _STACK),
            (HEADS, _STACK.replace("heads: 2", "heads: 1")),
            (DEEP, _STACK.replace("depth: 1", "depth: 2", 1)),
        )
    ):
        _write(run, text, seed)
    _write_dit()
    for folder, factor in ((OWN, torch.tensor(0.5)), (OTHER, torch.full((4, 1, 1), 0.25))):
        folder.mkdir()
        save_file({"factor": factor}, folder / "model.safetensors")
    site.enter_context(installed(_ROOT / "site", "gallery"))


def _write(run: Path, text: str, seed: int) -> None:
    from legoc.driver import compile_spec
    from legoc.spec import check_text
    from legoc_runtime.contract.manifest import MANIFEST_NAME
    from tests.migrate.made import write_trained

    spec = check_text(text, "below.yaml").spec
    assert spec is not None
    write_trained(run, text, ema=(), seed=seed)
    (run / MANIFEST_NAME).write_text(compile_spec(spec)[0].to_json(), encoding="utf-8")


def _write_dit() -> None:
    from legoc.spec import check_text
    from tests.pretrained.dit_files import by_dits_names, save_dit
    from tests.stacks import random_store

    spec = check_text(_DIT, "dit.yaml").spec
    assert spec is not None
    store = random_store(spec.shape, seed=3)
    save_dit(DIT, by_dits_names(spec.shape, {key: weight.detach() for key, weight in store.weights.items()}))
