"""Suppression comments: `# legoc: ignore[LG308] reason`, behind a line or alone above it.

Only warnings can be suppressed: an error leaves no spec to go on with. A comment that does not say what it must
suppresses nothing, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from legoc.codes import CODES, report
from legoc.diagnostics import Diagnostic, Edit, Label
from legoc.source import SourceFile, Span
from legoc.spec.comments import Comment, comments
from legoc.spec.yaml_event import NotYamlError

OWN_CODES = frozenset({"LG501", "LG502", "LG503", "LG504"})
"""What is said about suppressions themselves, which no suppression can silence."""

_ADDRESSED = re.compile(r"#+\s*legoc\s*:", re.IGNORECASE)
_IGNORE = re.compile(r"#+\s*legoc\s*:\s*ignore\s*\[(?P<codes>[^\]]*)\]\s*:?\s*(?P<reason>.*)", re.IGNORECASE)
_FORM = "write `# legoc: ignore[CODE] why this is meant`"


class _Suppression:
    """One code of one comment.

    Attributes:
        code: what it suppresses.
        span: the code in the comment.
        comment: the comment.
        line: the line whose findings it means.
        used: whether it suppressed something.
    """

    def __init__(self, code: str, span: Span, comment: Comment, line: int) -> None:
        self.code, self.span, self.comment, self.line = code, span, comment, line
        self.used = False


def suppress(findings: Sequence[Diagnostic], file: SourceFile) -> list[Diagnostic]:
    """The findings that remain, and what is to be said about the suppressions of `file`.

    Findings are looked up in the file that they point into, so that a comment in a base of `file` counts too. That a
    suppression is unused is said only of `file` and only when there are no errors: an error hides what comes after it.

    Findings of its own: LG501 unreadable, LG502 unknown code, LG503 not to be suppressed, LG504 unused.
    """
    files = {file.name: file} | {f.primary.span.file.name: f.primary.span.file for f in findings if f.primary}
    read = {name: _read(source) for name, source in files.items()}
    remaining = [finding for finding in findings if not _is_suppressed(finding, read)]
    suppressions, complaints = read[file.name]
    remaining += complaints
    if not any(finding.severity == "error" for finding in findings):
        remaining += [_unused(suppressions, i) for i, suppression in enumerate(suppressions) if not suppression.used]
    return remaining


def _is_suppressed(finding: Diagnostic, read: dict[str, tuple[list[_Suppression], list[Diagnostic]]]) -> bool:
    if finding.severity != "warning" or finding.primary is None or finding.code in OWN_CODES:
        return False
    span = finding.primary.span
    for suppression in read[span.file.name][0]:
        if suppression.code == finding.code and suppression.line == span.line:
            suppression.used = True
            return True
    return False


def _read(file: SourceFile) -> tuple[list[_Suppression], list[Diagnostic]]:
    """The suppressions of a file, and what is wrong with others."""
    if not _ADDRESSED.search(file.text):
        return [], []  # the common case costs no second reading of the YAML
    try:
        found = comments(file)
    except NotYamlError:
        return [], []  # it has its diagnostic, an error
    suppressions: list[_Suppression] = []
    complaints: list[Diagnostic] = []
    for comment in found:
        if not _ADDRESSED.match(comment.text):
            continue
        match = _IGNORE.fullmatch(comment.text)
        if match is None or not match["codes"].strip():
            what = "names no code" if match else "is no suppression that legoc can read"
            complaints.append(report("LG501", f"this comment {what}", comment.span, help=_FORM))
        elif not match["reason"].strip():
            message = "a suppression says why it is there"
            complaints.append(report("LG501", message, comment.span, "no reason is given", help=_FORM))
        else:
            line = _line_meant(file, comment, found)
            for code, span in _codes(match, comment):
                if wrong := _wrong_code(code, span):
                    complaints.append(wrong)
                else:
                    suppressions.append(_Suppression(code, span, comment, line))
    return suppressions, complaints


def _codes(match: re.Match[str], comment: Comment) -> Iterator[tuple[str, Span]]:
    for part in re.finditer(r"[^,\s]+", match["codes"]):
        start = comment.span.start + match.start("codes") + part.start()
        yield part[0].upper(), Span(comment.span.file, start, start + len(part[0]))


def _wrong_code(code: str, span: Span) -> Diagnostic | None:
    if code not in CODES:
        return report("LG502", f"there is no diagnostic code `{code}`", span, help="`legoc explain` lists the codes")
    if code in OWN_CODES:
        message = f"{code} is about suppressions themselves and cannot be suppressed"
        return report("LG503", message, span, help="mend or remove the suppression that it names")
    if CODES[code].severity == "error":
        message = f"{code} is an error and cannot be suppressed: it leaves no spec to work with"
        return report(
            "LG503", message, span, help=f"only warnings can be suppressed; `legoc explain {code}` has the fix"
        )
    return None


def _line_meant(file: SourceFile, comment: Comment, found: list[Comment]) -> int:
    """The line of a comment behind something; below one that stands alone, the first that is no comment itself."""
    line = comment.span.line
    if not comment.alone:
        return line
    alone = {other.span.line for other in found if other.alone}
    while line in alone:
        line += 1
    return line


def _unused(suppressions: list[_Suppression], index: int) -> Diagnostic:
    this = suppressions[index]
    twins = (other for other in suppressions[:index] if (other.code, other.line) == (this.code, this.line))
    if first := next(twins, None):
        message = f"{this.code} is suppressed twice for line {this.line}"
        places = [Label(first.span, "first here")]
        edits = _without(this, [s for s in suppressions if s.comment is this.comment])
        return report("LG504", message, this.span, "again here", secondary=places, help="remove it", fix=edits)
    message = f"nothing in line {this.line} gives {this.code}"
    edits = _without(this, [s for s in suppressions if s.comment is this.comment])
    return report("LG504", message, this.span, help="remove the suppression", fix=edits)


def _without(this: _Suppression, all_of_comment: list[_Suppression]) -> list[Edit] | None:
    """The edit that removes one code of a comment, or the comment when the code is its only one."""
    text, comment = this.span.file.text, this.comment.span
    listed = text[comment.start : comment.end].partition("[")[2].partition("]")[0]
    if "," in listed:
        if not (match := re.compile(r"\s*,\s*").match(text, this.span.end)):
            start = text.rindex(",", comment.start, this.span.start)
            return [Edit(Span(this.span.file, start, this.span.end), "")]
        return [Edit(Span(this.span.file, this.span.start, match.end()), "")]
    if len(all_of_comment) > 1:
        return None
    start = comment.start
    while start and text[start - 1] in " \t":
        start -= 1
    end = comment.end
    if this.comment.alone:
        end = text.find("\n", end) + 1 or len(text)
        start = text.rfind("\n", 0, comment.start) + 1
    return [Edit(Span(this.span.file, start, end), "")]
