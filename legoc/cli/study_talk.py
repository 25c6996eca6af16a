"""What the studies share on the command line: where they go, what they leave, what is said of an interruption."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from legoc.cli.output import echo
from legoc_runtime.errors import UsageError

if TYPE_CHECKING:
    from legoc.cli.sample_source import StackSource
    from legoc.draw.curves import Plot
    from legoc.study.directory import P, Study
    from legoc.study.table import Table


def place_for(source: StackSource, kind: str, request: Mapping[str, Any], out: Path | None) -> Path:
    """Where a study of a run goes: what was given, or a folder in the run that is named after the request."""
    from legoc.study.directory import default_name

    if out is not None:
        return out
    home = source.build / "studies" if source.build is not None else Path("studies") / source.home.name
    return home / default_name(kind, request)


def own_data(source: StackSource, help: str) -> Path | None:
    """The data that the stack's spec names; None where it names none.

    Args:
        source: the run, or a file of weights, which may have come from elsewhere.
        help: what to do where the data is not here.

    Raises:
        UsageError: it is not here.
    """
    named = source.manifest.data_path
    if named is not None and not Path(named).exists():
        raise UsageError(f"the spec's data, {named}, is not here", help=help)
    return None if named is None else Path(named)


@contextmanager
def keeping(study: Study[P]) -> Generator[None]:
    """Say, when it is interrupted, that what is measured is kept."""
    try:
        yield
    except KeyboardInterrupt:
        echo(f"\n{len(study.points)} points are kept in {study.path}; the same command goes on from there", err=True)
        raise


def leave(
    study: Study[P],
    keys: Sequence[str],
    title: str,
    tables: Sequence[Table],
    plots: Sequence[Plot],
    notes: Sequence[str],
    *,
    json: bool,
) -> None:
    """Write table, plot and numbers into the study, and print what was asked for.

    Args:
        study: the study, all points measured.
        keys: the points that were asked for, in their order.
        title: of the page and of the plot.
        tables: of those points.
        plots: of those points; none where there is nothing to draw.
        notes: what whoever reads the numbers has to know.
        json: print versioned JSON instead of tables.
    """
    from legoc.draw.curves import plots_svg
    from legoc.study.directory import PLOT_NAME, RECORD_NAME, TABLE_NAME
    from legoc.study.table import page

    written = [
        study.write(RECORD_NAME, study.to_json(tuple(study.points), notes)),
        study.write(TABLE_NAME, page(title, tables, notes)),
    ]
    if plots:
        written.append(study.write(PLOT_NAME, plots_svg(title, plots)))
    echo(study.to_json(keys, notes) if json else "\n".join(table.text() for table in tables), nl=False)
    for note in notes:
        echo(f"note: {note}", err=True)
    echo(f"{', '.join(map(str, written))} are written", err=True)
