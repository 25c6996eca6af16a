"""Plain command lines to values, without typer, which takes longer to import than a check takes.

What is not plainly right is not read here: `--help`, every error, and the rarer ways of writing options (`-ovalue`,
a value that begins with a dash) go to typer, which has the words for them. `tests/cli/test_arguments.py` holds
the two readers against each other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from legoc.cli.parameters import REQUIRED, Argument, Option, Parameter

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?(e-?[0-9]{1,2})?")


class _NotPlainError(Exception):
    """The command line is for typer to read, or to refuse."""


def plain_values(parameters: Sequence[Parameter], arguments: Sequence[str]) -> dict[str, Any] | None:
    """The values of a command's parameters by name; None where typer has to look at the command line.

    Args:
        parameters: what the command takes.
        arguments: what follows its name.
    """
    try:
        given, positional = _options(_flags(parameters), list(arguments))
        _places([p for p in parameters if isinstance(p.declared, Argument)], positional, given)
    except _NotPlainError:
        return None
    values = {p.name: given.get(p.name, p.default) for p in parameters}
    return None if any(value is REQUIRED for value in values.values()) else values


def _flags(parameters: Sequence[Parameter]) -> dict[str, tuple[Parameter, bool]]:
    """Flag -> its parameter, and for a truth value which one the flag stands for."""
    found: dict[str, tuple[Parameter, bool]] = {}
    for parameter in parameters:
        if not isinstance(parameter.declared, Option):
            continue
        bare = parameter.name.replace("_", "-")
        default = f"--{bare}/--no-{bare}" if parameter.kind is bool else f"--{bare}"
        for written in parameter.declared.flags or (default,):
            on, _, off = written.partition("/")
            found[on] = (parameter, True)
            if off:
                found[off] = (parameter, False)
    return found


def _options(flags: dict[str, tuple[Parameter, bool]], arguments: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The values of options by parameter, and what is left for the arguments."""
    given: dict[str, Any] = {}
    positional: list[str] = []
    rest = iter(arguments)
    for text in rest:
        if text == "--":
            positional += rest
            if any(text.startswith("-") for text in positional):
                raise _NotPlainError
            break
        if not text.startswith("-") or text == "-":
            positional.append(text)
            continue
        flag, equals, attached = text.partition("=")
        if flag not in flags or (equals and not flag.startswith("--")):
            raise _NotPlainError
        parameter, truth = flags[flag]
        if parameter.kind is bool:
            if equals:
                raise _NotPlainError
            given[parameter.name] = truth
            continue
        written = attached if equals else next(rest, "-")
        if (written.startswith("-") and written != "-") or (written == "-" and not equals and arguments[-1] is text):
            raise _NotPlainError
        value = _value(parameter, written)
        if parameter.many:
            given.setdefault(parameter.name, []).append(value)
        else:
            given[parameter.name] = value
    return given, positional


def _places(arguments: Sequence[Parameter], positional: list[str], given: dict[str, Any]) -> None:
    """Hand out what is told by its place; the last argument may take many."""
    for parameter in arguments:
        if parameter.many and positional:
            given[parameter.name] = [_value(parameter, text) for text in positional]
            positional = []
        elif positional:
            given[parameter.name] = _value(parameter, positional[0])
            positional = positional[1:]
    if positional:
        raise _NotPlainError


def _value(parameter: Parameter, text: str) -> Any:
    kind = parameter.kind
    if not text:
        raise _NotPlainError
    if issubclass(kind, StrEnum):
        found = next((choice for choice in kind if choice.value == text), None)
        if found is None:
            raise _NotPlainError
        return found
    if kind is Path:
        if "\0" in text:
            raise _NotPlainError
        return Path(text)
    if kind is int or kind is float:
        if not (_WHOLE if kind is int else _NUMBER).fullmatch(text):
            raise _NotPlainError
        number, least = kind(text), parameter.declared.min if isinstance(parameter.declared, Option) else None
        if least is not None and number < least:
            raise _NotPlainError
        return number
    assert kind is str, f"no reader for {kind}"
    return text
