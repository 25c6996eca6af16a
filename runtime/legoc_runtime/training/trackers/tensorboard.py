"""TensorBoard: files of events in `RUN/tensorboard`, through PyTorch's own writer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from legoc_runtime.training.trackers.tracker import Followed

FOLDER = "tensorboard"


class TensorBoard:
    """A tracker (`tracker.Tracker`): scalars and images over the images trained on."""

    def __init__(self, followed: Followed) -> None:
        writer: Any = import_module("torch.utils.tensorboard").SummaryWriter
        # what a session wrote after its last checkpoint is hidden: it is written again
        purge = followed.images + 1 if followed.images else None
        self._writer = writer(str(followed.run / FOLDER), purge_step=purge)
        if not followed.images:
            self._writer.add_text("config", f"```json\n{json.dumps(dict(followed.config), indent=1)}\n```", 0)

    def log(self, values: Mapping[str, float], images: int) -> None:
        """Scalars."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, images)
        self._writer.flush()

    def picture(self, name: str, path: Path, images: int) -> None:
        """An image."""
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        self._writer.add_image(name, pixels, images, dataformats="HWC")
        self._writer.flush()

    def finish(self) -> None:
        """Close the file."""
        self._writer.close()
