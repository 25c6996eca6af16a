"""Weights of other code made a run: held against a spec, read, written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from legoc.build_directory import write_build
from legoc.diagnostics import SpecError
from legoc.driver import compile_spec
from legoc.interop.foreign import Foreign
from legoc.interop.told import spec_text
from legoc.spec import StackSpec, check_text, load_spec
from legoc_runtime.checkpoint import Header, write_checkpoint
from legoc_runtime.checkpoint.layout import WEIGHTS
from legoc_runtime.checkpoint.tensorfile import metadata, sha256
from legoc_runtime.contract.manifest import SPEC_NAME
from legoc_runtime.contract.stack import DdpmConstants, EdmConstants, StackShape
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.foreign.names import TITLES
from legoc_runtime.foreign.origins import check_fits, read_weights
from legoc_runtime.training.resume import stack_record


@dataclass(frozen=True)
class Import:
    """What is to be imported.

    Attributes:
        foreign: the weights.
        spec: the spec that they are of.
    """

    foreign: Foreign
    spec: StackSpec

    @property
    def origin(self) -> dict[str, object]:
        """Where the weights come from, for headers and states; JSON-ready. Reads the files whole, for checksums."""
        return {
            "path": str(self.foreign.path),
            "files": {file.name: sha256(file) for file in self.foreign.files},
            "container": self.foreign.container,
            "names": self.foreign.kind,
            "part": self.foreign.part,
        }


def plan_import(
    foreign: Foreign, spec: Path | None, *, heads: int | None = None, overrides: Sequence[str] = ()
) -> Import:
    """The spec of foreign weights, and whether they are of it. Of the tensors only shapes are read.

    Args:
        foreign: the weights.
        spec: a spec; None takes the one that comes with them, or reads one off their shapes.
        heads: attention heads, where shapes are read.
        overrides: as of `--set`.

    Raises:
        UsageError: the heads are not told, or the spec says what such weights are not.
        SpecError: the spec does not check.
        RunError: the tensors are not those of the spec; names what differs.
    """
    resolved = load_spec(spec, overrides) if spec is not None else _own_spec(foreign, heads, overrides)
    check_conventions(foreign, resolved.shape)
    try:
        check_fits(resolved.shape, foreign.kind, foreign.tensors)
    except RunError as error:
        raise RunError(f"{foreign.path}: {error.message}", help=error.help) from error
    return Import(foreign, resolved)


def _own_spec(foreign: Foreign, heads: int | None, overrides: Sequence[str]) -> StackSpec:
    if foreign.kind == "legoc":
        text, name = metadata(foreign.files[0]).get("legoc.spec"), str(foreign.path / SPEC_NAME)
        if text is None:
            raise UsageError(f"{foreign.path} has no spec in its header", help="give one with --spec")
    else:
        text, name = spec_text(foreign, heads), f"<spec of {foreign.path.name}>"
    checked = check_text(text, name, overrides)
    if checked.spec is None:
        raise SpecError(checked.diagnostics)
    return checked.spec


def check_conventions(foreign: Foreign, shape: StackShape) -> None:
    """Whether a spec says what weights of this kind mean, where shapes do not tell.

    Raises:
        UsageError: names the key, and what to write.
    """
    labels = shape.label_form
    match foreign.kind:
        case "legoc":
            return
        case "lego":
            wrong = [
                ("diffusion: edm", isinstance(shape.diffusion, EdmConstants)),
                ("carry: raw", shape.carry == "raw"),
                ("compat: {coordinates: row_column}", shape.coordinates == "row_column"),
                ("compat: {label_embedding: linear}", shape.classes is None or labels == "linear"),
                ("no `offset`", all(brick.offset == (0, 0) for brick in shape.bricks)),
                ("compat: {time_scale: 1}", shape.time_scale == 1),
            ]
        case "dit" | "diffusers_dit":
            brick = shape.bricks[0]
            wrong = [
                ("diffusion: ddpm", isinstance(shape.diffusion, DdpmConstants)),
                ("one brick with `size: image`", len(shape.bricks) == 1 and brick.covers_grid),
                ("compat: {coordinates: none}", shape.coordinates == "none"),
                ("conditioning.classes", shape.classes is not None),
                ("compat: {label_embedding: table}", labels == "table"),
                ("compat: {time_scale: 1}", shape.time_scale == 1),
            ]
        case _:
            assert_never(foreign.kind)
    missing = [key for key, holds in wrong if not holds]
    if missing:
        raise UsageError(
            f"weights of {TITLES[foreign.kind]} need another spec than this: {', '.join(missing)}",
            help="start from specs/released or specs/dit_*, or leave out --spec",
        )


def write_import(planned: Import, out: Path) -> None:
    """Read the tensors and write them as a run with one checkpoint.

    Args:
        planned: what `plan_import` found possible.
        out: the run; nothing may be there.

    Raises:
        UsageError: `out` is taken.
        RunError: the tensors are damaged or not finite, or the disk does not take them; nothing is left then.
    """
    if os.path.lexists(out):
        raise UsageError(f"{out} is there already", help="choose another -o; an import never writes over anything")
    manifest, text = compile_spec(planned.spec)
    weights = read_weights(planned.spec.shape, planned.foreign.kind, planned.foreign.tensors)
    origin = planned.origin
    header = Header(text, manifest.spec_hash, 0, imported_from=json.dumps(origin, sort_keys=True))
    state = {"step": 0, "final": True, **stack_record(manifest, manifest.train), "data": None, "imported_from": origin}
    draft = out.with_name(f".writing-{os.getpid()}-{out.name}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_checkpoint(draft, header, {WEIGHTS: weights}, state)
        write_build(manifest, text, draft)
        draft.rename(out)
    except (OSError, RunError) as error:
        message = error.message if isinstance(error, RunError) else str(error.strerror)
        raise RunError(f"{out} cannot be written: {message}", help="make room, or choose another -o") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
