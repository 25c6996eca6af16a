"""What checking every spec and comparing with the base found, and whether the job fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from legoc.diagnostics import Diagnostic
from legoc.github.event import Base, Workflow
from legoc.render.github import command, render_github
from legoc.review.compare import Report, compare
from legoc.review.git import Repository
from legoc.review.limits import Limit, refusals
from legoc.review.render.findings import findings
from legoc.review.revisions import Commit, pairs, specs_of
from legoc.review.rules import Impact
from legoc.source import SourceFile
from legoc.spec import check_text
from legoc_runtime.errors import UsageError

HEAD = "HEAD"
EXIT_FOUND, EXIT_UNREADABLE = 1, 2
_FETCH = "fetch the history: `actions/checkout` with `fetch-depth: 0`"


@dataclass(frozen=True)
class Asked:
    """What the workflow asks for.

    Attributes:
        paths: files, folders and patterns of specs; none is the whole repository.
        base: what to compare with; None is what the event says.
        fail_on: the class from which on the job fails.
        budget: limits that a spec which changed must keep.
    """

    paths: tuple[str, ...]
    base: str | None
    fail_on: Impact | None
    budget: tuple[Limit, ...]


@dataclass(frozen=True)
class Outcome:
    """What was found.

    Attributes:
        checked: the specs of the new state.
        diagnostics: what is wrong with them.
        commit: the new state.
        report: what changed; None where there was nothing to compare with.
        refused: why the job fails, beside errors of specs: a sentence a limit that is not kept.
        inconclusive: a side that cannot be read leaves it open whether the job passes.
        has_limits: whether a class or a budget is to be refused.
    """

    checked: tuple[str, ...]
    diagnostics: tuple[Diagnostic, ...]
    commit: str
    report: Report | None
    refused: tuple[str, ...]
    inconclusive: bool
    has_limits: bool

    @property
    def unread_here(self) -> frozenset[str]:
        """Labels of sides that cannot be compared and whose errors are all among `diagnostics`; what stayed has two."""
        unread = self.report.unreadable if self.report else ()
        said = set(map(_words, self.diagnostics))
        return frozenset(side.label for side in unread if said.issuperset(map(_words, side.in_files)))

    @property
    def has_errors(self) -> bool:
        """Whether a spec of the new state does not check."""
        return any(diagnostic.severity == "error" for diagnostic in self.diagnostics)

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing that a reader of the pull request has to know."""
        changed = self.report is not None and (
            self.report.reviews or self.report.added or self.report.removed or self.report.unreadable
        )
        return not (changed or self.diagnostics or self.refused)

    @property
    def exit_code(self) -> int:
        """1 for errors of specs and limits that are not kept, 2 where nothing can be concluded, else 0."""
        if self.has_errors or self.refused:
            return EXIT_FOUND
        return EXIT_UNREADABLE if self.inconclusive else 0


def find_outcome(workflow: Workflow, asked: Asked) -> Outcome:
    """Check the specs of the commit that is checked out, and compare them with those of the base.

    Raises:
        UsageError: the base is not there, what is checked out is not the pull request, or a path names no spec.
    """
    with Repository(Path()) as repository:
        head = repository.commit(HEAD)
        if head is None:
            raise UsageError("nothing is checked out here", help="run `actions/checkout` first")
        after = Commit(repository, HEAD, head)
        before = _before(repository, workflow, asked.base, head)
        found = () if before is None else pairs(repository, before, after, asked.paths)
        report = None if before is None else compare(before.revision or "", workflow.after, found)
        paths = specs_of(repository, after, asked.paths)
        if report is None and asked.paths and not paths:
            raise UsageError(f"there is no spec at {', '.join(asked.paths)}", help="name a spec or a folder of specs")
        diagnostics = tuple(diagnostic for path in paths for diagnostic in _checked(after, path))
    refused = refusals(report, asked.fail_on, asked.budget) if report else ()
    refused = tuple(sentence.removeprefix(f"{HEAD}:") for sentence in refused)
    # what was cannot be mended any more, so that it fails the job only where it leaves a limit open
    has_limits = asked.fail_on is not None or bool(asked.budget)
    unread = [side for side in report.unreadable if has_limits or _is_new(side.label)] if report else []
    return Outcome(tuple(paths), tuple(dict.fromkeys(diagnostics)), head, report, refused, bool(unread), has_limits)


def annotated(outcome: Outcome) -> str:
    """One workflow command a line: what is wrong with specs, then every change on its line of the new state."""
    lines = [render_github(outcome.diagnostics)]
    if outcome.report is None:
        return "".join(lines)
    for found in findings(outcome.report):
        if found.title.startswith("legoc diff"):
            lines.append(command(found.diagnostic, found.level, found.title) + "\n")
    # what was cannot be pointed at: its lines are in no file of the new state
    for side in outcome.report.unreadable:
        if not _is_new(side.label):
            first = side.diagnostics[0]
            what = Diagnostic(first.code, "warning", f"{side.label} cannot be compared: {first.message}", None)
            lines.append(command(what, "warning", f"legoc {first.code}") + "\n")
    return "".join(dict.fromkeys(lines))


def _words(diagnostic: Diagnostic) -> tuple[str, str, str]:
    path = diagnostic.primary.span.file.name if diagnostic.primary else ""
    return path, diagnostic.code, diagnostic.message


def _is_new(label: str) -> bool:
    return label.startswith(f"{HEAD}:")


def _checked(tree: Commit, path: str) -> Sequence[Diagnostic]:
    source = tree.read(path)
    return check_text(source.text, path, files=tree).diagnostics if isinstance(source, SourceFile) else (source,)


def _before(repository: Repository, workflow: Workflow, asked: str | None, head: str) -> Commit | None:
    """The state to compare with: where the histories of the base and of what is checked out part."""
    pull = workflow.pull_request
    if pull is not None and repository.commit(pull.head) is None:
        raise UsageError("the commits of the pull request are not here", help=_FETCH)
    if pull is not None and repository.merge_base(pull.head, head) != pull.head:
        help = "check out the pull request; on `pull_request` that is what `actions/checkout` does by itself"
        raise UsageError("what is checked out does not have the commits of the pull request", help=help)
    base = workflow.base if asked is None else Base(asked, asked)
    if base is None:
        return None
    if asked is None and pull is not None and repository.commit(f"{HEAD}^2") == pull.head:
        # GitHub's own merge of the pull request: what merging does is the difference to its first parent
        base = Base(repository.commit(f"{HEAD}^1") or base.commit, base.label)
    old = repository.commit(base.commit)
    if old is None:
        raise UsageError(f"the base {base.label} is not here", help=_FETCH)
    parted = repository.merge_base(old, head)
    if parted is None:
        raise UsageError(f"{base.label} and what is checked out have no common ancestor here", help=_FETCH)
    return Commit(repository, base.label, parted)
