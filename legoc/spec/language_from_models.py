"""`language.json` from the models of `written.py`: `python -m legoc.spec.language_from_models`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, cast, get_args, get_origin

from legoc.spec.findings import listed
from legoc.spec.language import LANGUAGE
from legoc.spec.readers import READERS
from legoc.spec.resolved import Path
from legoc.spec.written import Section, Spec

_NOT_NEEDED = ("metadata", "ref", "json_schema_input_schema", "serialization", "computed_fields")
"""What pydantic's core does not validate by."""


def language_text() -> str:
    """The text of `language.json`."""
    sections = {".".join(map(str, path)): _section(model) for path, model in models().items()}
    body = {"sections": sections, "schema": _core(Spec.__pydantic_core_schema__)}
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def models() -> dict[Path, type[Section]]:
    """Path -> model of every section of the language; list indices are `*`."""
    return dict(_walk((), Spec))


def _walk(path: Path, model: type[Section]) -> Iterator[tuple[Path, type[Section]]]:
    yield path, model
    for name, field in model.model_fields.items():
        for steps, inner in _inside(field.annotation):
            yield from _walk((*path, name, *steps), inner)


def _inside(annotation: Any) -> Iterator[tuple[Path, type[Section]]]:
    """The sections in an annotation such as `Grid | None` or `list[Brick] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield (), annotation
        return
    is_list = get_origin(annotation) is list
    for argument in get_args(annotation):
        for steps, inner in _inside(argument):
            yield (("*", *steps) if is_list else steps), inner


def keys_of(model: type[Section]) -> list[str]:
    """The keys of a section as specs write them: `class` cannot be the name of a field."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _section(model: type[Section]) -> dict[str, Any]:
    keys = keys_of(model)
    return {
        "keys": {
            name: {"about": field.description, "kind": _kind(field.annotation), "examples": field.examples}
            for name, field in zip(keys, model.model_fields.values(), strict=True)
        },
        "required": [name for name in keys if name in model.required],
        "nullable": [name for name in keys if name in model.nullable],
        "instead": dict(model.instead),
    }


def _kind(annotation: Any) -> str:
    """The type of a key in words; `a value` where it is several."""
    if get_origin(annotation) is Literal:
        return listed(get_args(annotation))
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0])
    kind: Any = get_origin(annotation) or annotation
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    words |= {list: "a list", dict: "a mapping"}
    if kind in words:
        return words[kind]
    inner = [argument for argument in get_args(annotation) if argument is not type(None)]
    return _kind(inner[0]) if len(inner) == 1 else "a value"


def _core(schema: Any, key: str = "", nullable: frozenset[str] = frozenset()) -> Any:
    """A schema of pydantic's core as JSON: classes and functions by name, what does not validate left out.

    Args:
        schema: the schema.
        key: the key whose value it is of.
        nullable: keys of the section around it that may be `null`.
    """
    if isinstance(schema, list | tuple):
        return [_core(item, key, nullable) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    node = {name: value for name, value in cast("dict[str, Any]", schema).items() if name not in _NOT_NEEDED}
    match node.get("type"):
        case "definitions" | "definition-ref":
            raise AssertionError("a section that stands in two places, or in itself, needs references: write them")
        case "model":
            model: type[Section] = node["cls"]
            return {**_all(node, key, model.nullable), "cls": model.__name__}
        case "model-fields":
            fields = {name: _core(field, name, nullable) for name, field in node["fields"].items()}
            return {**_all(node, key, nullable), "fields": fields}
        case "function-before" if _is_null_rule(node["function"]["function"]):
            if key in nullable:
                return _core(node["schema"], key, nullable)
            assert node["schema"]["type"] == "nullable"
            inner = _core(node["schema"]["schema"], key, nullable)
            return {"type": "function-before", "function": "not_null", "schema": inner}
        case "function-before" | "function-plain":
            return {**_all(node, key, nullable), "function": _name(node["function"]["function"])}
        case _:
            return _all(node, key, nullable)


def _all(node: dict[str, Any], key: str, nullable: frozenset[str]) -> dict[str, Any]:
    # a default is a value, and what JSON cannot hold is treated by the callers
    return {
        name: value if name in ("default", "cls", "function", "fields") else _core(value, key, nullable)
        for name, value in node.items()
    }


def _is_null_rule(function: Callable[..., Any]) -> bool:
    return getattr(function, "__func__", None) is Section.null_means_something.__func__


def _name(function: Callable[..., Any]) -> str:
    name = next((name for name, reader in READERS.items() if reader is function), None)
    assert name is not None, f"{function} has to be one of legoc.spec.readers.READERS"
    return name


if __name__ == "__main__":
    LANGUAGE.write_text(language_text(), encoding="utf-8", newline="\n")
