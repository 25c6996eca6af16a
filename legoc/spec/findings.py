"""pydantic's errors as located diagnostics, in the user's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from legoc.codes import report
from legoc.diagnostics import Diagnostic, Edit
from legoc.spec.language import sections
from legoc.spec.resolved import Path
from legoc.spec.suggest import close, is_misspelt, pattern
from legoc.spec.tree import LocatedTree, MappingNode, Node, ScalarNode, SequenceNode

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}

_RANGES: dict[str, Callable[[dict[str, Any]], str]] = {
    "greater_than": lambda ctx: f"more than {ctx['gt']:g}",
    "greater_than_equal": lambda ctx: f"at least {ctx['ge']:,}",
    "less_than": lambda ctx: f"less than {ctx['lt']:,}",
    "less_than_equal": lambda ctx: f"at most {ctx['le']:,}",
    "finite_number": lambda ctx: "a finite number",
    "int_parsing_size": lambda ctx: "a smaller number",
}

_PATTERNS: dict[Path, str] = {
    ("name",): "letters, digits, `.`, `_` and `-`, beginning with a letter or digit, at most 64",
    ("bricks", "*", "id"): "lower-case letters, digits and `_`, beginning with a letter, at most 64",
}

_WORDS: dict[Path, tuple[str, ...]] = {
    ("sample", "classes"): ("balanced", "random"),
    ("sample", "ema"): ("first", "none"),
    ("sample", "size"): ("grid",),
    ("sample", "guidance_channels"): ("all",),
    ("sample", "guidance_interval"): ("all",),
}
"""Words that may stand in the place of numbers."""

_OTHER_CHOICES: dict[Path, dict[str, str]] = {
    ("train", "precision"): {
        **dict.fromkeys(("fp32", "float", "single", "32"), "float32"),
        **dict.fromkeys(("bfloat16", "bf16-mixed"), "bf16"),
        **dict.fromkeys(("float16", "half", "16", "16-mixed"), "fp16"),
    },
}
"""What others call a choice."""


def place(tree: LocatedTree, path: Path) -> str:
    """A place in words: `train.optimizer.lr`, or the `depth` of brick `parts`."""
    match path:
        case ("bricks", int(i)):
            return brick_name(tree, i)
        case ("bricks", int(i), *rest):
            return f"`{_dotted(tuple(rest))}` of {brick_name(tree, i)}"
        case ():
            return "the spec"
        case _:
            return f"`{_dotted(path)}`"


def brick_name(tree: LocatedTree, index: int) -> str:
    """A brick in words: by its id, or by its place in the list."""
    id = tree.scalar(("bricks", index, "id"))
    return f"brick `{id.text}`" if id is not None and id.text else f"brick {index + 1} from the bottom"


def _dotted(path: Path) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def found(node: Node) -> str:
    """What stands in the file, in words."""
    match node:
        case MappingNode():
            return "a mapping"
        case SequenceNode():
            return "a list"
        case ScalarNode(value=None):
            return "null" if node.text else "nothing"
        case ScalarNode(value=bool()):
            return f"the truth value {node.text}"
        case ScalarNode(value=str()):
            return f"the text `{shorten(node.text)}`"
        case ScalarNode():
            return f"the number {shorten(node.text)}"


def shorten(text: str, limit: int = 40) -> str:
    """Text for a message: one line, at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def finding(tree: LocatedTree, error: ErrorDetails) -> tuple[Path, Diagnostic]:
    """The place and the diagnostic of one of pydantic's errors (not of unknown keys)."""
    path: Path = error["loc"]
    while not tree.has(path):
        path = path[:-1]  # `diffusion: edn` is checked as {kind: edn}
    node, kind, context = tree.nodes[path], error["type"], error.get("ctx", {})
    if kind in _EXPECTED:
        return path, _wrong_type(tree, path, node, _EXPECTED[kind])
    if kind in ("null", "type"):
        return path, _wrong_type(tree, path, node, error["msg"] if kind == "type" else expected_at(error["loc"]))
    if kind == "literal_error":
        return path, _wrong_choice(tree, path, node, re.findall(r"'([^']*)'", str(context["expected"])))
    if kind in ("too_short", "too_long", "string_too_short", "string_too_long"):
        return path, _wrong_length(tree, path, kind, context)
    if kind in _RANGES or kind == "range":
        limit = error["msg"] if kind == "range" else _RANGES[kind](context)
        message = f"{place(tree, path)} must be {limit}, found {found(node).removeprefix('the number ')}"
        return path, report("LG104", message, tree.span(path), f"must be {limit}", help=_range_help(path, node))
    return path, _wrong_text(tree, path, node, error["msg"])


def expected_at(path: Path) -> str:
    """What a place that was left empty should hold."""
    if pattern(path) in sections():
        return "a mapping"
    if path == ("bricks",):
        return "a list of bricks"
    section = sections().get(pattern(path[:-1]))
    key = section.keys.get(str(path[-1])) if section and path else None
    return f"{key.kind} ({key.about})" if key else "a value"


