"""`legoc graph`: the stack as a picture, or its brick graph after a pass as text. Needs no torch."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from legoc.cli.options import Overrides, described
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import RunError, UsageError

if TYPE_CHECKING:
    from legoc.draw.graph import GraphPicture
    from legoc_runtime.contract.manifest import Manifest
    from legoc_runtime.contract.policy import Configuration


class Format(StrEnum):
    """How the graph is drawn."""

    mermaid = "mermaid"
    svg = "svg"
    dot = "dot"


_SUFFIXES = {
    ".mmd": Format.mermaid,
    ".mermaid": Format.mermaid,
    ".svg": Format.svg,
    ".dot": Format.dot,
    ".gv": Format.dot,
}


def command(
    path: Annotated[
        Path,
        Argument(
            metavar="SPEC|BUILD|RUN|WEIGHTS", help="What to draw; - is a spec on standard input.", show_default=False
        ),
    ],
    format: Annotated[
        Format | None,
        Option(help="[default: by the name of -o, else mermaid]", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        Option("-o", "--out", help="Write a file instead of stdout.", show_default=False),
    ] = None,
    configuration: Annotated[
        str | None,
        Option(help="The bricks that run, joined by +. [default: all]", show_default=False),
    ] = None,
    skip_policy: Annotated[
        str | None,
        Option(help="Draw every configuration that this policy reaches.", show_default=False),
    ] = None,
    steps: Annotated[
        int | None,
        Option(help="Noise levels, with --skip-policy. [default: the spec's]", show_default=False),
    ] = None,
    print_after: Annotated[
        str | None,
        Option(metavar="PASS", help="Print the brick graph after a pass, or after `all`, as text.", show_default=False),
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Draw a stack: its bricks with their windows, what they cost, and the path of the estimate.

    A brick that is left out is drawn as a ghost, with the way past it. The picture goes to stdout; with -o to a file,
    and its name to stdout.
    """
    if configuration is not None and skip_policy is not None:
        raise UsageError("--configuration and --skip-policy both say what runs", help="give one of them")
    if steps is not None and skip_policy is None:
        raise UsageError("--steps is the schedule of a policy, and none is named", help="add --skip-policy NAME")
    if print_after is not None and (format is not None or out is not None):
        raise UsageError("--print-after prints text to stdout", help="leave out --format and -o")
    chosen_format = _format(format, out)

    manifest = described(path, overrides or ())
    chosen = _configurations(manifest, configuration, skip_policy, steps)
    if print_after is not None:
        _print_after(manifest, [bricks for bricks, _ in chosen], print_after)
        return
    from legoc.draw.graph import make_picture

    text = _draw(make_picture(manifest.name, manifest.shape, chosen), chosen_format)
    if out is None:
        echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{out} cannot be written: {error.strerror}", help="choose another -o") from error
    echo(out)


def _format(format: Format | None, out: Path | None) -> Format:
    by_name = _SUFFIXES.get(out.suffix.lower()) if out is not None else None
    if format is not None and by_name is not None and format != by_name:
        raise UsageError(f"{out} is named as {by_name}, and --format says {format}", help="leave --format out")
    if out is not None and format is None and by_name is None:
        raise UsageError(
            f"{out}: the name does not say the format", help="end it in .svg, .dot or .mmd, or give --format"
        )
    return format or by_name or Format.mermaid


def _configurations(
    manifest: Manifest, configuration: str | None, skip_policy: str | None, steps: int | None
) -> list[tuple[Configuration, str]]:
    """What to draw, each with the words for when it runs."""
    from dataclasses import replace

    from legoc.draw.graph import configuration_of, policy_configurations
    from legoc_runtime.contract.policy import tabulate
    from legoc_runtime.contract.schedule import sampling_levels

    if configuration is not None:
        return [(configuration_of(manifest.shape, configuration), "")]
    if skip_policy is None:
        return [(manifest.shape.ids, "")]
    policy = manifest.policy(skip_policy)
    sample = manifest.sample if steps is None else replace(manifest.sample, steps=steps)
    levels = sampling_levels(sample, manifest.shape.diffusion)
    return policy_configurations(tabulate(policy, manifest.shape.ids, levels))


def _draw(picture: GraphPicture, format: Format) -> str:
    match format:
        case Format.mermaid:
            from legoc.draw.graph_mermaid import graph_mermaid

            return graph_mermaid(picture)
        case Format.svg:
            from legoc.draw.graph_svg import graph_svg

            return graph_svg(picture)
        case Format.dot:
            from legoc.draw.graph_dot import graph_dot

            return graph_dot(picture)


def _print_after(manifest: Manifest, configurations: list[Configuration], name: str) -> None:
    from legoc.draw.graph import graphs_after

    for configuration in configurations:
        for step, text in graphs_after(manifest.shape, configuration, name):
            echo(f"// after {step}\n{text}", nl=False)
