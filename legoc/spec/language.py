"""The language at run time: its sections and keys, and the validator of written specs.

Both come from `language.json`, which `language_from_models.py` writes from the models of `written.py`. The models stay
the one source; importing pydantic and building them takes several times as long as a check. pydantic's core validates
here as it does there, with the same schemas, so that values and errors are the same (`tests/spec/test_language.py`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pydantic_core import SchemaValidator, from_json

from legoc.spec.readers import READERS

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

    from legoc.spec.resolved import Path
    from legoc.spec.written import Spec

LANGUAGE = FilePath(__file__).with_name("language.json")


class Key(NamedTuple):
    """A key of a section.

    Attributes:
        about: what it is, with its default in parentheses at the end.
        kind: the type of its value in words.
        examples: values that it can have.
    """

    about: str
    kind: str
    examples: list[Any]


class Section(NamedTuple):
    """A section of the language.

    Attributes:
        keys: name -> key, in the language's order.
        required: the keys that must be there, in the same order.
        nullable: those that may be `null`.
        instead: required key -> the key that may stand instead of it.
    """

    keys: dict[str, Key]
    required: tuple[str, ...]
    nullable: tuple[str, ...]
    instead: dict[str, str]


class Record:
    """A section that was read: the attributes of its model. Keys that were not written are None."""

    __slots__ = ("__dict__", "__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__")

    __pydantic_fields_set__: set[str]

    @property
    def model_fields_set(self) -> set[str]:
        """The keys that were written."""
        return self.__pydantic_fields_set__


@cache
def sections() -> dict[Path, Section]:
    """Path -> every section of the language; list indices are `*`."""
    return {
        tuple(path.split(".") if path else ()): Section(
            {name: Key(**key) for name, key in found["keys"].items()},
            tuple(found["required"]),
            tuple(found["nullable"]),
            found["instead"],
        )
        for path, found in _language()["sections"].items()
    }


def read_written(data: dict[str, Any]) -> Spec:
    """The written model of plain data.

    Returns:
        records with the attributes of `written.Spec` and of the sections in it.

    Raises:
        pydantic_core.ValidationError: with every error.
    """
    return cast("Spec", _validator().validate_python(data))


@cache
def _validator() -> SchemaValidator:
    return SchemaValidator(cast("CoreSchema", _with_python(_language()["schema"])))


@cache
def _language() -> dict[str, Any]:
    return from_json(LANGUAGE.read_bytes())


def _with_python(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with the classes and functions that JSON can only name."""
    node = {name: _inside(value) for name, value in schema.items()}
    if node.get("type") == "model":
        node["cls"] = type(node["cls"], (Record,), {})
    elif isinstance(node.get("function"), str):
        node["function"] = {"type": "no-info", "function": READERS[node["function"]]}
    return node


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return _with_python(cast("dict[str, Any]", value))
    return [_inside(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value
