"""YAML text to the located tree. What YAML allows and specs do not use is reported here; no object is constructed."""

from __future__ import annotations

from dataclasses import replace

from legoc.codes import report
from legoc.diagnostics import Diagnostic, Label
from legoc.source import SourceFile, Span
from legoc.spec.scalars import resolve_plain
from legoc.spec.tree import LocatedTree, MappingNode, Node, ScalarNode, SequenceNode
from legoc.spec.yaml_event import NotYamlError, YamlEvent
from legoc.spec.yaml_events import yaml_events

MAX_CHARACTERS = 200_000
MAX_DEPTH = 20
MAX_NODES = 20_000


def compose(file: SourceFile) -> tuple[LocatedTree | None, list[Diagnostic]]:
    """The tree of a file, and what is wrong with its YAML. No tree where the text is not YAML or not a mapping.

    Findings: LG003 empty, LG004 not YAML, LG005 duplicate key, LG006 unused feature, LG007 too large, LG008 no mapping.
    """
    top = Span(file, 0, 0)
    if len(file.text) > MAX_CHARACTERS:
        message = f"the file has {len(file.text):,} characters; a spec has at most {MAX_CHARACTERS:,}"
        return None, [report("LG007", message, top, help="this does not look like a spec; check the path")]
    root, findings, whole = _document(file, file.text)
    if not whole:
        return None, findings
    if root is None or (isinstance(root, ScalarNode) and root.value is None):
        help = "start with `legoc: 1`; specs/ has examples"
        return None, [*findings, report("LG003", "the file has no content", top, help=help)]
    if not isinstance(root, MappingNode):
        kind = "a list" if isinstance(root, SequenceNode) else "a single value"
        message = f"a spec is a mapping of sections at its top level, found {kind}"
        finding = report("LG008", message, root.span, help="start with `legoc: 1`; specs/ has examples")
        return None, [*findings, finding]
    return LocatedTree(root), findings


def compose_value(file: SourceFile, start: int) -> tuple[Node | None, list[Diagnostic]]:
    """The value that a text holds from an offset on; nothing there is YAML's null. None where it is not YAML.

    Findings: LG004 not YAML, LG005 duplicate key, LG006 unused feature, LG007 too large.
    """
    if len(file.text) > MAX_CHARACTERS:
        message = f"{len(file.text):,} characters; a value has at most {MAX_CHARACTERS:,}"
        return None, [report("LG007", message, Span(file, start, start + 1))]
    # empty lines stand for what comes before: they keep the offsets, and the value begins in the first column
    root, findings, whole = _document(file, "\n" * start + file.text[start:])
    if not whole:
        return None, findings
    return root or ScalarNode(Span(file, start, start), "", None), findings


def _document(file: SourceFile, text: str) -> tuple[Node | None, list[Diagnostic], bool]:
    """The root of a text with the offsets of `file`, the findings, and whether it could be read to its end."""
    builder = _Builder(file)
    try:
        for event in yaml_events(text):
            builder.take(event)
    except _TooLargeError as error:
        return None, [*builder.diagnostics, report("LG007", str(error), error.span)], False
    except NotYamlError as error:
        return None, [*builder.diagnostics, _not_yaml(file, error)], False
    return builder.root, builder.diagnostics, True


def _not_yaml(file: SourceFile, error: NotYamlError) -> Diagnostic:
    at = min(error.at, len(file.text))
    span = Span(file, at, at + 1)
    if error.character is not None:
        return report("LG004", error.message, span, help="remove it, or write it as an escape in double quotes")
    secondary: list[Label] = []
    if error.begun is not None and error.begun != at:
        secondary.append(Label(Span(file, error.begun, error.begun + 1), error.context or "begun here"))
    message = f"this is not YAML: {error.message}"
    return report("LG004", message, span, secondary=secondary, help=_hint(error.message))


def _hint(problem: str) -> str | None:
    if r"'\t'" in problem:
        return "indent with spaces, never with tabs"
    if "expected <block end>" in problem or "mapping values are not allowed" in problem:
        return "check the indentation, and put text that has a colon in quotes"
    if "expected ',' or" in problem or "expected the node content" in problem:
        return "check that every bracket, brace and quote is closed"
    if "undefined alias" in problem or "cannot start any token" in problem:
        return "put text that begins with a special character in quotes"
    return None


class _TooLargeError(Exception):
    def __init__(self, message: str, span: Span) -> None:
        super().__init__(message)
        self.span = span


class _Frame:
    """An open collection: what it holds so far, and the key that waits for its value."""

    def __init__(self, start: int, anchor: str | None, *, is_mapping: bool) -> None:
        self.start, self.anchor, self.is_mapping = start, anchor, is_mapping
        self.items: list[Node] = []
        self.entries: list[tuple[ScalarNode, Node]] = []
        self.keys: dict[str, ScalarNode] = {}
        self.key: ScalarNode | None = None


