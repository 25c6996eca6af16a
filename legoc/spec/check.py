"""A spec from text or file, with every problem found in one run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from legoc.codes import report
from legoc.diagnostics import Diagnostic, SpecError
from legoc.source import SourceFile, Span
from legoc.spec.compose import compose
from legoc.spec.drafts import draft_bricks
from legoc.spec.load import load
from legoc.spec.policies import check_policies, parse_predicates, schedule
from legoc.spec.resolve import resolve, resolve_edm, resolve_sample
from legoc.spec.resolved import StackSpec
from legoc.spec.rules import check_rules

MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class CheckResult:
    """What checking a spec found.

    Attributes:
        spec: the resolved spec, or None when there are errors.
        diagnostics: everything found, in the order of the file; warnings alone leave a spec.
    """

    spec: StackSpec | None
    diagnostics: tuple[Diagnostic, ...]

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that are errors."""
        return tuple(diagnostic for diagnostic in self.diagnostics if diagnostic.severity == "error")


def check_text(text: str, name: str) -> CheckResult:
    """Check a spec given as text.

    Args:
        text: the YAML.
        name: how diagnostics call the file.
    """
    tree, findings = compose(SourceFile(name, text))
    if tree is None:
        return _result(None, findings)
    loaded, more = load(tree)
    findings += more
    drafts, more = draft_bricks(loaded)
    findings += more
    findings += check_rules(loaded, drafts)
    predicates, more = parse_predicates(loaded)
    findings += more
    sample = resolve_sample(loaded)
    levels = schedule(loaded, resolve_edm(loaded), sample.steps, sample.guidance)
    findings += check_policies(loaded, drafts, predicates, levels)
    sound = not any(finding.severity == "error" for finding in findings)
    return _result(resolve(loaded, drafts, predicates) if sound else None, findings)


def check_file(path: Path | str) -> CheckResult:
    """Check a spec file. Whatever the file is, the answer is diagnostics, never an exception.

    Findings beside those of the text: LG001 cannot be read, LG002 not text, LG007 too large.
    """
    name = os.fspath(path)
    empty = Span(SourceFile(name, ""), 0, 0)
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        return CheckResult(None, (_unreadable(path, error, empty),))
    if len(data) > MAX_BYTES:
        message = f"the file has more than {MAX_BYTES:,} bytes"
        return CheckResult(
            None, (report("LG007", message, empty, help="this does not look like a spec; check the path"),)
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return CheckResult(None, (_not_utf8(data, error.start, empty),))
    if "\0" in text:
        help = "a spec is a text file; check the path"
        return CheckResult(None, (report("LG002", "the file is binary: it has zero bytes", empty, help=help),))
    return check_text(text, name)


def load_spec(path: Path | str) -> StackSpec:
    """The resolved spec of a file.

    Raises:
        SpecError: the spec has errors; all diagnostics are in it, warnings too.
    """
    result = check_file(path)
    if result.spec is None:
        raise SpecError(result.diagnostics)
    return result.spec


def _unreadable(path: Path | str, error: OSError | ValueError, span: Span) -> Diagnostic:
    match error:
        case FileNotFoundError():
            message, help = "there is no such file", "check the path, relative to the current directory"
        case IsADirectoryError():
            inside = sorted(entry.name for entry in Path(path).glob("*.y*ml"))[:3]
            message, help = (
                "this is a directory",
                f"name a file in it: {', '.join(inside)}" if inside else "name a file",
            )
        case PermissionError():
            message, help = (
                "no permission to read the file",
                "check the permissions of the file and its folders",
            )
        case OSError():
            message, help = f"the file cannot be read: {error.strerror or error}", None
        case _:
            message, help = f"this cannot be the name of a file: {error}", None
    return report("LG001", message, span, help=help)


def _not_utf8(data: bytes, at: int, span: Span) -> Diagnostic:
    line = data.count(b"\n", 0, at) + 1
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return report("LG002", "the file is UTF-16", span, help="save it as UTF-8")
    if b"\0" in data[:8192]:
        return report(
            "LG002",
            "the file is binary: it has zero bytes",
            span,
            help="a spec is a text file; check the path",
        )
    message = f"the file is not UTF-8: byte 0x{data[at]:02x} in line {line}"
    return report("LG002", message, span, help="save it as UTF-8")


def _result(spec: StackSpec | None, findings: list[Diagnostic]) -> CheckResult:
    """Findings once each, in the order of the file."""

    def position(finding: Diagnostic) -> tuple[int, str]:
        return (finding.primary.span.start if finding.primary else 0, finding.code)

    return CheckResult(spec, tuple(sorted(dict.fromkeys(findings), key=position)))