def listed(choices: Iterable[str]) -> str:
    """`a`, `b` or `c`."""
    *others, last = (f"`{choice}`" for choice in choices)
    return f"{', '.join(others)} or {last}" if others else last


def _wrong_type(tree: LocatedTree, path: Path, node: Node, expected: str) -> Diagnostic:
    from legoc.spec.type_help import type_help

    section = sections().get(pattern(path[:-1]))
    nullable = section is not None and bool(path) and path[-1] in section.nullable
    if path == ("diffusion",):
        expected = "`edm` or a mapping"
    help = type_help(path, node, expected, nullable=nullable)
    expected += " or null" if nullable else ""
    empty = isinstance(node, ScalarNode) and node.text == "" and node.style is None
    span = tree.head(path) if empty or not isinstance(node, ScalarNode) else node.span
    message = f"{place(tree, path)} must be {expected}, found {found(node)}"
    label = "nothing is written here" if empty else f"expected {expected}"
    return report("LG103", message, span, label, help=help, fix=_retyped(node, expected, help))


def _retyped(node: Node, expected: str, help: str | None) -> list[Edit] | None:
    """The edit that the help of a scalar of the wrong type proposes: `yes` to `true`, "4" to 4."""
    is_certain = expected == "true or false" or "number" in expected
    written = re.fullmatch(r"write `([^`]+)`(, without quotes)?", help or "")
    return [Edit(node.span, written[1])] if is_certain and written and isinstance(node, ScalarNode) else None


def _wrong_choice(tree: LocatedTree, path: Path, node: Node, choices: list[str]) -> Diagnostic:
    guess = _OTHER_CHOICES.get(path, {}).get(node.text) if isinstance(node, ScalarNode) else None
    same = guess is not None
    if guess is None and isinstance(node, ScalarNode):
        guess = close(node.text, choices)
    what = f"`{shorten(node.text)}`" if isinstance(node, ScalarNode) and node.text else found(node)
    message = f"{place(tree, path)} must be {listed(choices)}, found {what}"
    help = f"did you mean `{guess}`?" if guess else None
    is_certain = same or (guess is not None and isinstance(node, ScalarNode) and is_misspelt(node.text, guess, choices))
    fix = [Edit(node.span, guess)] if guess is not None and is_certain else None
    return report("LG105", message, tree.span(path), help=help, fix=fix)


def _wrong_length(tree: LocatedTree, path: Path, kind: str, context: dict[str, Any]) -> Diagnostic:
    if pattern(path) == ("sample", "regions", "*", "box"):
        message = f"{place(tree, path)} must have four numbers"
        return report("LG104", message, tree.head(path), help="`[x0, y0, x1, y1]`: x across, the last two outside")
    what = "characters" if kind.startswith("string") else "items"
    bound = f"at least {context['min_length']}" if kind.endswith("short") else f"at most {context['max_length']:,}"
    help = "a stack has one brick or more: `- {id: ..., size: ..., depth: ...}`" if path == ("bricks",) else None
    span = tree.span(path) if tree.scalar(path) else tree.head(path)
    what = what.removesuffix("s") if bound.endswith(" 1") else what
    return report("LG104", f"{place(tree, path)} must have {bound} {what}", span, help=help)


def _wrong_text(tree: LocatedTree, path: Path, node: Node, expected: str) -> Diagnostic:
    expected = _PATTERNS.get(pattern(path), expected)
    text = node.text if isinstance(node, ScalarNode) else ""
    message = f"{place(tree, path)} cannot be `{shorten(text)}`"
    if pattern(path) in _PATTERNS:
        text = _in_ascii(text)
        better = re.sub(r"[^a-z0-9_]+", "_", text.lower()).strip("_")
        better = better if better[:1].isalpha() else f"brick_{better}".rstrip("_")
        better = better[:64] if path[-1] == "id" else re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[:64]
        return report("LG106", message, tree.span(path), expected, help=f"for example `{better}`" if better else None)
    meant = close(shorten(text), _WORDS.get(path, ()))
    help, fix = f"did you mean `{meant}`?" if meant else None, None
    if isinstance(node, ScalarNode) and not meant:
        from legoc.spec.type_help import text_help

        help = text_help(node, expected)
        fix = _retyped(node, expected, help)
    return report("LG106", message, tree.span(path), f"expected {expected}", help=help, fix=fix)


def _in_ascii(text: str) -> str:
    """Text with the letters under its accents: `é` is decomposed, and its mark dropped."""
    from unicodedata import combining, normalize

    return "".join(letter for letter in normalize("NFKD", text) if not combining(letter))


def _range_help(path: Path, node: Node) -> str | None:
    from legoc.spec.type_help import reversed_help

    if path == ("conditioning", "classes"):
        return "an unconditional stack is `classes: null`"
    return reversed_help(path, node)
