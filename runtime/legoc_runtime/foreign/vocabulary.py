"""The names that a file of weights may have, and what is made of them. Everything else is refused when it is named.

Three kinds. Functions of torch that put a tensor together: their arguments are read, they are not called. Classes of
modules, of which the attributes are kept and nothing else. Values such as `torch.float32`, which stay names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from legoc_runtime.errors import RunError
from legoc_runtime.foreign.records import Instance, Name, PickledTensor, Storage

STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "UntypedStorage": "uint8",
}
"""Classes of torch's storages and the type of their numbers."""

_TENSORS = {
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._tensor._rebuild_from_type_v2",
    "torch.storage._load_from_bytes",
}
_MAPPINGS = {"collections.OrderedDict", "collections.defaultdict"}
_LISTS = {"builtins.set", "__builtin__.set", "builtins.frozenset", "torch.Size"}
_OBJECTS = {"copy_reg._reconstructor", "copyreg._reconstructor"}
_PERSISTENT = "torch_utils.persistence._reconstruct_persistent_obj"
_INERT = {
    "torch.device",
    "numpy.dtype",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "timm.layers.format.Format",
}
"""Small values that some files have beside their weights: kept as an object without attributes."""

_CALLED = frozenset({*_TENSORS, *_MAPPINGS, *_LISTS, *_OBJECTS, _PERSISTENT, *_INERT})

_CLASSES = ("torch.nn.", "training.", "torch_utils.", "dnnlib.", "timm.", "models.")
"""Modules whose classes stand in checkpoints that hold whole networks (EDM, released LEGO, DiT)."""

_VALUES = frozenset({"argparse.Namespace", "types.SimpleNamespace", "builtins.object", "__builtin__.object"})
_DTYPES = frozenset(
    f"torch.{name}" for name in (*("float64", "float32", "float16", "bfloat16"), *("int64", "int32", "uint8", "bool"))
)


def check_name(name: Name) -> Name:
    """A name that a pickle has, if it may have it.

    Raises:
        RunError: no file of weights has it.
    """
    full = str(name)
    if full in _CALLED or full in _VALUES or full in _DTYPES or _is_class(name) or storage_dtype(name) is not None:
        return name
    raise RunError(f"its pickle names `{_printable(full)}`, which no file of weights needs: it may be made to run code")


def check_class(name: Name) -> Instance:
    """An object of a class without attributes yet.

    Raises:
        RunError: objects of it stand in no file of weights.
    """
    if _is_class(name) or str(name) in _VALUES or str(name) in _MAPPINGS:
        return Instance(str(name))
    raise RunError(f"its pickle makes an object of `{_printable(str(name))}`, which no file of weights has")


def storage_dtype(name: Name) -> str | None:
    """Type of the numbers of a class of storages, None where it is none."""
    return STORAGES.get(name.name) if name.module in ("torch", "torch.storage", "torch.cuda") else None


def call(name: Name, arguments: tuple[Any, ...], load_bytes: Callable[[memoryview], object] | None) -> object:
    """What a call of a name says, read off its arguments. Nothing is called.

    Args:
        name: what the pickle would call.
        arguments: with what.
        load_bytes: reads a storage from bytes of `torch.save`; None where there must be none.

    Raises:
        RunError: it may not be called, or with other arguments.
    """
    full = str(name)
    try:
        if full in _TENSORS:
            return _tensor(full, arguments, load_bytes)
        if full in _MAPPINGS:
            return _mapping(arguments)
        if full in _LISTS:
            return (
                [*cast("tuple[Any, ...]", arguments[0])] if arguments and isinstance(arguments[0], list | tuple) else []
            )
        if full in _OBJECTS:
            return check_class(arguments[0])
        if full == _PERSISTENT:
            return _persistent(*arguments)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise RunError(f"its pickle has `{full}` with arguments that it does not take") from error
    if full in _INERT:
        return Instance(full)
    raise RunError(f"its pickle calls `{_printable(full)}`, which no file of weights does")


def _tensor(full: str, arguments: tuple[Any, ...], load_bytes: Callable[[memoryview], object] | None) -> object:
    match full.rpartition(".")[2]:
        case "_rebuild_tensor" | "_rebuild_tensor_v2":
            storage, offset, shape, stride = arguments[:4]
            if not isinstance(storage, Storage):
                raise TypeError("no storage")
            return PickledTensor(storage, _whole(offset), _wholes(shape), _wholes(stride))
        case "_rebuild_parameter" | "_rebuild_parameter_with_state":
            if not isinstance(arguments[0], PickledTensor):
                raise TypeError("no tensor")
            return arguments[0]
        case "_rebuild_from_type_v2":
            function, _, inner, _ = arguments
            if not isinstance(function, Name) or str(function) not in _TENSORS:
                raise TypeError("no function of tensors")
            return _tensor(str(function), cast("tuple[Any, ...]", inner), load_bytes)
        case _:
            (data,) = arguments
            if load_bytes is None or not isinstance(data, memoryview):
                raise TypeError("no bytes of a storage")
            found = load_bytes(cast("memoryview", data))
            if not isinstance(found, Storage):
                raise TypeError("no storage")
            return found


def _mapping(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    pairs = [argument for argument in arguments if not isinstance(argument, Name)]  # defaultdict's default
    if not pairs:
        return {}
    (rows,) = pairs
    if isinstance(rows, dict):
        return cast("dict[Any, Any]", rows)
    found: dict[Any, Any] = {}
    for key, value in cast("list[tuple[Any, Any]]", rows):
        if not isinstance(key, str | int):
            raise TypeError("a key that is neither text nor number")
        found[key] = value
    return found


def _persistent(meta: Any) -> Instance:
    """An object as EDM's checkpoints keep it: attributes, and the source of its class, which nothing here runs."""
    fields: dict[Any, Any] = meta.state if isinstance(meta, Instance) else meta
    name, state = fields["class_name"], fields["state"]
    if not isinstance(name, str) or not isinstance(state, dict):
        raise TypeError("no class")
    return Instance(name, dict(cast("dict[Any, Any]", state)))


def _is_class(name: Name) -> bool:
    """Classes of networks; functions there are named only as values and stay names."""
    return f"{name.module}.".startswith(_CLASSES)


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError("no whole number")
    return value


def _wholes(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple | list):
        raise TypeError("no shape")
    return tuple(_whole(value) for value in cast("tuple[object, ...]", values))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:80])
