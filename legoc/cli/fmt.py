"""`legoc fmt`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from legoc.cli.options import STDIN, read_spec, spec_paths
from legoc.cli.parameters import Argument, Option

if TYPE_CHECKING:
    from legoc.diagnostics import Diagnostic


def command(
    specs: Annotated[
        list[Path],
        Argument(
            metavar="SPEC",
            help="Specs, or folders of specs; - reads standard input and writes to stdout.",
            show_default=False,
        ),
    ],
    check: Annotated[bool, Option("--check", help="Write nothing; exit code 1 if a file would change.")] = False,
    diff: Annotated[bool, Option("--diff", help="Like --check, and print what would change.")] = False,
) -> None:
    """Lay specs out in the one canonical way. Comments keep their places, values their meaning.

    A file that is not YAML, or has parts of YAML that specs do not use, stays as it is and the exit code is 2.
    """
    from legoc.diagnostics import SpecError
    from legoc.fix import replace_file
    from legoc.fmt import format_text
    from legoc.render import render_full, wants_colour
    from legoc.render.lines import counted, unified_diff
    from legoc.source import SourceFile

    findings: list[Diagnostic] = []
    changed = 0
    paths = spec_paths(specs)
    for path in paths:
        source = read_spec(path)
        if not isinstance(source, SourceFile):
            findings.append(source)
            continue
        try:
            formatted = format_text(source.text, source.name)
        except SpecError as error:
            findings += error.diagnostics
            continue
        if path == STDIN and not (check or diff):
            sys.stdout.write(formatted)
        if formatted == source.text:
            continue
        changed += 1
        if diff:
            sys.stdout.write(unified_diff(source.text, formatted, source.name))
        elif not check and path != STDIN:
            replace_file(path, formatted)
        sys.stderr.write(f"{'would format' if check or diff else 'formatted'} {source.name}\n")
    sys.stdout.flush()
    if findings:
        sys.stderr.write(render_full(findings, colour=wants_colour(sys.stderr)))
        sys.stderr.write(f"{counted(len({f.primary.span.file.name for f in findings if f.primary}), 'file')} left\n")
        sys.exit(2)
    if not changed:
        sys.stderr.write(f"{counted(len(paths), 'file')} laid out already\n")
    if changed and (check or diff):
        sys.exit(1)
