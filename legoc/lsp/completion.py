"""Completion in texts that are being written, and therefore mostly are no YAML at the moment.

A probe word is put where the cursor is, in the forms that a key and a value take; the first form in which the text, or
the part of it around the cursor, is YAML shows where in the language the cursor stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from lsprotocol.types import CompletionItem, CompletionItemKind, MarkupContent, MarkupKind, TextEdit

from legoc.lsp.cursor import PLACEMENT, is_predicate
from legoc.lsp.documents import Document, plain_path
from legoc.lsp.hover import brick_card, key_card, yaml_text
from legoc.lsp.vocabulary import FUNCTIONS, NAMES, OPERATORS
from legoc.schema import choices_at, key_at, keys_at
from legoc.source import SourceFile
from legoc.spec.compose import compose
from legoc.spec.resolved import Path as SpecPath
from legoc.spec.tree import LocatedTree, MappingNode
from legoc_runtime.contract.predicate import TIMESTEP_NAMES

PROBE = "legocprobe"
MAX_FILES = 500
"""Entries of a folder that are looked at for what `extends:` may name."""

_WORD_BEFORE = re.compile(r"[A-Za-z0-9_$]*\Z")
_WORD_AFTER = re.compile(r"[A-Za-z0-9_]*")
_SECTION_START = re.compile(r"^[A-Za-z_$]", re.MULTILINE)
_QUOTED_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|(?:^|(?<=\s))#[^\n]*', re.MULTILINE)
_ID_ENTRY = re.compile(r"\bid:[ \t]*([a-z][a-z0-9_]*)")
_CLOSING = {"[": "]", "{": "}"}


@dataclass(frozen=True)
class Spot:
    """Where the cursor stands in the language.

    Attributes:
        part: whether a key or a value is being written.
        path: of a key, the section that it goes into; of a value, its place.
        text: the text with the probe in it, which is YAML.
        siblings: the keys that the section has already.
        written: of a value, what stands in it before the word at the cursor.
    """

    part: Literal["key", "value"]
    path: SpecPath
    text: str
    siblings: frozenset[str] = frozenset()
    written: str = ""


def complete(document: Document, offset: int) -> list[CompletionItem]:
    """What may be written at an offset; empty where nothing is known."""
    start = offset - len(_before(document.text, offset))
    end = offset + len(_after(document.text, offset))
    for spot in spots(document.text, start, end):
        followed = re.match(r"[ \t]*:", document.text[end:]) is not None
        if items := list(_items(document, spot, "" if followed else ": ")):
            where = document.positions.range(start, end)
            for order, item in enumerate(items):
                item.text_edit = TextEdit(where, item.insert_text or item.label)
                item.insert_text = None
                item.sort_text = f"{order:03}"
            return items
    return []


def _before(text: str, offset: int) -> str:
    match = _WORD_BEFORE.search(text, max(0, offset - 64), offset)
    return match[0] if match else ""


def _after(text: str, offset: int) -> str:
    match = _WORD_AFTER.match(text, offset)
    return match[0] if match else ""


# Where the cursor stands -----------------------------------------------------------------------------------------


def spots(text: str, start: int, end: int) -> Iterator[Spot]:
    """Where the word at `start` up to `end` may stand, most probable reading first."""
    for repaired in _repaired(text, start, end):
        tree, _ = compose(SourceFile("probe", repaired))
        if tree is not None and (spot := _find(tree, repaired)) is not None:
            yield spot


def _repaired(text: str, start: int, end: int) -> Iterator[str]:
    """The text with the probe: whole, cut behind the cursor, and the cursor's own section alone."""
    before = text[:start]
    sections = [match.start() for match in _SECTION_START.finditer(before)]
    section = before[sections[-1] :] if sections else before
    for head, tail in ((before, text[end:]), (before, _closers(before)), (section, _closers(section))):
        if tail.lstrip(" \t").startswith(":"):
            yield f"{head}{PROBE}{tail}"
        else:
            yield f"{head}{PROBE}: null{tail}"
            yield f"{head}{PROBE}{tail}"


def _closers(text: str) -> str:
    """What closes the quote and the brackets that a text leaves open."""
    bare = _QUOTED_OR_COMMENT.sub("", text)
    last = bare.rpartition("\n")[2]
    quote = next((character for character in last if character in "\"'"), "")
    stack: list[str] = []
    for character in bare:
        if character in _CLOSING:
            stack.append(_CLOSING[character])
        elif stack and character == stack[-1]:
            stack.pop()
    return quote + "".join(reversed(stack))


def _find(tree: LocatedTree, text: str) -> Spot | None:
    for path, node in tree.nodes.items():
        if isinstance(node, MappingNode):
            keys = [key.text for key, _ in node.entries]
            if PROBE in keys:
                return Spot("key", path, text, frozenset(keys) - {PROBE})
        elif (scalar := tree.scalar(path)) is not None and PROBE in scalar.text:
            return Spot("value", path, text, written=scalar.text.partition(PROBE)[0])
    return None


# What may stand there --------------------------------------------------------------------------------------------


