"""What the command line names to a page: one thing, or a comparison."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from legoc.cost.report import Cost, price
from legoc.describe import describe_spec, read_build
from legoc.diagnostics import SpecError
from legoc.history import METRICS_NAME, History, read_history
from legoc.report.about_cost import cost_cards, cost_sections
from legoc.report.about_diff import diff_sections, lead
from legoc.report.about_run import origin_note, run_cards, samples_section, training_section
from legoc.report.about_spec import described, spec_sections, warnings
from legoc.report.html import Html, joined, tag
from legoc.report.page import Page
from legoc.report.parts import Section, cards, code, facts, note
from legoc.report.previews import previews_section
from legoc.report.samples import CHECKPOINTS, SAMPLES, find_samples, trained_images
from legoc.review.compare import Report
from legoc.review.request import compare_request, is_one_thing, read_named
from legoc.review.sides import STDIN, Side, Unreadable, side_of
from legoc.spec.read import MAX_BYTES, read_source, source_of
from legoc_runtime.contract.manifest import Manifest, is_build
from legoc_runtime.errors import RunError, UsageError


@dataclass(frozen=True)
class Reported:
    """A page, and what the command has to say of it.

    Attributes:
        page: the page.
        unreadable: whether a side of a comparison cannot be read, so that nothing may be concluded from it.
    """

    page: Page
    unreadable: bool = False


def report_request(what: Sequence[str], overrides: Sequence[str] = (), *, migrate: bool = False) -> Reported:
    """The page of what a command line names.

    Args:
        what: a spec, build, run, checkpoint or file of weights; or what `legoc diff` takes.
        overrides: as of `--set`, for one spec.
        migrate: whether to say the command that carries checkpoints over.

    Raises:
        UsageError: there is no such thing, or `--set` for something else than one spec.
        SpecError: a spec does not check. A side of a comparison that does not is told in the page instead.
        RunError: a build or a run is damaged.
    """
    if len(what) == 1 and is_one_thing(what[0]):
        return Reported(_page(_one(what[0], overrides), what[0]))
    if overrides:
        raise UsageError("--set is for one spec, and this is a comparison", help="write a spec that `extends` it")
    report = compare_request(what)
    return Reported(_comparison(report, migrate), bool(report.unreadable))


def _one(text: str, overrides: Sequence[str]) -> Side:
    if overrides:
        if Path(text).is_dir() or text.endswith(".safetensors"):
            raise UsageError(f"--set is for specs, and {text} is none", help="name the spec that it was made from")
        source = (
            source_of(sys.stdin.buffer.read(MAX_BYTES + 1), "<stdin>") if text == STDIN else read_source(Path(text))
        )
        side = side_of(text, "spec", source, overrides=overrides)
    else:
        side = read_named(text)
    if isinstance(side, Unreadable):
        raise SpecError(side.diagnostics)
    return side


def _comparison(report: Report, migrate: bool) -> Page:
    names = {review.after.spec.name for review in report.reviews}
    name = names.pop() if len(names) == 1 else "comparison"
    sections = tuple(diff_sections(report, migrate=migrate))
    return Page(name, "comparison", f"{report.before} → {report.after}", lead(report), sections)


def _page(side: Side, text: str) -> Page:
    """The page of one thing: of a run with its training and samples first."""
    path = Path(text)
    run = path if side.kind == "build" and _is_run(path) else None
    parts: list[Html] = [described(side), _from(side), origin_note(run) if run else Html(), warnings(side)]
    found: list[Html] = []
    sections: list[Section] = []
    try:
        manifest, _ = describe_spec(side.spec)
        cost = price(manifest)
    except UsageError as error:
        parts.append(note(f"No figures and no pictures: {error.message}."))
    else:
        if run is not None:
            of_run, sections = _run(run, manifest)
            found += of_run
        sections += _made(path, side, run) + list(cost_sections(side.spec, cost))
        found += _figures(side, cost)
    kind = "run" if run else {"spec": "spec", "build": "build", "weights": "checkpoint"}[side.kind]
    head = joined([*parts, cards(found)])
    return Page(side.spec.name, kind, side.spec.name, head, (*sections, *spec_sections(side)))


def _figures(side: Side, cost: Cost) -> Iterator[Html]:
    return cost_cards(cost, side.spec.sample.skip_policy)


def _run(run: Path, manifest: Manifest) -> tuple[list[Html], list[Section]]:
    history = _history(run)
    trained = trained_images(run)
    sections = [] if history is None else [training_section(history, trained)]
    if history is not None and history.previews:
        sections.append(previews_section(run, history.previews))
    if samples := find_samples(run, read_build(run)[0].spec_hash):
        sections.append(samples_section(samples))
    return list(run_cards(manifest, trained, history)), sections


def _history(run: Path) -> History | None:
    try:
        return read_history(run)
    except OSError as error:
        raise RunError(f"{run / METRICS_NAME} cannot be read: {error.strerror}") from error


def _is_run(path: Path) -> bool:
    return is_build(path) and any((path / name).exists() for name in (METRICS_NAME, CHECKPOINTS, SAMPLES))


def _made(path: Path, side: Side, run: Path | None) -> list[Section]:
    """What a build says of how it was made."""
    if side.kind != "build":
        return []
    manifest, _ = read_build(path)
    rows = (
        ("compiler", manifest.legoc_version),
        ("configurations", ", ".join("+".join(configuration) for configuration in manifest.configurations)),
        ("passes", ", ".join(manifest.passes) or "none"),
        ("spec hash", manifest.spec_hash),
    )
    return [Section("build", "The build", facts(rows))]


def _from(side: Side) -> Html:
    return tag("p", "from ", code(side.label), class_="sub")
