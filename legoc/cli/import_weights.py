"""`legoc import`: make a run of weights that other code wrote."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from legoc.cli.options import Overrides, refuse_stdin
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import UsageError

if TYPE_CHECKING:
    from legoc.interop.bring import Import


class Names(StrEnum):
    """Whose weights they are."""

    LEGO = "lego"
    DIT = "dit"
    DIFFUSERS_DIT = "diffusers_dit"
    LEGOC = "legoc"


def command(
    file: Annotated[Path, Argument(metavar="FILE", help="A .pkl, .pt or .safetensors file; or a folder of diffusers.")],
    spec: Annotated[
        Path | None,
        Option(help="The spec that the weights are of. [default: read off their shapes]", show_default=False),
    ] = None,
    as_: Annotated[
        Names | None,
        Option("--as", help="Whose weights they must be. [default: what their names say]", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, Option("-o", "--out", help="The run to write. [default: runs/NAME]", show_default=False)
    ] = None,
    part: Annotated[
        str | None,
        Option(help="Part of a checkpoint, such as `ema` or `model`. [default: the average]", show_default=False),
    ] = None,
    heads: Annotated[
        int | None,
        Option(
            help="Attention heads, where no spec says them. [default: the published model's]", min=1, show_default=False
        ),
    ] = None,
    check_only: Annotated[
        bool, Option("--check-only", help="Say what the file is and whether it fits; write nothing.")
    ] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    overrides: Overrides = None,
) -> None:
    """Make a run of weights of other code: the released LEGO models, DiT, diffusers' DiT, a folder of `legoc export`.

    Pickles (.pkl, .pt) are read as data: nothing in them is run or imported, and one that names what no file of
    weights needs is refused. The run samples as one that was trained here; its path is printed on stdout.
    """
    refuse_stdin(file, "import")
    if spec is not None and heads is not None:
        raise UsageError("--spec says the heads, so --heads does nothing", help="leave one of them out")
    if check_only and out is not None:
        raise UsageError("--check-only writes nothing, so there is no -o", help="leave one of them out")
    from legoc.interop.bring import plan_import, write_import
    from legoc.interop.foreign import open_foreign
    from legoc_runtime.foreign.names import TITLES

    foreign = open_foreign(file, part)
    if as_ is not None and foreign.kind != as_.value:
        raise UsageError(f"{file} has the names of {TITLES[foreign.kind]}, not those of {as_.value}")
    planned = plan_import(foreign, spec, heads=heads, overrides=overrides or ())
    if not quiet:
        _say(planned)
    if check_only:
        return
    place = out if out is not None else Path("runs") / planned.spec.name
    write_import(planned, place)
    echo(place)


def _say(planned: Import) -> None:
    from legoc_runtime.contract.stack import weight_shapes
    from legoc_runtime.foreign.names import TITLES

    foreign, shape = planned.foreign, planned.spec.shape
    part = f", part `{foreign.part}`" if foreign.part else ""
    echo(f"{foreign.path}: {foreign.container}{part}, by the names of {TITLES[foreign.kind]}", err=True)
    bricks = ", ".join(f"{brick.id} {'x'.join(map(str, brick.window))}" for brick in shape.bricks)
    count = len(weight_shapes(shape))
    echo(f"{planned.spec.name}: {len(shape.bricks)} brick(s) ({bricks}); all {count} weights fit", err=True)
    if foreign.kind == "diffusers_dit":
        echo(
            "note: estimates are DiT's own; diffusers spaces the frequencies of its time embedding by 127, not 128, "
            "and adds 1e-5, not 1e-6, where the MLP's input is normalised",
            err=True,
        )
