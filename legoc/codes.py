"""Every diagnostic code: how severe it is, its title, and the page that `legoc explain` shows.

Codes are stable: a number is never reused. LG0xx files and YAML, LG1xx keys and values, LG2xx bricks and geometry,
LG3xx predicates and policies, LG4xx faults of the compiler itself, LG5xx comments that suppress,
LG6xx composition. To add one: a line here, `pages/CODE.md`, and a pair of files in `tests/diagnostics/fixtures`; a test
fails while one of the three is missing.

takes: nothing
gives: codes, titles, pages, and `report`, which makes a Diagnostic of the code's severity
may import: `legoc.source`, `legoc.diagnostics`
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from legoc.diagnostics import Diagnostic, Edit, Label, Severity
from legoc.source import Span

_PAGES = Path(__file__).with_name("pages")


class Code(NamedTuple):
    """A diagnostic code.

    Attributes:
        id: e.g. `LG201`.
        title: what is wrong, in a few words.
        severity: `error` stops a command, `warning` does not.
    """

    id: str
    title: str
    severity: Severity = "error"

    @property
    def page(self) -> str:
        """The explanation: what the rule is, why it is there, an example and its fix (Markdown)."""
        body = (_PAGES / f"{self.id}.md").read_text(encoding="utf-8")
        return f"# {self.id}: {self.title} ({self.severity})\n\n{body}"


CODES: dict[str, Code] = {
    code.id: code
    for code in (
        Code("LG001", "the file cannot be read"),
        Code("LG002", "the file is not text"),
        Code("LG003", "the file is empty"),
        Code("LG004", "not well-formed YAML"),
        Code("LG005", "a key is written twice"),
        Code("LG006", "a part of YAML that specs do not use"),
        Code("LG007", "the file is too large or too deep"),
        Code("LG008", "the top level is not a mapping"),
        Code("LG101", "unknown key"),
        Code("LG102", "missing key"),
        Code("LG103", "a value of the wrong type"),
        Code("LG104", "a value out of range"),
        Code("LG105", "not one of the choices"),
        Code("LG106", "text that cannot be read as its value"),
        Code("LG107", "another version of the language"),
        Code("LG108", "values that contradict each other"),
        Code("LG109", "label dropout without labels", "warning"),
        Code("LG110", "guidance or classes without labels"),
        Code("LG111", "what belongs to another diffusion"),
        Code("LG112", "guidance that never acts", "warning"),
        Code("LG113", "what is said of a canvas, and there is none"),
        Code("LG114", "a canvas that the stack cannot make"),
        Code("LG115", "a region that a canvas cannot have"),
        Code("LG116", "a way of decoding canvases that decodes nothing", "warning"),
        Code("LG201", "a brick's size does not divide the grid"),
        Code("LG202", "a receptive field does not divide its brick"),
        Code("LG203", "heads do not divide the width"),
        Code("LG204", "two bricks with one id"),
        Code("LG205", "a width that four does not divide"),
        Code("LG206", "an image-brick cannot train on a share of its windows"),
        Code("LG207", "no brick has a loss"),
        Code("LG208", "an offset that a brick cannot have"),
        Code("LG209", "a pretrained brick that has no place in the stack"),
        Code("LG210", "a key that a pretrained brick does not have"),
        Code("LG211", "a pretrained model that cannot be read"),
        Code("LG212", "a pretrained model that does not fit"),
        Code("LG213", "windows that do not nest"),
        Code("LG214", "stages of training that cannot be"),
        Code("LG215", "training for skipping that leaves nothing out"),
        Code("LG301", "a predicate does not parse"),
        Code("LG302", "an unknown name in a predicate"),
        Code("LG303", "numbers and truth values mixed up in a predicate"),
        Code("LG304", "a predicate is too long or too deep"),
        Code("LG305", "a policy names a brick that the stack does not have"),
        Code("LG306", "a policy has a name that it cannot have"),
        Code("LG307", "a policy leaves no brick"),
        Code("LG308", "a predicate that decides nothing", "warning"),
        Code("LG309", "two predicates of a policy that hold together", "warning"),
        Code("LG310", "two policies that are one", "warning"),
        Code("LG311", "a policy skips the bottom brick", "warning"),
        Code("LG312", "a brick without a loss of its own gives the picture", "warning"),
        Code("LG313", "a predicate divides by zero or takes the logarithm of what has none", "warning"),
        Code("LG314", "too many predicates for the schedule"),
        Code("LG315", "sampling by a policy that the spec does not have"),
        Code("LG401", "a pass of the compiler failed"),
        Code("LG501", "a suppression comment that cannot be read", "warning"),
        Code("LG502", "a suppression of a code that does not exist", "warning"),
        Code("LG503", "a suppression of what cannot be suppressed", "warning"),
        Code("LG504", "a suppression that suppresses nothing", "warning"),
        Code("LG601", "a base cannot be read"),
        Code("LG602", "files that extend each other in a circle"),
        Code("LG603", "too many files in one spec"),
        Code("LG604", "nothing there to delete"),
        Code("LG605", "a brick is placed beside one that is not there"),
        Code("LG606", "a directive that cannot be obeyed"),
        Code("LG607", "an override that cannot be read"),
        Code("LG608", "an override of a brick that is not there"),
    )
}


def report(
    code: str,
    message: str,
    span: Span,
    label: str = "",
    *,
    secondary: Sequence[Label] = (),
    help: str | None = None,
    fix: Sequence[Edit] | None = None,
) -> Diagnostic:
    """A diagnostic with the severity of its code.

    Args:
        code: one of `CODES`.
        message: one terse sentence.
        span: where the problem is.
        label: a word on that place.
        secondary: other places that belong to it.
        help: what to do.
        fix: the edits that mend it, where they are certain.
    """
    edits = None if fix is None else tuple(fix)
    return Diagnostic(code, CODES[code].severity, message, Label(span, label), tuple(secondary), help, edits)