def _items(document: Document, spot: Spot, colon: str) -> Iterator[CompletionItem]:
    match spot.part, spot.path:
        case "key", ("skip_policies", str()):
            yield from _bricks(document, (id for id in _ids(document, spot) if id not in spot.siblings), colon)
        case "key", path:
            yield from _keys(path, spot.siblings, colon)
        case "value", ("extends",) | ("extends", int()):
            yield from _files(Path(document.name), spot.written)
        case "value", path if is_predicate(path):
            yield from _predicate_words(has_timesteps=_is_ddpm(document, spot))
        case "value", ("bricks", int(), key) if key in PLACEMENT:
            yield from _bricks(document, _ids(document, spot), "")
        case "value", ("train", "stages", int(), "train", int()):
            yield from _bricks(document, _ids(document, spot), "")
        case "value", ("sample", "skip_policy"):
            yield from _policies(document, spot, ["none", "halfway"])
        case "value", ("train", "drop", "policy"):
            yield from _policies(document, spot, ["halfway"])
        case "value", path:
            yield from _choices(path)


def _ids(document: Document, spot: Spot) -> list[str]:
    """The bricks of the stack, from whatever of the text can be read."""
    if document.tree is not None:
        return document.ids
    repaired = Document(document.uri, spot.text).ids
    return repaired or list(dict.fromkeys(_ID_ENTRY.findall(document.text)))


def _keys(section: SpecPath, written: Iterable[str], colon: str) -> Iterator[CompletionItem]:
    taken = set(written)
    for key, entry in keys_at(section).items():
        if key not in taken:
            yield CompletionItem(
                key,
                kind=CompletionItemKind.Property,
                detail=_default(entry.get("default")),
                documentation=_markdown(key_card(key, entry, choices_at((*section, key)))),
                insert_text=key + colon,
            )


def _choices(path: SpecPath) -> Iterator[CompletionItem]:
    entry = key_at(path)
    for choice in choices_at(path):
        text = yaml_text(choice)
        default = entry is not None and entry.get("default") == choice
        yield CompletionItem(text, kind=CompletionItemKind.EnumMember, detail="the default" if default else None)


def _bricks(document: Document, ids: Iterable[str], colon: str) -> Iterator[CompletionItem]:
    for id in ids:
        card = brick_card(document.spec, id) if document.spec else None
        yield CompletionItem(
            id,
            kind=CompletionItemKind.Reference,
            detail="brick",
            documentation=_markdown(card) if card else None,
            insert_text=id + colon,
        )


def _policies(document: Document, spot: Spot, built_in: list[str]) -> Iterator[CompletionItem]:
    """The policies that a stack can be sampled with, as far as the text or one of its bases names them."""
    readable = Document(document.uri, spot.text)
    trees = [readable.tree, *(tree for _, tree in readable.bases)]
    nodes = [tree.nodes.get(("skip_policies",)) for tree in trees if tree]
    own = [key.text for node in nodes if isinstance(node, MappingNode) for key, _ in node.entries]
    for name in dict.fromkeys([*built_in, *(name for name in own if not name.startswith("$"))]):
        yield CompletionItem(name, kind=CompletionItemKind.EnumMember, detail="skip policy")


def _files(spec: Path, written: str) -> Iterator[CompletionItem]:
    """The specs that a spec may extend, and the folders on the way to them, beside it or where the path leads so far.

    Args:
        spec: the file that is being written.
        written: what stands before the word at the cursor, which the completion leaves alone.
    """
    folder, _, begun = written.rpartition("/")
    base = spec.parent / (f"{folder}/" if "/" in written else "")
    try:
        entries = sorted(islice(base.iterdir(), MAX_FILES), key=lambda path: (path.is_dir(), path.name))
    except OSError:
        return
    for path in entries:
        is_folder = path.is_dir()
        wanted = is_folder or (path.suffix in (".yaml", ".yml") and plain_path(path) != plain_path(spec))
        if wanted and path.name.startswith(begun) and not path.name.startswith("."):
            rest = path.name.removeprefix(begun) + ("/" if is_folder else "")
            kind = CompletionItemKind.Folder if is_folder else CompletionItemKind.File
            yield CompletionItem(path.name + ("/" if is_folder else ""), kind=kind, filter_text=rest, insert_text=rest)


def _is_ddpm(document: Document, spot: Spot) -> bool:
    """Whether the stack's diffusion has timesteps, as far as the text or one of its bases says so."""
    if document.spec is not None:
        return document.spec.shape.diffusion.kind == "ddpm"
    readable = Document(document.uri, spot.text)
    trees = [readable.tree, *(tree for _, tree in readable.bases)]
    kinds = [tree.scalar(path) for tree in trees if tree for path in (("diffusion",), ("diffusion", "kind"))]
    return any(kind is not None and kind.text == "ddpm" for kind in kinds)


def _predicate_words(*, has_timesteps: bool) -> Iterator[CompletionItem]:
    absent = () if has_timesteps else TIMESTEP_NAMES
    for name, words in NAMES.items():
        if name in absent:
            continue
        yield CompletionItem(name, kind=CompletionItemKind.Variable, documentation=_markdown(words))
    for name, words in FUNCTIONS.items():
        documentation = _markdown(words)
        yield CompletionItem(
            name, kind=CompletionItemKind.Function, documentation=documentation, insert_text=f"{name}("
        )
    for name, words in OPERATORS.items():
        yield CompletionItem(name, kind=CompletionItemKind.Operator, documentation=_markdown(words))


def _default(value: object) -> str | None:
    return None if value is None else f"default {yaml_text(value)}"


def _markdown(text: str) -> MarkupContent:
    return MarkupContent(MarkupKind.Markdown, text)
