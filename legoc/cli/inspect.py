"""`legoc inspect`: what stands at a path, and whether it is whole. Needs no torch."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from legoc.cli.options import refuse_stdin
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import RunError

if TYPE_CHECKING:
    from legoc.inspection.checkpoints import Progress


def command(
    path: Annotated[Path, Argument(help="A spec, build, run, checkpoint or .safetensors file.")],
    json: Annotated[bool, Option("--json", help="Print versioned JSON instead of a table.")] = False,
    checksums: Annotated[
        bool,
        Option(
            "--checksums/--no-checksums",
            help="Read checkpoints and native code whole and compare their checksums, or only list them.",
        ),
    ] = True,
) -> None:
    """Say what stands at a path: its stack, hashes, configurations, policies, images trained on, files and their state.

    Native code in a build is named, with the machine that it is for, and not run.
    The manifest and programs of a build are held against its spec; the text of its modules is not, which is what
    `legoc build --check` does. Pickles are never opened. When something is damaged the report says
    what, and the exit code is 3.
    """
    from legoc.driver import BUILD_AGAIN
    from legoc.inspection.find import inspect_path

    refuse_stdin(path, "inspect")
    with _talk() as progress:
        found = inspect_path(path, checksums=checksums, progress=progress)
    if json:
        from json import dumps

        echo(dumps(found.to_json(), indent=1, ensure_ascii=False))
    else:
        from legoc.inspection.table import table

        echo(table(found), nl=False)
    if found.damage:
        help = BUILD_AGAIN if found.faults else "take another checkpoint, or copy it afresh from where it came"
        if found.damage == tuple(native.damage for native in found.native if native.damage is not None):
            help = None  # each sentence says it
        raise RunError("; ".join(found.damage), help=help)


@contextmanager
def _talk() -> Generator[Progress]:
    """On a terminal, which file is being read; large checkpoints take minutes."""
    from legoc.inspection.checkpoints import no_progress
    from legoc.inspection.table import size

    if not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console

    with Console(stderr=True).status("reading") as status:
        yield lambda path, count: status.update(f"comparing the checksum of {path.name} ({size(count)})")
