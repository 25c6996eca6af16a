"""`legoc migrate`: carry a checkpoint over to a changed spec, and prove that it computes the same where it should."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from legoc.cli.options import Overrides
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import UsageError

if TYPE_CHECKING:
    from legoc.migrate.migration import Migration
    from legoc.migrate.plan import Plan


def command(
    checkpoint: Annotated[
        Path, Argument(metavar="CHECKPOINT", help="A run, whose newest checkpoint is taken; a checkpoint; a file.")
    ],
    spec: Annotated[str, Argument(help="The spec to carry it over to; or a build; - for standard input.")],
    out: Annotated[
        Path | None,
        Option("-o", "--out", help="Where to write; nothing may be there. [default: RUN-migrated]", show_default=False),
    ] = None,
    rename: Annotated[
        list[str] | None,
        Option(
            metavar="OLD=NEW",
            help="A brick of the checkpoint that has another id in the spec, where that is not plain. May be repeated.",
            show_default=False,
        ),
    ] = None,
    check_only: Annotated[bool, Option("--check-only", help="Do everything but write.")] = False,
    json: Annotated[bool, Option("--json", help="Print versioned JSON instead of a report.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    overrides: Overrides = None,
) -> None:
    """Carry a checkpoint over to a changed spec: renames, new bricks and blocks, another order, another grid.

    Weights, averages and AdamW's state are written to a new run, which `legoc train` and `legoc sample` take; what is
    migrated stays as it is. Before that both stacks run on fixed inputs: every configuration that must compute the same
    does, or nothing is written and the exit code is 3. What cannot be carried over is refused with its reasons and
    exit code 2. The path of the new run is printed on stdout.
    """
    from legoc.migrate.plan import plan_migration, read_renames

    if check_only and out is not None:
        raise UsageError("--check-only writes nothing, so there is no -o", help="leave one of them out")
    plan = plan_migration(checkpoint, spec, overrides or (), read_renames(rename or ()))
    if not plan.is_possible:
        _refuse(plan, json=json)
    place = None if check_only else _place(plan, out)
    from legoc.migrate.run import check, migrate

    migration = migrate(plan, place, say=lambda text: None if quiet else echo(text, err=True))
    _report(migration, json=json, quiet=quiet)
    check(migration)
    if migration.out is not None and not json:
        echo(migration.out)


def _place(plan: Plan, out: Path | None) -> Path:
    from legoc.migrate.write import check_out, default_out

    place = default_out(plan.source) if out is None else out
    check_out(place, plan.source)
    return place


def _refuse(plan: Plan, *, json: bool) -> None:
    from legoc.render import wants_colour
    from legoc.review.render.text import render_breaks

    assert plan.review is not None
    if json:
        from legoc.migrate.migration import Migration

        _print_json(Migration(plan))
    else:
        echo(render_breaks(plan.review, colour=wants_colour(sys.stderr)), err=True)
    lost = plan.tensors.lost
    raise UsageError(
        f"{plan.source.path} cannot be carried over to {plan.after.label}: {len(lost):,} of its tensors cannot",
        help="change the spec back there, train anew, or say `--rename OLD=NEW` where a brick has another id",
    )


def _report(migration: Migration, *, json: bool, quiet: bool) -> None:
    if json:
        _print_json(migration)
        return
    from legoc.migrate.migration import report_lines

    # the report is what --check-only is for; otherwise stdout holds the path alone
    if migration.plan.is_possible and not quiet:
        wrote = migration.out is not None or not migration.holds
        echo("\n".join(report_lines(migration)), err=wrote)


def _print_json(migration: Migration) -> None:
    from json import dumps

    from legoc.migrate.migration import to_json

    echo(dumps(to_json(migration), indent=1, ensure_ascii=False, allow_nan=False))
