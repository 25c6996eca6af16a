"""A spec from text or file, with every problem found in one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from legoc.diagnostics import Diagnostic, SpecError
from legoc.source import SourceFile
from legoc.spec.diffusion import check_diffusion, schedule
from legoc.spec.drafts import draft_bricks
from legoc.spec.extends import Composed, compose_spec
from legoc.spec.files import DISK, Files
from legoc.spec.lints import lint_policies
from legoc.spec.load import Loaded, load
from legoc.spec.policies import check_names, check_tables, parse_predicates, tabulate_policies
from legoc.spec.pretrained import check_pretrained
from legoc.spec.read import read_source
from legoc.spec.resolve import resolve, resolve_sample
from legoc.spec.resolved import StackSpec
from legoc.spec.rules import check_rules
from legoc.spec.sampling import check_interval, check_sampling
from legoc.spec.suppress import suppress
from legoc.spec.training import check_training
from legoc_runtime.contract.settings import OF_CANVASES


class CheckResult(NamedTuple):
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


def check_text(text: str, name: str, overrides: Sequence[str] = (), files: Files = DISK) -> CheckResult:
    """Check a spec given as text.

    Args:
        text: the YAML.
        name: how diagnostics call the file; what it extends is looked for beside this path.
        overrides: each `PATH=VALUE`, as of `--set`; they stand over what the files say.
        files: where what it extends is read from.
    """
    file = SourceFile(name, text)
    composed = compose_spec(file, overrides, files)
    findings = list(composed.findings)
    if composed.tree is None:
        return _result(None, findings, composed)
    loaded, more = load(composed.tree)
    findings += more
    drafts, more = draft_bricks(loaded)
    findings += more
    findings += check_rules(loaded, drafts)
    predicates, more = parse_predicates(loaded)
    findings += more
    findings += check_diffusion(loaded)
    findings += check_pretrained(loaded, drafts)
    findings += check_sampling(loaded)
    findings += _canvas(loaded)
    findings += check_training(loaded, drafts)
    levels = schedule(loaded, resolve_sample(loaded))
    findings += check_interval(loaded, levels)
    tables, more = tabulate_policies(loaded, drafts, predicates, levels)
    findings += more
    findings += check_names(loaded, drafts)
    findings += check_tables(loaded, drafts, predicates, tables, levels)
    findings += lint_policies(loaded, drafts, predicates, tables)
    sound = not any(finding.severity == "error" for finding in findings)
    return _result(resolve(loaded, drafts, predicates) if sound else None, suppress(findings, file), composed)


def check_file(path: Path | str, overrides: Sequence[str] = ()) -> CheckResult:
    """Check a spec file. Whatever the file is, the answer is diagnostics, never an exception.

    Findings beside those of the text: LG001 cannot be read, LG002 not text, LG007 too large.

    Args:
        path: the file.
        overrides: each `PATH=VALUE`, as of `--set`.
    """
    source = read_source(path)
    if not isinstance(source, SourceFile):
        return CheckResult(None, (source,))
    return check_text(source.text, source.name, overrides)


def load_spec(path: Path | str, overrides: Sequence[str] = ()) -> StackSpec:
    """The resolved spec of a file.

    Args:
        path: the file.
        overrides: each `PATH=VALUE`, as of `--set`, for example `bricks.top.depth=8`.

    Raises:
        SpecError: the spec has errors; all diagnostics are in it, warnings too.
    """
    result = check_file(path, overrides)
    if result.spec is None:
        raise SpecError(result.diagnostics)
    return result.spec


def _canvas(loaded: Loaded) -> Iterator[Diagnostic]:
    """What is wrong with a canvas; most specs say nothing of one."""
    if loaded.written.sample is not None and not loaded.written.sample.model_fields_set.isdisjoint(
        ("size", "decode", *OF_CANVASES)
    ):
        from legoc.spec.canvas import check_canvas

        yield from check_canvas(loaded)


def _result(spec: StackSpec | None, findings: list[Diagnostic], composed: Composed) -> CheckResult:
    """Findings once each, in the order of the files."""
    located = dict.fromkeys(map(composed.led_to, findings))
    return CheckResult(spec, tuple(sorted(located, key=composed.order)))
