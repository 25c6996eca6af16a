"""`legoc policy search`: the skip policy that changes a run's pictures least, under a budget."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from legoc.cli.canvas import settings_on_grid
from legoc.cli.options import FROM_SPEC, given_or_newest, refuse_stdin
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc.draw.timeline import breaks_by_step, sigma_text
from legoc.policies.record import UNIT
from legoc_runtime.errors import RunError, UsageError

if TYPE_CHECKING:
    from legoc.cli.policy_run import Unit
    from legoc.policies.record import Record
    from legoc.policies.search import Found, Point
    from legoc_runtime.contract.manifest import Manifest

PICTURE_NAME = "policy-front.svg"
MOST_SWITCHES = 8
"""More make predicates longer than the language takes."""


def command(
    run: Annotated[
        Path | None,
        Argument(
            help="A run, a file of weights, or an exported folder. [default: the newest run in runs/]",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[str, Option(help="Share of the cost of sampling without skipping: 0.5x, or 0.5.")] = "0.5x",
    by: Annotated[str, Option(help="What costs are in: time, measured here, or macs.")] = "time",
    switches: Annotated[int, Option(help="How often the configuration may change, 0 to 8.", min=0)] = 3,
    bands: Annotated[int, Option(help="Bands of noise levels that are measured; breaks lie between them.", min=1)] = 6,
    seeds: Annotated[str, Option(help="Seeds that bands are measured on.")] = "0-7",
    check_seeds: Annotated[str, Option(help="Other seeds, that policies are rolled out on.")] = "1000-1007",
    name: Annotated[str, Option(help="What the policy is called.")] = "searched",
    write: Annotated[
        Path | None,
        Option(metavar="SPEC", help="Write the policy into this spec too; the rest stays.", show_default=False),
    ] = None,
    sampler: Annotated[str | None, Option(help=f"As in `legoc sample`. {FROM_SPEC}", show_default=False)] = None,
    steps: Annotated[int | None, Option(help=f"Noise levels. {FROM_SPEC}", show_default=False)] = None,
    guidance: Annotated[float | None, Option(help=f"Scale of guidance. {FROM_SPEC}", show_default=False)] = None,
    batch: Annotated[int | None, Option(help=f"Pictures at once. {FROM_SPEC}", min=1, show_default=False)] = None,
    ema: Annotated[
        str | None, Option(help=f"Rate of the EMA, `first`, or `none`. {FROM_SPEC}", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        Option(
            "-o",
            "--out",
            help=f"Where the picture goes. [default: RUN/{PICTURE_NAME}, or beside the file]",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, Option("--json", help="Print the record as versioned JSON instead of text.")] = False,
    device: Annotated[str, Option(help="auto, cpu, or cuda.")] = "auto",
    backend: Annotated[str, Option(help="auto, eager, or inductor.")] = "auto",
) -> None:
    """Search for the skip policy that changes a run's pictures least, under a budget.

    Every configuration is rolled out in every band of noise levels by itself, from the same seeds, and its final
    pictures are held against those without skipping. The best schedule is solved for, exactly, rolled out on other
    seeds and set beside `halfway` at the same budget. Printed as predicates over sigma, it holds at another number of
    steps; the run keeps it: `legoc sample RUN --skip-policy searched`. A file of weights has it beside it, and is
    sampled the same way. Errors are root mean squares against no skipping; they say what changes, not whether it is
    worse.
    """
    refuse_stdin(run, "policy search")
    share, unit = _budget(budget), _unit(by)
    if switches > MOST_SWITCHES:
        raise UsageError(
            f"--switches {switches}: at most {MOST_SWITCHES}", help="few switches make a policy that one can read"
        )
    place = given_or_newest(run)
    from legoc.cli.policy_run import Request, search
    from legoc.cli.sample_source import find_stack
    from legoc.policies.record import kept_at, read_record, write_record

    source = find_stack(place, ema)
    earlier = read_record(source.keeper)
    _check_place(source.keeper)
    _check_name(name, source.manifest)
    if out is not None and out.suffix.lower() != ".svg":
        raise UsageError(f"{out} is not an SVG file", help="give -o a name that ends in .svg")
    text = None if write is None else _spec_text(write, source.manifest, name)
    flags = {"steps": steps, "guidance": guidance, "batch": batch}
    settings = settings_on_grid(source.manifest.sample, sampler, flags)
    from legoc_runtime.backends.base import choose_backend
    from legoc_runtime.backends.device import choose_device

    choice, where = choose_backend(backend, build=source.build, trust_native=False), choose_device(device)
    request = Request(source, settings, bands, seeds, check_seeds, share, unit, switches, name, choice, where)
    record, found = search(request)
    record = record.keeping(earlier, name)
    picture = out if out is not None else kept_at(source.keeper, PICTURE_NAME)
    _draw(picture, source.manifest.name, found, record)
    kept = write_record(source.keeper, record)
    echo(record.to_json() if json else _text(record, found, name), nl=False)
    echo(f"{picture} and {kept} are written", err=True)
    if write is not None and text is not None and found.is_worth_keeping:
        _write(write, text, name, found)


def _budget(text: str) -> float:
    """`0.5x` or `0.5`.

    Raises:
        UsageError: no number above 0 and up to 1.
    """
    try:
        share = float(text.removesuffix("x"))
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise UsageError(
            f"--budget {text}: a share of the whole cost is more than 0 and at most 1", help="for example 0.5x"
        )
    return share


def _unit(text: str) -> Unit:
    if text != "time" and text != "macs":
        raise UsageError(f"--by {text}: costs are in `time` or `macs`", help="time is measured here; macs are counted")
    return text


def _check_place(keeper: Path) -> None:
    """Refuse what nothing can be kept in or beside, before anything is computed."""
    folder = keeper.parent if keeper.is_file() else keeper
    if not os.access(folder, os.W_OK):
        raise UsageError(
            f"{folder} cannot be written to, and what is found is kept there",
            help="copy it to a folder of yours, and search there",
        )


def _check_name(name: str, manifest: Manifest) -> None:
    """Refuse a name that a policy cannot have, or that the run's spec gave away, before anything is computed."""
    from legoc_runtime.contract.policy import BUILTIN_POLICIES

    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", name) or name in BUILTIN_POLICIES:
        raise UsageError(f"a policy cannot be called `{name}`", help="a letter, then letters, digits, `_` and `-`")
    if any(policy.name == name for policy in manifest.policies):
        raise UsageError(f"the stack's spec has a policy `{name}` already", help="choose another --name")


