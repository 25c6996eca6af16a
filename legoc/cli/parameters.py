"""What a command takes, declared in the annotations of its function and read without importing a library for it.

    def command(spec: Annotated[Path, Argument(help="The spec.")], quiet: Annotated[bool, Option(help="...")] = False):

`plain_arguments.py` reads command lines by these declarations, `with_typer.py` hands them to typer.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple, cast, get_args, get_origin, get_type_hints

REQUIRED: Any = ...
"""The default of a parameter that has none."""


class Argument:
    """A parameter that is told by its place.

    Attributes:
        help: what it is, for `--help`.
        metavar: its name there; by default the parameter's, in capitals.
        show_default: whether `--help` says its default.
    """

    def __init__(self, *, help: str, metavar: str | None = None, show_default: bool = True) -> None:
        self.help, self.metavar, self.show_default = help, metavar, show_default


class Option:
    """A parameter that is told by a flag.

    Attributes:
        flags: how it is written, such as `-o`, `--out` or `--on/--off`; by default `--` and the parameter's name.
        help: what it is, for `--help`.
        metavar: the name of its value there; by default its type.
        min: the smallest value of a number.
        show_default: whether `--help` says its default.
    """

    def __init__(
        self, *flags: str, help: str, metavar: str | None = None, min: float | None = None, show_default: bool = True
    ) -> None:
        self.flags, self.help, self.metavar, self.min, self.show_default = flags, help, metavar, min, show_default


class Parameter(NamedTuple):
    """A parameter of a command.

    Attributes:
        name: as the function calls it.
        declared: what is said of it.
        kind: the type of its value, or of each of its values.
        many: whether it takes any number of values; a list, then.
        default: its value where it is not given; `REQUIRED` where it must be.
    """

    name: str
    declared: Argument | Option
    kind: type[str] | type[int] | type[float] | type[bool] | type[Path] | type[StrEnum]
    many: bool
    default: Any


def parameters(function: Callable[..., object]) -> list[Parameter]:
    """The parameters of a command, in order.

    Args:
        function: every parameter of it is annotated with one `Argument` or `Option`.
    """
    hints = get_type_hints(function, include_extras=True)
    code, defaults = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount]
    padded = (*(REQUIRED for _ in range(len(names) - len(defaults))), *defaults)
    return [_parameter(name, hints[name], default) for name, default in zip(names, padded, strict=True)]


def _parameter(name: str, hint: Any, default: Any) -> Parameter:
    assert get_origin(hint) is Annotated, f"{name} is not annotated with an Argument or an Option"
    inner, declared = cast("tuple[Any, Any]", get_args(hint))
    assert isinstance(declared, Argument | Option), f"{name}: declare it with legoc.cli.parameters, not {declared}"
    variants: list[Any] = [variant for variant in get_args(inner) if variant is not type(None)]
    value = variants[0] if variants and get_origin(inner) is not list else inner
    many = get_origin(value) is list
    return Parameter(name, declared, get_args(value)[0] if many else value, many, default)