class _Builder:
    """Events to nodes, with an explicit stack."""

    def __init__(self, file: SourceFile) -> None:
        self.file = file
        self.root: Node | None = None
        self.diagnostics: list[Diagnostic] = []
        self.stack: list[_Frame] = []
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.count = 0
        self.documents = 0

    def take(self, event: YamlEvent) -> None:
        span = Span(self.file, event.start, event.end)
        if event.kind == "document":
            self.documents += 1
            if self.documents == 2:
                self._unused("a second document", span, "keep one spec in a file; remove this `---`")
        if self.documents > 1:
            return
        match event.kind:
            case "alias":
                self._alias(event.anchor or "", span)
            case "scalar":
                self._check_tag(event, span)
                self._scalar(event, span)
            case "sequence" | "mapping":
                self._check_tag(event, span)
                if len(self.stack) >= MAX_DEPTH:
                    raise _TooLargeError(f"more than {MAX_DEPTH} levels of nesting", span)
                self.stack.append(_Frame(span.start, event.anchor, is_mapping=event.kind == "mapping"))
            case "end":
                self._close(span)
            case _:
                pass

    def _close(self, span: Span) -> None:
        frame = self.stack.pop()
        # a block collection ends where its last entry does; its end event lies on the next line
        ends = [node.span.end for _, node in frame.entries] + [node.span.end for node in frame.items]
        end = span.end if span.end > span.start else max([frame.start, *ends])
        whole = Span(self.file, frame.start, end)
        node = MappingNode(whole, tuple(frame.entries)) if frame.is_mapping else SequenceNode(whole, tuple(frame.items))
        self._add(node, frame.anchor)

    def _scalar(self, event: YamlEvent, span: Span) -> None:
        text, style = event.value, event.style
        value, broken = resolve_plain(text) if style is None else text, event.tag is not None
        if style in ("|", ">"):
            body = self.file.text[span.start : span.end]
            span = Span(self.file, span.start, span.start + len(body.rstrip()))
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            self.diagnostics.append(report("LG004", "an escape that is half of a character (a lone surrogate)", span))
            text, broken = "?", True
        self._add(ScalarNode(span, text, value, style, broken), event.anchor)

    def _alias(self, anchor: str, span: Span) -> None:
        if anchor not in self.anchors:
            help = f"write `&{anchor}` before it, and not around it; or quote the text if no alias is meant"
            self.diagnostics.append(report("LG006", f"the alias `*{anchor}` has no anchor above it", span, help=help))
            self._add(ScalarNode(span, f"*{anchor}", None, broken=True), None)
            return
        node, size = self.anchors[anchor]
        self.count += size
        # a scalar keeps the place of its text, where positions inside it are true
        self._add(node if isinstance(node, ScalarNode) else replace(node, span=span), None)

    def _add(self, node: Node, anchor: str | None) -> None:
        self.count += 1
        if self.count > MAX_NODES:
            raise _TooLargeError(f"more than {MAX_NODES:,} values, aliases counted as what they stand for", node.span)
        if anchor:
            self.anchors[anchor] = (node, _size(node))
        if not self.stack:
            self.root = node
        elif not self.stack[-1].is_mapping:
            self.stack[-1].items.append(node)
        elif (key := self.stack[-1].key) is None:
            self.stack[-1].key = self._as_key(node)
        else:
            self.stack[-1].key = None
            self._entry(self.stack[-1], key, node)

    def _as_key(self, node: Node) -> ScalarNode:
        if isinstance(node, ScalarNode):
            return node
        self._unused("a list or mapping as a key", node.span, "keys are plain words")
        return ScalarNode(node.span, "", None, broken=True)

    def _entry(self, frame: _Frame, key: ScalarNode, value: Node) -> None:
        if key.text == "<<" and key.style is None:
            self._unused("a merge key", key.span, "write what bricks share under `brick_defaults:`")
        elif first := frame.keys.get(key.text):
            message = f"the key `{key.text}` is written twice"
            place = [Label(first.span, "first written here")]
            help = "keep one of them"
            self.diagnostics.append(report("LG005", message, key.span, "again here", secondary=place, help=help))
        elif key.text or not key.broken:  # an empty key is unknown like any other; what was reported is left out
            frame.entries.append((key, value))
            frame.keys[key.text] = key

    def _check_tag(self, event: YamlEvent, span: Span) -> None:
        if event.tag is not None:
            written = self.file.text[span.start : span.end].split(maxsplit=1)[0]
            self._unused(f"the tag `{written}`", span, "write the plain value; the kind of every key is fixed")

    def _unused(self, what: str, span: Span, help: str) -> None:
        self.diagnostics.append(report("LG006", f"{what}: specs do not use this part of YAML", span, help=help))


def _size(node: Node) -> int:
    match node:
        case ScalarNode():
            return 1
        case SequenceNode():
            return 1 + sum(_size(item) for item in node.items)
        case MappingNode():
            return 1 + sum(1 + _size(value) for _, value in node.entries)
