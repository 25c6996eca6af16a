"""Hovers: what a brick costs, what a predicate leaves out, what a key means."""

from __future__ import annotations

import json
from typing import Any, cast

from lsprotocol.types import Hover, MarkupContent, MarkupKind

from legoc.cost import counts
from legoc.cost.table import parameter_count, quantity
from legoc.lsp.cursor import Place, is_predicate, place_at
from legoc.lsp.documents import Document
from legoc.schema import JsonSchema, choices_at, is_closed, key_at
from legoc.spec.resolved import StackSpec
from legoc_runtime.contract.canvas_request import canvas_of
from legoc_runtime.contract.policy import Break, Policy, TruthTable, tabulate
from legoc_runtime.contract.predicate import text as predicate_text
from legoc_runtime.contract.schedule import evaluations, sampling_levels
from legoc_runtime.contract.stack import BrickShape

NO_FIGURES = "*No figures while the spec has errors.*"


def hover(document: Document, offset: int) -> Hover | None:
    """What to say about the place at an offset, as Markdown; None where there is nothing to say."""
    place = place_at(document.tree, offset) if document.tree else None
    if place is None:
        return None
    words = _words(document, place)
    if words is None:
        return None
    return Hover(MarkupContent(MarkupKind.Markdown, words), document.positions.range(place.span.start, place.span.end))


def _words(document: Document, place: Place) -> str | None:
    spec = document.spec
    if place.brick is not None:
        card = brick_card(spec, place.brick) if spec else f"**brick `{place.brick}`**\n\n{NO_FIGURES}"
        if place.path[0] == "skip_policies" and spec and (policy := _policy(spec, place)):
            return "\n\n".join(part for part in (card, policy_card(spec, policy)) if part)
        return card
    if (place.part == "value" and is_predicate(place.path)) or _names_policy(place):
        policy = _policy(spec, place) if spec else None
        return policy_card(spec, policy) if spec and policy else NO_FIGURES
    entry = key_at(place.path)
    if spec and place.path == ("sample", "size") and (canvas := canvas_of(spec.shape, spec.sample)):
        return f"{key_card('size', entry or {}, [])}\n\n{canvas.describe()}"
    return key_card(str(place.path[-1]), entry, choices_at(place.path)) if entry else None


def _names_policy(place: Place) -> bool:
    return place.part == "key" and len(place.path) == 2 and place.path[0] == "skip_policies"


def key_card(key: str, entry: JsonSchema, choices: list[object]) -> str:
    """What the schema says of a key."""
    parts = [f"**`{key}`**", str(entry.get("description", ""))]
    if choices:
        words = ", ".join(f"`{yaml_text(choice)}`" for choice in choices)
        parts.append(f"One of {words}." if is_closed(entry) else f"{words}, or another value, as in the examples.")
    if examples := entry.get("examples"):
        lines = "\n".join(f"{key}: {yaml_text(example)}" for example in examples)
        parts.append(f"```yaml\n{lines}\n```")
    return "\n\n".join(parts)


def yaml_text(value: Any) -> str:
    """A value as a spec writes it on one line."""
    match value:
        case dict():
            entries = cast("dict[str, Any]", value).items()
            return "{" + ", ".join(f"{key}: {yaml_text(item)}" for key, item in entries) + "}"
        case list():
            return "[" + ", ".join(map(yaml_text, cast("list[Any]", value))) + "]"
        case str() if value.replace("_", "").replace(".", "").replace("/", "").replace("-", "").isalnum():
            return value
        case _:
            return json.dumps(value, ensure_ascii=False)


# Bricks ----------------------------------------------------------------------------------------------------------


def brick_card(spec: StackSpec, id: str) -> str | None:
    """Geometry and cost of a brick; None where the stack has no such brick."""
    if id not in {brick.id for brick in spec.shape.bricks}:
        return None  # of a pretrained one its own keys say what it is
    brick = spec.shape.brick(id)
    parameters, macs = counts.brick_parameters(brick), counts.brick_macs(brick)
    share = parameters / counts.parameters(spec.shape)
    rows = [
        ("windows", _windows(brick)),
        ("tokens", f"{brick.tokens} a window, of {brick.receptive_field}x{brick.receptive_field} pixels"),
        ("blocks", f"{brick.depth}, width {brick.width}, {brick.heads} heads, MLP ratio {brick.mlp_ratio:g}"),
        ("parameters", f"{parameter_count(parameters)} ({share:.1%} of the stack)"),
        ("MACs", f"{quantity(macs)} an image ({macs / counts.macs(spec.shape):.1%} of a forward pass)"),
    ]
    kind = "image-brick" if brick.covers_grid else "patch-brick"
    lines = "\n".join(f"| {name} | {words} |" for name, words in rows)
    return f"**brick `{id}`**, {kind}\n\n| | |\n|---|---|\n{lines}"


def _windows(brick: BrickShape) -> str:
    trained = "" if brick.windows_trained == brick.windows else f"; a training step runs {brick.windows_trained}"
    return f"{brick.windows} of {brick.window[0]}x{brick.window[1]} pixels{trained}"


# Policies --------------------------------------------------------------------------------------------------------


def _policy(spec: StackSpec, place: Place) -> Policy | None:
    """The policy under the cursor; of a predicate, that part of its policy alone."""
    match place.path:
        case ("bricks", _, "skip"):
            found = [id for id in spec.default_skips if _written(spec, place, id)]
            return Policy("default", tuple((id, spec.default_skips[id]) for id in found)) if found else None
        case ("skip_policies", str(name), *rest) if name in spec.policies:
            skips = spec.policies[name].skips
            return Policy(name, tuple(skip for skip in skips if not rest or skip[0] == rest[0]))
        case _:
            return None


def _written(spec: StackSpec, place: Place, brick: str) -> bool:
    """Whether a brick's `skip` is the one under the cursor: a base's bricks stand at other places of the list."""
    span = spec.brick_span(brick, "skip")
    return span is not None and (span.file.name, span.start) == (place.span.file.name, place.span.start)


def policy_card(spec: StackSpec, policy: Policy) -> str:
    """Which steps a policy leaves out over the spec's own schedule, where that changes, and what it saves."""
    sample = spec.sample
    levels = sampling_levels(sample, spec.shape.diffusion)
    table = tabulate(policy, spec.shape.ids, levels)
    lines = [_skipped(table, id, predicate_text(tree)) for id, tree in policy.skips]
    calls = evaluations(sample.sampler, sample.steps)
    canvas = canvas_of(spec.shape, sample)
    rows = None if canvas is None else canvas.rows_by_brick(spec.shape)
    whole = counts.policy_macs(spec.shape, tabulate(Policy("none"), spec.shape.ids, levels), calls, rows)
    saving = 1 - counts.policy_macs(spec.shape, table, calls, rows) / whole
    title = f"**policy `{policy.name}`** over {sample.steps} noise levels, saves {saving:.1%} of the MACs"
    return title + "\n\n" + "\n".join(f"- {line}" for line in lines)


def _skipped(table: TruthTable, brick: str, predicate: str) -> str:
    count, steps = table.skipped(brick), len(table.levels)
    breaks = [_break(item) for item in table.breaks() if item.brick == brick]
    where = f": {'; '.join(breaks)}" if breaks else ""
    return f"`{brick}` is left out in {count} of {steps} steps{where} (`{predicate}`)"


def _break(item: Break) -> str:
    verb = "runs again" if item.runs else "stops"
    return f"{verb} at step {item.step}, sigma {item.sigma:.3g}"
