"""A run: how far it came, its curves, and what was sampled from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from legoc.draw.curves import curves_svg
from legoc.history import METRICS_NAME, History
from legoc.inspection.origins import MIGRATION_NAME, origin_of_run
from legoc.inspection.table import origin_words
from legoc.render.lines import counted
from legoc.report.html import Html, joined, tag
from legoc.report.parts import Section, card, code, image, note, picture
from legoc.report.samples import SampleSet, mapping
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.errors import RunError

MAX_SETS = 16
"""Sets of pictures that a page shows; the others are named."""

GRID_SIDE = 480
"""Small grids are enlarged by whole numbers, up to so many pixels a side."""


def run_cards(manifest: Manifest, trained: Sequence[int], history: History | None) -> Iterator[Html]:
    """How far a run came.

    Args:
        manifest: of the run.
        trained: images that its checkpoints were trained on.
        history: what it said of itself.
    """
    last = history.number("images") if history else None
    seen = [0, *trained] if last is None else [0, *trained, int(last)]
    images = max(seen)
    total = manifest.train.images
    yield card("Images trained on", f"{images:,}", f"of {total:,}", share=min(1.0, images / total))
    if history is None:
        return
    loss, rate, seconds = (history.number(key) for key in ("loss", "images_per_second", "seconds"))
    if loss is not None:
        words = f"{loss:.4f}" if abs(loss) < 1e4 else f"{loss:.3g}"  # one that exploded
        yield card("Loss", words, "the last line of its metrics")
    if rate is not None and seconds is not None:
        yield card("Time trained", _duration(seconds), f"{rate:,.0f} images/s at the end")


def origin_note(run: Path) -> Html:
    """What `legoc migrate` made a run of, however long it was trained since; nothing where it made none.

    Raises:
        RunError: the record of the migration is damaged.
    """
    try:
        origin = origin_of_run(run)
    except ValueError as error:
        help = "remove the file to see the page without it"
        raise RunError(f"{run / MIGRATION_NAME}: {error}", help=help) from error
    return Html() if origin is None else tag("p", "migrated from ", code(origin_words(origin)), class_="sub")


def training_section(history: History, trained: Sequence[int]) -> Section:
    """The curves of a run."""
    plots = [
        picture(curves_svg(plot.title, plot.curves, across=plot.across, below=plot.below)) for plot in history.plots
    ]
    words = [f"{counted(history.lines, 'line')} of {METRICS_NAME}"]
    if history.unread:
        words.append(f"{counted(history.unread, 'line')} could not be read")
    if trained:
        words.append(f"checkpoints at {', '.join(f'{images:,}' for images in trained)} images")
    body = (tag("div", *plots, class_="beside"), tag("p", "; ".join(words) + ".", class_="sub"))
    return Section("training", "Training", joined(body))


def samples_section(found: Sequence[SampleSet]) -> Section:
    """The grids, each with what made it."""
    shown = [_set(one) for one in found[:MAX_SETS]]
    body = [tag("div", *shown, class_="grids")]
    if more := found[MAX_SETS:]:
        body.append(note(f"{counted(len(more), 'further set')}: {', '.join(str(one.path) for one in more)}"))
    return Section("samples", "Samples", joined(body))


def _duration(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min {left:02} s" if minutes else f"{left} s"


def _set(found: SampleSet) -> Html:
    policy = _text(found.at("request", "policy", "name"))
    title = tag("h3", f"Policy {policy}" if policy else found.path.name)
    if not found.record:
        return tag("article", title, note("samples.json cannot be read"), code(str(found.path)), class_="set")
    parts: list[Html] = [] if found.is_complete else [note("This set is not complete.")]
    if isinstance(found.grid, str):
        parts.append(note(f"No grid: {found.grid}."))
    else:
        words = ", ".join(_words(found))
        alt = f"Grid of pictures under policy {policy or 'unknown'}: {words}"
        parts.append(image("image/png", found.grid.data, alt, _shown_size(found), None, "grid"))
    facts = tag("p", "; ".join(_words(found)), class_="sub")
    return tag("article", title, *parts, facts, tag("p", code(str(found.path)), class_="sub"), class_="set")


def _words(found: SampleSet) -> Iterator[str]:
    """What made the pictures: `seeds 0-15`, `18 steps`, `guidance 1.5`, and what was saved."""
    seeds, images = found.at("request", "seeds"), found.at("source", "images")
    if isinstance(seeds, str):
        yield f"seeds {seeds if len(seeds) <= 60 else seeds[:59] + '…'}"
    if isinstance(steps := found.at("request", "settings", "steps"), int):
        yield f"{steps} steps"
    if isinstance(guidance := found.at("request", "settings", "guidance"), int | float):
        yield f"guidance {guidance:g}"
    if isinstance(images, int):
        yield f"weights after {images:,} images ({_text(found.at('source', 'kind')) or 'unknown'})"
    for key, word in (("macs_saved", "MACs"), ("time_saved", "time")):
        if isinstance(saved := found.at("timing", key), int | float) and saved:
            yield f"saved {saved:.1%} of the {word}"
    skipped = mapping(found.at("policy", "skipped"))
    if left := [f"{brick} at {count}" for brick, count in skipped.items() if isinstance(count, int) and count]:
        yield f"steps without: {', '.join(left)}"


def _shown_size(found: SampleSet) -> tuple[int, int]:
    assert not isinstance(found.grid, str)
    width, height = found.grid.width, found.grid.height
    times = max(1, GRID_SIDE // max(width, height))
    return width * times, height * times


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
