"""`legoc train --from`: weights that a run begins with, held against its spec."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from legoc_runtime.checkpoint import WeightsFile


def beginning(flag: Path | None, asked: str | None, run: Path, spec_text: str) -> WeightsFile | None:
    """The weights that a run begins with, or None: its seed draws them, or it has begun already.

    Args:
        flag: `--from`.
        asked: `train: {start_from}` under it.
        run: the run directory. One that has checkpoints goes on: the key is then held against what it began with.
        spec_text: the resolved spec.

    Raises:
        UsageError: there are none there, or they are of another architecture.
        RunError: the file is damaged, or its spec is of a language that this version does not read.
    """
    from legoc_runtime.checkpoint import checkpoints

    if asked is None or (flag is None and checkpoints(run)):
        return None
    return weights_to_begin_with(Path(asked), spec_text)


def weights_to_begin_with(path: Path, spec_text: str) -> WeightsFile:
    """The weights at a path, which are of the architecture of a spec.

    Args:
        path: a run, a checkpoint, a .safetensors file or a folder of `legoc export`; of the first two what sampling
            takes.
        spec_text: the resolved spec of the run that begins.

    Raises:
        UsageError: there are none there, or they are of another architecture.
        RunError: the file is damaged, or its spec is of a language that this version does not read.
    """
    from legoc.hashes import hashed_values
    from legoc.spec import check_text
    from legoc_runtime.checkpoint import find_weights
    from legoc_runtime.errors import RunError, UsageError
    from legoc_runtime.interop.folder import exported_weights, read_folder

    file = read_folder(path)[1] if path.is_dir() and exported_weights(path) else find_weights(path)
    theirs, ours = check_text(file.spec_text, str(file.path)).spec, check_text(spec_text, "spec").spec
    assert ours is not None, "a build holds a spec that checks"
    if theirs is None:
        raise RunError(f"{file.path}: its spec does not check under this version", help="see `legoc inspect` on it")
    before, after = (hashed_values(spec)["architecture"] for spec in (theirs, ours))
    if before != after:
        differ = [key for key in after if before.get(key) != after[key]]
        raise UsageError(
            f"{path} is of another architecture than this spec ({', '.join(differ)})",
            help=f"`legoc diff` says how they differ; `legoc migrate {path} SPEC` carries over what fits, and --from "
            "takes what it makes",
        )
    return file
