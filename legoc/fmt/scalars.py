"""How a scalar is written: quotes only where they are needed, predicates always in double quotes."""

from __future__ import annotations

import re

from legoc.fmt.document import Scalar
from legoc.spec.canonical import quoted
from legoc.spec.scalars import resolve_plain

_PLAIN = re.compile(r"[A-Za-z0-9_./](?:[A-Za-z0-9_./+ -]*[A-Za-z0-9_./+-])?")
_FLOW_INDICATORS = re.compile(r"[,\[\]{}]")
_OTHER_TRUTHS = frozenset({"yes", "no", "on", "off", "y", "n"})
"""Text in YAML 1.2, truth values in 1.1: quotes say the same to every reader."""

_BLOCK_HEADER = re.compile(r"([|>]-?)[ \t]*(#.*)?")


def inline(scalar: Scalar, *, in_flow: bool, is_predicate: bool = False) -> str | None:
    """A scalar on one line, its anchor included; None when it has line breaks of its own and was written as a block.

    Args:
        scalar: the scalar.
        in_flow: whether it will stand between brackets.
        is_predicate: whether it is an expression.
    """
    if scalar.style == "*":
        return f"*{scalar.value}"
    if scalar.style in ("|", ">") and "\n" in scalar.value and block_lines(scalar) is not None:
        return None
    text = _text(scalar, in_flow=in_flow, is_predicate=is_predicate)
    return f"&{scalar.anchor} {text}".rstrip() if scalar.anchor else text


def _text(scalar: Scalar, *, in_flow: bool, is_predicate: bool) -> str:
    value = scalar.value
    if scalar.style is None and (not is_predicate or not isinstance(resolve_plain(value), str)):
        if not value:
            return "null" if in_flow else ""
        is_stricter = in_flow and not scalar.in_flow
        if "\n" not in value and not (is_stricter and _FLOW_INDICATORS.search(value)):
            return value
    if is_predicate or scalar.style is None or not _is_plain(value):
        return quoted(value)
    return value


def _is_plain(value: str) -> bool:
    is_text = isinstance(resolve_plain(value), str) and value.lower() not in _OTHER_TRUTHS
    return is_text and _PLAIN.fullmatch(value) is not None


def block_lines(scalar: Scalar) -> list[str] | None:
    """A block scalar as its indicator and its lines without their indentation.

    None where the indicator says more than `-`: such text is written in double quotes.
    """
    header, *body = scalar.raw.replace("\r\n", "\n").split("\n")
    properties = f"&{scalar.anchor}" if scalar.anchor else ""
    match = _BLOCK_HEADER.fullmatch(header.strip().removeprefix(properties).strip())
    first = next((line for line in body if line.strip(" ")), None)
    if match is None or first is None:
        return None
    indent = len(first) - len(first.lstrip(" "))
    lines = [line[indent:] if line.strip(" ") or len(line) > indent else "" for line in body]
    while lines and not lines[-1].strip(" "):
        lines.pop()
    return [f"{properties} {match[1]}".strip(), *lines]
