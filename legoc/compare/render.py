"""A comparison of runs as text, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from legoc.compare.published import ROWS
from legoc.compare.runs import Compared
from legoc.cost.table import parameter_count, quantity
from legoc.render.lines import visible

COMPARE_VERSION = 1

HEAD = ("run", "parameters", "MACs/image", "images", "MACs", "time", "images/s", "loss", "top brick", "held out")
PUBLISHED_HEAD = ("table", "data", "model", "parameters", "GFLOPs", "FID-50K", "source")
PUBLISHED = "Published, not measured here; - was not at hand:"


def render_text(runs: Sequence[Compared], *, paper: bool) -> str:
    """Aligned columns; ends with a newline."""
    text = _aligned(HEAD, [_row(run) for run in runs], left=1)
    if paper:
        text += f"\n{PUBLISHED}\n" + _aligned(PUBLISHED_HEAD, _published(), left=3)
    return text


def render_markdown(runs: Sequence[Compared], *, paper: bool) -> str:
    """Tables of Markdown; ends with a newline."""
    text = _pipes(HEAD, [_row(run) for run in runs])
    if paper:
        text += f"\n{PUBLISHED}\n\n" + _pipes(PUBLISHED_HEAD, _published())
    return text


def render_json(runs: Sequence[Compared], notes: Sequence[str], *, paper: bool) -> str:
    """Versioned JSON; ends with a newline."""
    found = [
        {
            "run": run.label,
            "path": str(run.path),
            "name": run.manifest.name,
            "parameters": run.parameters,
            "macs_an_image": run.macs_an_image,
            "images": run.images,
            "macs": run.macs_an_image * run.images,
            "seconds": run.seconds,
            "loss": run.loss,
            "top_brick": run.top,
            "top_brick_loss": run.top_loss,
            "held_out_top_brick_loss": run.held_out_loss,
        }
        for run in runs
    ]
    body: dict[str, object] = {"compare_version": COMPARE_VERSION, "runs": found, "notes": list(notes)}
    if paper:
        body["published"] = [asdict(row) for row in ROWS]
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def _row(run: Compared) -> tuple[str, ...]:
    seconds = run.seconds
    return (
        visible(run.label),
        parameter_count(run.parameters),
        quantity(run.macs_an_image),
        f"{run.images:,}",
        quantity(run.macs_an_image * run.images),
        "-" if seconds is None else _duration(seconds),
        f"{run.images / seconds:,.0f}" if seconds else "-",
        *(_loss(loss) for loss in (run.loss, run.top_loss, run.held_out_loss)),
    )


def _published() -> list[tuple[str, ...]]:
    return [
        (
            str(row.table),
            row.data,
            row.model,
            row.parameters or "-",
            "-" if row.gflops is None else f"{row.gflops:g}",
            "-" if row.fid is None else f"{row.fid:.2f}",
            row.source,
        )
        for row in ROWS
    ]


def _loss(loss: float | None) -> str:
    return "-" if loss is None else f"{loss:.4f}"


def _duration(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,}h {minutes:02}min" if hours else f"{minutes}min {left:02}s"


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> str:
    lines = [head, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]

    def cell(i: int, text: str) -> str:
        return text.ljust(widths[i]) if i < left or head[i] == "source" else text.rjust(widths[i])

    return "".join("  ".join(cell(i, text) for i, text in enumerate(line)).rstrip() + "\n" for line in lines)


def _pipes(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    escaped = [[text.replace("|", "\\|") for text in row] for row in rows]
    lines = [list(head), ["---"] * len(head), *escaped]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
