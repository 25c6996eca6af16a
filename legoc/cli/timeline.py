"""`legoc timeline`: which brick runs at which noise level, and what that saves. Needs no torch."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from legoc.cli.options import Overrides, described, overridden
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import RunError, UsageError

if TYPE_CHECKING:
    from legoc.draw.timeline import Timeline


def command(
    path: Annotated[
        Path,
        Argument(help="A spec, build, run or file of weights; - is a spec on standard input.", show_default=False),
    ],
    skip_policy: Annotated[
        str | None,
        Option(
            "--skip-policy",
            "--policy",
            help="none, halfway, halfway:SHARE, or one of the spec's. [default: what the spec samples with]",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[int | None, Option(help="Noise levels. [default: the spec's]", show_default=False)] = None,
    guidance: Annotated[
        float | None,
        Option(help="Scale of guidance, which policies may ask about. [default: the spec's]", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        Option("-o", "--out", help="Write an SVG file instead of text.", show_default=False),
    ] = None,
    ascii: Annotated[bool, Option("--ascii", help="Text in ASCII characters only.")] = False,
    overrides: Overrides = None,
) -> None:
    """Draw a skip policy over the sampling schedule: one row a brick, filled where it runs.

    Text goes to stdout; with -o FILE.svg the picture goes to the file and its path to stdout.
    """
    if out is not None and out.suffix.lower() != ".svg":
        raise UsageError(f"{out} is not an SVG file", help="give -o a name that ends in .svg")
    if out is not None and ascii:
        raise UsageError("--ascii is about text, and -o writes an SVG", help="leave one of them out")
    timeline = _timeline(path, overrides or (), skip_policy, steps, guidance)
    if out is None:
        echo(_text(timeline, ascii), nl=False)
        return
    from legoc.draw.svg import timeline_svg

    try:
        out.write_text(timeline_svg(timeline), encoding="utf-8")
    except OSError as error:
        raise RunError(f"{out} cannot be written: {error.strerror}", help="choose another -o") from error
    echo(out)


def _timeline(
    path: Path, overrides: Sequence[str], skip_policy: str | None, steps: int | None, guidance: float | None
) -> Timeline:
    from legoc.draw.timeline import make_timeline
    from legoc_runtime.contract.canvas_request import canvas_of
    from legoc_runtime.contract.policy import tabulate
    from legoc_runtime.contract.schedule import check_guidance, evaluations, sampling_levels

    manifest = described(path, overrides)
    settings, notices = overridden(manifest.sample, {"steps": steps, "guidance": guidance}, overrides)
    for notice in notices:
        echo(notice, err=True)
    check_guidance(settings.guidance)
    if settings.guidance != 1 and manifest.shape.classes is None:
        raise UsageError("this stack is unconditional: guidance has no class to guide to", help="leave --guidance out")
    levels = sampling_levels(settings, manifest.shape.diffusion)
    table = tabulate(manifest.policy(skip_policy), manifest.shape.ids, levels)
    canvas = canvas_of(manifest.shape, settings)
    # a spec has no weights that anything could be measured of; errors were, in pictures of the grid's size
    if canvas is None and (path.is_dir() or path.suffix == ".safetensors"):
        from legoc.policies.record import error_line, keeper_of, read_record

        record = read_record(keeper_of(path))
        if record is not None and (line := error_line(record, table, settings)):
            echo(line, err=True)
    calls = evaluations(settings.sampler, settings.steps)
    return make_timeline(manifest.name, manifest.shape, table, calls, canvas)


def _text(timeline: Timeline, ascii: bool) -> str:
    """Blocks where the output's encoding has them, ASCII where it has not or was asked for."""
    from legoc.draw.text import ASCII, BLOCKS, timeline_text

    width = shutil.get_terminal_size().columns
    text = timeline_text(timeline, width=width, marks=ASCII if ascii else BLOCKS)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return timeline_text(timeline, width=width, marks=ASCII)
    return text
