"""The JSON Schema of the language, for editors: draft-07, written from the models that `legoc check` reads with.

takes: the models of `legoc.spec.written`
gives: the schema as data and as text, and what it says of one key
may import: `legoc.spec`
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

from legoc.source import SourceFile
from legoc.spec.compose import compose
from legoc.spec.language import sections
from legoc.spec.resolved import Path
from legoc.spec.suggest import pattern, section_name
from legoc.spec.tree import plain
from legoc.spec.written import Spec

SCHEMA_VERSION = 1
"""The version of the language that the schema describes."""

SCHEMA_ID = f"urn:legoc:schema:v{SCHEMA_VERSION}"
SCHEMA_PATH = f"schema/legoc-v{SCHEMA_VERSION}.json"
"""Where the repository keeps it."""

POLICY_NAME = r"^(\$delete|(?!(none|halfway|default)$)[A-Za-z][A-Za-z0-9_-]{0,63})$"

TITLE = "legoc spec"

JsonSchema = dict[str, Any]

_WORD_FOR_SECTION: dict[Path, str] = {("diffusion",): "kind"}
"""Sections that may be written as one word, the value of this key."""

_DEFAULT_IN_WORDS = re.compile(r" \((?P<default>[^()]*)\)\Z")
"""A description ends with the default, where there is one: a value, or words for a value that is computed."""

_IS_BASE: JsonSchema = {"not": {"anyOf": [{"required": ["legoc"]}, {"required": ["name"]}]}}

_DELETE: JsonSchema = {
    "enum": [True],
    "title": "$delete",
    "description": "Take away what the files that this one extends say here. Beside other keys: replace it. "
    "Default: merge.",
    "examples": [True],
}
_DELETED: JsonSchema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"$delete": _DELETE},
    "required": ["$delete"],
}


def _placement(side: str) -> JsonSchema:
    return {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,63}$",
        "title": f"${side}",
        "description": f"Place this brick directly {side} the brick of this id. "
        "Default: where the base has it; a new brick goes on top.",
        "examples": ["detail"],
    }


_ABOUT = ("default", "description", "examples", "title")


@cache
def schema() -> JsonSchema:
    """The whole schema. Every key has a title, a description that ends with the default, and examples.

    `default` is there where the default is a constant; a computed one is only said in words.

    What must be there is asked for neither of files that extend others, which may have it from them, nor of bases,
    which say neither `legoc` nor `name`. The two forms of the language are written out one beside the other, since
    editors offer a key once for every place of the schema that names it.
    """
    whole, layer = _root(complete=True), _root(complete=False)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": SCHEMA_ID,
        "title": TITLE,
        "description": "A stack of LEGO bricks (arXiv 2310.06389), as `legoc check` reads it.",
        "type": "object",
        "if": {"anyOf": [{"required": ["extends"]}, _IS_BASE]},
        "then": layer,
        "else": whole,
    }


def schema_text() -> str:
    """The schema as a file: stable for the same language, ends with a newline."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def keys_at(section: Path) -> dict[str, JsonSchema]:
    """The keys of a section with their schemas, in the language's order; empty where there is no section.

    Args:
        section: a path such as ("train", "optimizer"); list indices may be numbers or `*`.
    """
    at = _at(section)
    for variant in (at, *at.get("anyOf", [])) if at else ():
        if found := variant.get("properties"):
            return dict(found)
    return {}


def key_at(path: Path) -> JsonSchema | None:
    """What the schema says of the key that a path ends in, or None where the language has no such key."""
    return keys_at(path[:-1]).get(str(path[-1])) if path else None


def choices_at(path: Path) -> list[Any]:
    """The values that a key can be chosen from; empty where it is free."""
    return list(_choices(key_at(path) or {}))


def _choices(node: JsonSchema) -> Iterator[Any]:
    if node.get("type") == "boolean":
        yield from (True, False)
    yield from node.get("enum", [])
    for variant in node.get("anyOf", []):
        yield from _choices(variant)


