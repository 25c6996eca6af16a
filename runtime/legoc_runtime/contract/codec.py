"""Frozen dataclasses to JSON and back, by their own type annotations. Strict, and no code comes from data.

Closed unions are told apart by a tag: operations by `op`, value types by `type`, diffusions by `kind`; predicates have
their own form.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from legoc_runtime.contract import predicate, program, stack
from legoc_runtime.errors import RunError

T = TypeVar("T")

_VALUE_TYPES: dict[str, type[Any]] = {
    kind.__name__: kind for kind in cast("tuple[type[Any], ...]", get_args(program.ValueType))
}
_DIFFUSIONS: dict[str, type[Any]] = {
    kind.kind: kind for kind in cast("tuple[type[stack.Diffusion], ...]", get_args(stack.Diffusion))
}
_PREDICATE = set(cast("tuple[type[Any], ...]", get_args(predicate.Expr)))
_OPS = set(program.OPS.values())


def encode(value: object) -> Any:
    """A dataclass tree as JSON-ready data."""
    if type(value) in _PREDICATE:
        return predicate.to_json(cast("predicate.Expr", value))
    if type(value) in _OPS:
        return {"op": cast("program.Op", value).name, **encode_fields(value)}
    if type(value) in _VALUE_TYPES.values():
        return {"type": type(value).__name__, **encode_fields(value)}
    if type(value) in _DIFFUSIONS.values():
        return {"kind": cast("stack.Diffusion", value).kind, **encode_fields(value)}
    if is_dataclass(value):
        return encode_fields(value)
    if isinstance(value, tuple | list):
        return [encode(item) for item in cast("tuple[object, ...]", value)]
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in cast("Mapping[object, object]", value).items()}
    return value


def encode_fields(value: object) -> dict[str, Any]:
    """The fields of one dataclass as JSON-ready data, in field order."""
    return {f.name: encode(getattr(value, f.name)) for f in fields(cast("Any", value))}


def decode(kind: type[T], data: object, *, where: str) -> T:
    """Data as an instance of `kind`. Raises RunError naming the place on the first thing that does not fit."""
    return cast("T", _decode(kind, data, where))


def _fail(where: str, expected: str, data: object) -> RunError:
    found = type(cast("object", data)).__name__ if isinstance(data, dict | list) else repr(data)[:60]
    return RunError(f"{where}: expected {expected}, found {found}", help="build it again with `legoc build`")


def _decode(kind: Any, data: object, where: str) -> Any:
    origin = get_origin(kind)
    if kind == predicate.Expr:
        return predicate.from_json(data)
    if kind == program.Op:
        return _tagged(program.OPS, "op", data, where)
    if kind == program.ValueType:
        return _tagged(_VALUE_TYPES, "type", data, where)
    if kind == stack.Diffusion:
        return _tagged(_DIFFUSIONS, "kind", data, where)
    if is_dataclass(kind):
        return _decode_fields(cast("type[Any]", kind), data, where)
    if origin is Literal:
        if data not in get_args(kind):
            raise _fail(where, " or ".join(map(repr, get_args(kind))), data)
        return data
    if origin in (Union, types.UnionType):
        options = [option for option in get_args(kind) if option is not type(None)]
        if data is None and len(options) < len(get_args(kind)):
            return None
        return _decode(options[0], data, where)
    if origin is tuple:
        return _decode_tuple(kind, data, where)
    if origin is dict:
        if not isinstance(data, dict):
            raise _fail(where, "a mapping", data)
        _, item = get_args(kind)
        return {str(k): _decode(item, v, f"{where}.{k}") for k, v in cast("dict[Any, object]", data).items()}
    if kind is float and type(data) in (int, float):
        return float(cast("float", data))
    if kind in (int, str, bool) and type(data) is kind:
        return data
    raise _fail(where, getattr(kind, "__name__", str(kind)), data)


def _decode_tuple(kind: Any, data: object, where: str) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise _fail(where, "a list", data)
    items, arguments = cast("list[object]", data), get_args(kind)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_decode(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(items))
    if len(items) != len(arguments):
        raise _fail(where, f"{len(arguments)} items", items)
    return tuple(_decode(a, item, f"{where}[{i}]") for i, (a, item) in enumerate(zip(arguments, items, strict=True)))


def _tagged(kinds: Mapping[str, type[Any]], tag: str, data: object, where: str) -> Any:
    mapping = cast("dict[str, object]", data) if isinstance(data, dict) else {}
    name = mapping.get(tag)
    if not isinstance(name, str) or name not in kinds:
        raise _fail(where, f"a mapping whose `{tag}` is one of {', '.join(kinds)}", name or "nothing of that kind")
    rest = {key: value for key, value in mapping.items() if key != tag}
    return _decode_fields(kinds[name], rest, where)


_HINTS: dict[type[Any], dict[str, Any]] = {}


def _hints(kind: type[Any]) -> dict[str, Any]:
    if kind not in _HINTS:
        hints = get_type_hints(kind)
        _HINTS[kind] = {f.name: hints[f.name] for f in fields(kind)}
    return _HINTS[kind]


def _decode_fields(kind: type[Any], data: object, where: str) -> Any:
    if not isinstance(data, dict):
        raise _fail(where, "a mapping", data)
    mapping, hints = cast("dict[str, object]", data), _hints(kind)
    if missing := hints.keys() - mapping.keys():
        raise RunError(f"{where}: {', '.join(sorted(missing))} missing", help="build it again with `legoc build`")
    if unknown := mapping.keys() - hints.keys():
        raise RunError(f"{where}: unknown {', '.join(sorted(unknown))}", help="it may come from a newer legoc")
    return kind(**{name: _decode(hint, mapping[name], f"{where}.{name}") for name, hint in hints.items()})
