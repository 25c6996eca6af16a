"""What was meant where a value has the wrong type: the text to write instead, as far as it can be told.

Imported when there is such a value.
"""

from __future__ import annotations

import re
from math import isfinite

from legoc.spec.canonical import quoted
from legoc.spec.findings import shorten
from legoc.spec.language import sections
from legoc.spec.resolved import Path
from legoc.spec.scalars import resolve_plain
from legoc.spec.suggest import pattern
from legoc.spec.tree import MappingNode, Node, ScalarNode, SequenceNode

_YES_NO = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}

_PLAIN = re.compile(r"[A-Za-z0-9_./+-]+")
_COUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kKmMgGbB])")
_SUFFIXES = {"K": "k", "m": "M", "g": "G", "b": "G", "B": "G"}

_BRICKS = "write a list: `- {id: ..., size: ..., depth: ...}`"

_MAPPINGS: dict[Path, str] = {
    ("conditioning",): "{{classes: {}}}",
    ("data",): "{{path: {}}}",
    ("train", "optimizer"): "{{name: {}}}",
    ("train", "drop"): "{{policy: {}}}",
    ("train", "stages", "*"): "{{train: [{}]}}",
    ("bricks", "*", "pretrained"): "{{kind: ..., path: {}}}",
    ("skip_policies", "*"): "{{BRICK: {}}}",
}
"""Sections with the key that one word for them is likely of."""

_NUMBERS: dict[Path, str] = {
    ("grid",): "{{height: {0}, width: {0}, channels: 3}}",
    ("conditioning",): "{{classes: {}}}",
    ("train", "optimizer"): "{{lr: {}}}",
    ("train", "drop"): "{{policy: halfway, rate: {}}}",
}
"""The same for one number."""


def type_help(path: Path, node: Node, expected: str, *, nullable: bool) -> str | None:
    """What to write, or None.

    Args:
        path: the place.
        node: what stands there.
        expected: the type in words.
        nullable: whether `null` may stand there.
    """
    if path == ("sample", "guidance_interval"):
        return _interval_help(node)
    if not isinstance(node, ScalarNode):
        return _BRICKS if path == ("bricks",) else _joined(path, node)
    if path == ("bricks",):
        return _BRICKS
    if node.value is None:
        return _null_help(path)
    if path == ("sample", "regions"):
        return _regions_help(node.text)
    text = node.text
    if expected == "true or false":
        return f"write `{_YES_NO[text.lower()]}`" if text.lower() in _YES_NO else "write `true` or `false`"
    if expected == "text":
        return f'for the text, write it in quotes: "{shorten(text)}"'
    if expected == "a list":
        return f"write `[{shorten(text)}]`"
    if expected == "a mapping" and not isinstance(node.value, bool):
        return _mapping_help(path, node)
    if nullable and text.lower() in ("none", "nil", "nan"):
        return "write `null`"
    return number_help(node, whole="whole" in expected) if "number" in expected else None


def number_help(node: ScalarNode, *, whole: bool) -> str | None:
    """The number that quoted text, `1_000`, `1,000` or `1e4` was meant to be."""
    bare = resolve_plain(node.text.replace("_", "").replace(",", "").strip())
    if not isinstance(bare, int | float) or isinstance(bare, bool) or not isfinite(bare):
        return None
    if whole and isinstance(bare, float):
        if not bare.is_integer() or abs(bare) > 1e15:
            return None
        bare = int(bare)
    return f"write `{bare}`" + (", without quotes" if node.style else "")


def text_help(node: ScalarNode, expected: str) -> str | None:
    """The number that unreadable text was meant to be: "3", or a count such as `350 M`, `10K`, `1B`."""
    if not expected.startswith(("a number of ", "a whole number")):
        return None
    if count := _COUNT.fullmatch(node.text.strip()):
        return f"write `{count[1]}{_SUFFIXES.get(count[2], count[2])}`" if "350M" in expected else None
    return number_help(node, whole=True) if node.style else None


def reversed_help(path: Path, node: Node) -> str | None:
    """An interval whose bounds stand the wrong way round, in order."""
    if path != ("sample", "guidance_interval") or not isinstance(node, SequenceNode):
        return None
    numbers = _numbers(node)
    if len(numbers) != 2 or not all(isfinite(number) for number in numbers) or not 0 <= numbers[1] < numbers[0]:
        return None
    return f"write `[{numbers[1]:g}, {numbers[0]:g}]`: sigma falls while sampling, and bounds have the lower one first"


def _interval_help(node: Node) -> str | None:
    """One bound alone: the interval from it on down."""
    numbers = _numbers(node)
    if len(numbers) != 1 or not 0 < numbers[0] < float("inf"):
        return None
    return f"`[0, {numbers[0]:g}]` guides where sigma is at most {numbers[0]:g}"


def _numbers(node: Node) -> list[float]:
    """The numbers of a list, or a number alone; nothing where anything else is there."""
    items = node.items if isinstance(node, SequenceNode) else (node,)
    values = [item.value for item in items if isinstance(item, ScalarNode)]
    numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return numbers if len(numbers) == len(items) else []


def _joined(path: Path, node: SequenceNode | MappingNode) -> str | None:
    """Seeds or a size that were written as a list, as the text that they are."""
    values = node.items if isinstance(node, SequenceNode) else [value for _, value in node.entries]
    texts = [value.text for value in values if isinstance(value, ScalarNode)]
    if not texts or len(texts) != len(values):
        return None
    if path == ("sample", "seeds") and isinstance(node, SequenceNode):
        return f"write `{shorten(','.join(texts))}`"
    if path == ("sample", "size") and len(texts) == 2 and all(text.isdigit() for text in texts):
        return f"write `{shorten('x'.join(texts))}`, height first"
    return None


def _mapping_help(path: Path, node: ScalarNode) -> str | None:
    is_text = isinstance(node.value, str)
    place = path if path[:1] != ("skip_policies",) else ("skip_policies", "*")
    form = (_MAPPINGS if is_text else _NUMBERS).get(pattern(place))
    if form is None or not node.text:
        return None
    text = "null" if place == ("conditioning",) and node.text.lower() == "none" else shorten(node.text)
    return f"write `{form.format(text if _PLAIN.fullmatch(text) else quoted(text))}`"


def _null_help(path: Path) -> str | None:
    """How a key is taken back that has no null; nothing of one that must be there."""
    section = sections().get(pattern(path[:-1])) if path else None
    key = str(path[-1]) if path else ""
    if section is None or key not in section.keys or key in section.required:
        return None
    return f"leave `{key}` out; over a base that has it, `{key}: {{$delete: true}}` takes it back"


def _regions_help(text: str) -> str:
    """The list that regions in the form of the flag are in a spec."""
    from legoc_runtime.contract.canvas_request import parse_regions
    from legoc_runtime.errors import UsageError

    try:
        regions = parse_regions(text)
    except UsageError:
        return "write `[{class: 3, box: [0, 0, 64, 32]}]`, x across"
    items = (f"{{class: {r.label}, box: [{r.left}, {r.top}, {r.right}, {r.bottom}]}}" for r in regions)
    return f"write `[{shorten(', '.join(items), 160)}]`"