def is_closed(entry: JsonSchema) -> bool:
    """Whether the choices of an entry are all the values that it has, null and `{$delete: true}` left out."""
    if variants := entry.get("anyOf"):
        return all(is_closed(variant) for variant in variants)
    return (
        "enum" in entry or entry.get("type") in ("boolean", "null") or list(entry.get("properties", ())) == ["$delete"]
    )


def _at(path: Path) -> JsonSchema | None:
    node: JsonSchema | None = schema()["then"]
    for part in pattern(path):
        node = _step(node, str(part)) if node else None
    return node


def _step(node: JsonSchema, part: str) -> JsonSchema | None:
    """One step into a schema: into the items of a list or the key of a mapping, through alternatives."""
    for variant in (node, *node.get("anyOf", [])):
        found = variant.get("items") if part == "*" else variant.get("properties", {}).get(part)
        if found is None and part != "*" and isinstance(variant.get("additionalProperties"), dict):
            found = variant["additionalProperties"]
        if found is not None:
            return cast("JsonSchema", found)
    return None


# From pydantic's schema to an editor's ---------------------------------------------------------------------------


def _root(*, complete: bool) -> JsonSchema:
    raw = Spec.model_json_schema()
    return _Writer(raw.pop("$defs"), complete).section((), raw)


class _Writer:
    """Writes sections with everything inside them in place: editors follow references unevenly.

    Attributes:
        definitions: pydantic's schemas of the models.
        complete: whether what a spec must have must be in this file.
    """

    def __init__(self, definitions: JsonSchema, complete: bool) -> None:
        self.definitions = definitions
        self.complete = complete

    def section(self, path: Path, raw: JsonSchema) -> JsonSchema:
        needed = sections()[path].required
        keys = sorted(raw["properties"], key=lambda key: key not in needed)  # stable: else the models' own order
        properties = {key: self.key((*path, key), raw["properties"][key]) for key in keys}
        if path == ("bricks", "*"):
            properties |= {"$before": _placement("before"), "$after": _placement("after"), "$delete": _DELETE}
        elif path and "*" not in path:  # every other list is replaced as a whole
            properties["$delete"] = _DELETE
        return {
            "title": section_name(path).strip("`:") if path else TITLE,
            "type": "object",
            "description": str(raw.get("description", "")).partition("\n\n")[0],
            "additionalProperties": False,
            **self.required(path),
            "properties": properties,
        }

    def required(self, path: Path) -> JsonSchema:
        """What must be there; a brick of an incomplete file is still told by its id."""
        section = sections()[path]
        needed = section.required
        if not self.complete and ("*" not in path or path[0] == "bricks"):
            return {"required": ["id"]} if path == ("bricks", "*") else {}
        found: JsonSchema = {"required": [key for key in needed if key not in section.instead]} if needed else {}
        for key, other in section.instead.items():
            found |= {"if": {"not": {"required": [other]}}, "then": {"required": [key]}}
        return found

    def key(self, path: Path, raw: JsonSchema) -> JsonSchema:
        key = str(path[-1])
        nullable = key in sections()[path[:-1]].nullable
        variants = [node for node in _variants(raw) if nullable or node != {"type": "null"}]
        clean = [self.clean(path, node) for node in variants]
        if path in _WORD_FOR_SECTION:
            word = clean[0]["properties"][_WORD_FOR_SECTION[path]]
            clean.insert(0, {"enum": word["enum"]})
        if _can_be_deleted(path):
            clean.append(_DELETED)
        description = str(raw.get("description", ""))
        # pydantic sorts the keys inside examples; the models have them as people write them
        examples = sections()[path[:-1]].keys[key].examples
        about = {"title": key, "description": _sentences(description), "examples": examples}
        found: JsonSchema = _one_of(clean) | about
        return found | _default(found, description)

    def clean(self, path: Path, node: JsonSchema) -> JsonSchema:
        """One alternative of a key in draft-07, with the model that it refers to in its place."""
        if "$ref" in node:
            return self.section(path, self.definitions[node["$ref"].rpartition("/")[2]])
        node = dict(node)
        if path == ("legoc",):
            node["enum"] = [SCHEMA_VERSION]
        if "const" in node:
            node["enum"] = [node.pop("const")]
        if "pattern" in node:
            node["pattern"] = node["pattern"].replace(r"\A", "^").replace(r"\z", "$")
        if "items" in node:
            node["items"] = self.clean((*path, "*"), node["items"])
        if path == ("skip_policies",) and node.get("type") == "object":
            return _policies(node)
        return node


