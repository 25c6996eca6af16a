"""`legoc check`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from legoc.cli.options import STDIN, STDIN_NAME, Overrides, read_spec, spec_paths
from legoc.cli.parameters import Argument, Option

if TYPE_CHECKING:
    from legoc.diagnostics import Diagnostic


class Format(StrEnum):
    """How findings are printed."""

    full = "full"
    concise = "concise"
    json = "json"
    github = "github"
    sarif = "sarif"


FORMAT_HELP = "full: with the source; concise: a line each; json; github: annotations; sarif: SARIF 2.1.0."


def command(
    specs: Annotated[
        list[Path],
        Argument(metavar="SPEC", help="Specs, or folders of specs; - is standard input.", show_default=False),
    ],
    format: Annotated[Format, Option(help=FORMAT_HELP)] = Format.full,
    fix: Annotated[bool, Option("--fix", help="Mend what is certain to be a slip, in place.")] = False,
    diff: Annotated[bool, Option("--diff", help="With --fix: print what would change, write nothing.")] = False,
    overrides: Overrides = None,
) -> None:
    """Check specs: every problem at once, with its place and what to do.

    Findings go to stdout, a summary to stderr. The exit code is 1 when a spec has errors, 0 when there are none or
    only warnings. With --fix the findings are those that remain; with --diff stdout has the difference alone, and the
    exit code is 1 when there is one.
    """
    from legoc.render import summary
    from legoc.source import SourceFile
    from legoc.spec import check_text
    from legoc_runtime.errors import UsageError

    if diff and not fix:
        raise UsageError("--diff shows what --fix would change", help="give both: `legoc check --fix --diff SPEC`")
    if fix and overrides:
        raise UsageError("--fix mends files, and --set changes what they say", help="leave one of them out")
    if fix and STDIN in specs:
        raise UsageError("--fix mends files, and - is standard input", help="name a file")
    paths = spec_paths(specs)
    findings: list[Diagnostic] = []
    changed = False
    for path in paths:
        source = read_spec(path)
        is_text = isinstance(source, SourceFile)
        found = check_text(source.text, source.name, overrides or ()).diagnostics if is_text else (source,)
        if fix and any(finding.fix for finding in found):
            found, this_changed = _mend(path, found, diff=diff)
            changed |= this_changed
        findings += found
    findings = list(dict.fromkeys(findings))  # what is wrong with a `--set` is wrong with it for every spec
    if not diff:
        sys.stdout.write(_rendered(findings, format, [STDIN_NAME if path == STDIN else str(path) for path in paths]))
    sys.stdout.flush()
    sys.stderr.write(summary(findings, len(paths)) + "\n")
    if (diff and changed) or any(finding.severity == "error" for finding in findings):
        sys.exit(1)


def _rendered(findings: Sequence[Diagnostic], format: Format, paths: list[str]) -> str:
    from legoc import render

    match format:
        case Format.full:
            return render.render_full(findings, colour=render.wants_colour(sys.stdout))
        case Format.concise:
            return render.render_concise(findings)
        case Format.json:
            return render.render_json(findings, paths)
        case Format.github:
            return render.render_github(findings)
        case Format.sarif:
            return render.render_sarif(findings)


def _mend(path: Path, found: Sequence[Diagnostic], *, diff: bool) -> tuple[Sequence[Diagnostic], bool]:
    """Mend one file, or show how; the findings that remain, and whether there was something to mend."""
    from legoc.fix import fix_text, replace_file
    from legoc.render.lines import unified_diff
    from legoc.spec import check_text

    name = str(path)
    files = (edit.span.file for finding in found for edit in finding.fix or () if edit.span.file.name == name)
    file = next(files, None)
    if file is None:
        return found, False  # the slips are in files that it extends, which were not named
    fixed = fix_text(file.text, name, lambda text: check_text(text, name).diagnostics)
    if fixed.text != file.text and diff:
        sys.stdout.write(unified_diff(file.text, fixed.text, name))
    elif fixed.text != file.text:
        replace_file(path, fixed.text)
    for finding in fixed.made:
        sys.stderr.write(f"{'would mend' if diff else 'mended'} {_said(finding)}\n")
    for finding in fixed.left:
        sys.stderr.write(f"left {_said(finding)}: mending it would bring another kind of problem to light\n")
    return fixed.remaining, fixed.text != file.text


def _said(finding: Diagnostic) -> str:
    """A finding with its edits: `specs/a.yaml:3:5: LG101 dept -> depth`."""
    from legoc.render.lines import visible

    edits = finding.fix or ()
    changes = (f"{e.span.file.text[e.span.start : e.span.end].strip()} -> {e.text.strip() or 'nothing'}" for e in edits)
    where = f"{finding.primary.span}: " if finding.primary else ""
    return visible(f"{where}{finding.code} {', '.join(changes)}")