def _spec_text(path: Path, manifest: Manifest, name: str) -> str:
    """The text of the spec that the policy shall be written into, refused early where it cannot be."""
    from legoc.diagnostics import Diagnostic, SpecError
    from legoc.policies.write_spec import with_policy
    from legoc.spec.read import read_source

    source = read_source(path)
    if isinstance(source, Diagnostic):
        raise SpecError((source,))
    with_policy(source.text, str(path), name, {manifest.shape.ids[-1]: "sigma < 1"})
    return source.text


def _write(path: Path, text: str, name: str, found: Found) -> None:
    from legoc.fix import replace_file
    from legoc.policies.write_spec import with_policy

    try:
        replace_file(path, with_policy(text, str(path), name, found.best.predicates))
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}", help="add the policy by hand") from error
    echo(f"{path} has the policy `{name}`", err=True)


def _text(record: Record, found: Found, name: str) -> str:
    from legoc.policies.write_spec import policy_yaml

    rows = [("policy", f"cost ({record.by})", "error", "breaks at sigma")]
    beside = found.halfway if found.halfway is not None else found.shares[0]
    rows += [_row(name, found.best), _row(beside.table.policy, beside)]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [
        "".join(f"{cell:<{width + 2}}" for cell, width in zip(row, [*widths, 0], strict=True)).rstrip() for row in rows
    ]
    lines += ["", f"error: {UNIT}; seeds {record.check_seeds}, {record.steps} steps, guidance {record.guidance:g}"]
    if found.halfway is None:
        lines.append(
            f"`halfway` cannot be as cheap as {record.budget:g}: {beside.table.policy} is the least that it costs"
        )
    if found.is_worth_keeping:
        lines += ["", "skip_policies:", f"  {policy_yaml(name, found.best.predicates)}"]
    elif found.halfway is not None and not found.beats_halfway:
        lines += [
            "",
            f"nothing was found that is nearer to no skipping than `{found.halfway.table.policy}`: sample with that",
        ]
    else:
        lines += ["", "under this budget nothing need be left out"]
    return "\n".join(lines) + "\n"


def _row(name: str, point: Point) -> tuple[str, str, str, str]:
    breaks = ", ".join(f"{sigma_text(sigma)} ({text})" for _, sigma, text in breaks_by_step(point.table.breaks()))
    return name, f"{point.cost:.3f}", f"{point.error:.4f}", breaks or "none"


def _draw(path: Path, stack: str, found: Found, record: Record) -> None:
    from legoc.draw.curves import Curve, curves_svg

    def curve(label: str, points: Sequence[Point]) -> list[Curve]:
        return [Curve(label, tuple((point.cost, point.error) for point in points))] if points else []

    curves = [*curve("searched", found.front), *curve("halfway:SHARE", found.shares), *curve("chosen", [found.best])]
    below = (
        f"error: {UNIT}; {record.weights}, {record.images:,} images, {record.steps} steps, seeds {record.check_seeds}"
    )
    title = f"{stack}: what a skip policy costs and changes"
    what = {"time": "time", "macs": "MACs"}[record.by]
    across = f"{what} over that of no skipping"
    try:
        path.write_text(curves_svg(title, curves, across=across, below=below), encoding="utf-8")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}", help="choose another -o") from error