def _one_of(variants: list[JsonSchema]) -> JsonSchema:
    """Alternatives as one schema, where each has a type of its own: editors then name the types in what they say.

    The rules of one type, such as `minimum` and `pattern`, ask nothing of values of another.
    """
    types = [variant.get("type") for variant in variants]
    has_choices = "boolean" in types or any("enum" in variant for variant in variants)  # to offer them one by one
    if len(variants) == 1 or has_choices or None in types or len(set(types)) < len(types):
        return variants[0] if len(variants) == 1 else {"anyOf": variants}
    merged: JsonSchema = {}
    for variant in variants:
        merged |= variant
    return {**merged, "type": types}


def _can_be_deleted(path: Path) -> bool:
    """Whether `{$delete: true}` may stand for a value. Mappings have the key `$delete` of their own."""
    mapping = path in sections() or path == ("skip_policies",)
    if "*" in path and path[0] != "bricks":
        return False
    return not mapping and path != ("extends",) and path[-1] not in sections()[path[:-1]].required


def _variants(raw: JsonSchema) -> Iterator[JsonSchema]:
    """The alternatives of a key, nested ones flattened; the key's own words are not part of them."""
    if "anyOf" not in raw:
        yield {
            name: value for name, value in raw.items() if name not in ("default", "description", "examples", "title")
        }
        return
    for node in raw["anyOf"]:
        yield from _variants(node)


def _policies(node: JsonSchema) -> JsonSchema:
    """`skip_policies`: names that people choose, over the ids of their own bricks."""
    policy = cast("JsonSchema", node["additionalProperties"])
    predicate = {
        "anyOf": [policy["additionalProperties"], _DELETED],
        "title": "predicate",
        "description": "Predicate: the policy leaves this brick out where it holds.",
        "examples": sections()["bricks", "*"].keys["skip"].examples,
    }
    policy |= {
        "title": "policy",
        "description": "A skip policy: brick id -> predicate. A brick that it does not name always runs.",
        "properties": {"$delete": _DELETE},
        "additionalProperties": predicate,
    }
    return {
        **node,
        "properties": {"$delete": _DELETE},
        "additionalProperties": policy,
        "propertyNames": {"pattern": POLICY_NAME},
    }


def _sentences(description: str) -> str:
    """The description of a model's field as a sentence, and its default as a second one."""
    default = default_in_words(description)
    sentence = _DEFAULT_IN_WORDS.sub("", description)
    return sentence[:1].upper() + sentence[1:] + "." + (f" Default: {default}." if default else "")


def default_in_words(description: str) -> str | None:
    """What the description of a model's field says of its default: the parenthesis at its end."""
    match = _DEFAULT_IN_WORDS.search(description)
    return match["default"] if match else None


def _default(node: JsonSchema, description: str) -> JsonSchema:
    """`default`, where the words for it are a value that the key can have."""
    words = default_in_words(description)
    tree, _ = compose(SourceFile("default", f"value: {words}")) if words else (None, [])
    value = plain(tree.root)["value"] if tree else None
    if value is None or (isinstance(value, str) and not _is_text_of(node, value)):
        return {}
    return {"default": value}


def _is_text_of(node: JsonSchema, text: str) -> bool:
    """Whether a key can have a text: as one of its choices, or by a pattern. Words about a default are neither."""
    variants = [node, *node.get("anyOf", [])]
    patterns = [variant["pattern"] for variant in variants if "pattern" in variant]
    return text in _choices(node) or any(re.search(pattern, text) for pattern in patterns)
