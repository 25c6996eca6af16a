"""The instructions of a pickle that files of weights use, one after the other; every other one is refused.

The format is that of `pickletools` in Python's library. Data is sliced out of the file, never copied.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from legoc_runtime.errors import RunError

MAX_INSTRUCTIONS = 2_000_000
"""A network of a thousand tensors has about a hundred thousand."""

MAX_TEXT_BYTES = 16 * 2**20
MAX_INTEGER_BYTES = 16
_MAX_LINE_BYTES = 1024


class Instruction(NamedTuple):
    """One instruction.

    Attributes:
        name: as `pickletools` calls it.
        value: its argument; None where it has none.
    """

    name: str
    value: object


_PLAIN = {
    ord("("): "MARK",
    ord("."): "STOP",
    ord("0"): "POP",
    ord("1"): "POP_MARK",
    ord("2"): "DUP",
    ord("N"): "NONE",
    0x88: "NEWTRUE",
    0x89: "NEWFALSE",
    ord(")"): "EMPTY_TUPLE",
    ord("t"): "TUPLE",
    0x85: "TUPLE1",
    0x86: "TUPLE2",
    0x87: "TUPLE3",
    ord("]"): "EMPTY_LIST",
    ord("a"): "APPEND",
    ord("e"): "APPENDS",
    ord("l"): "LIST",
    ord("}"): "EMPTY_DICT",
    ord("d"): "DICT",
    ord("s"): "SETITEM",
    ord("u"): "SETITEMS",
    0x8F: "EMPTY_SET",
    0x90: "ADDITEMS",
    0x91: "FROZENSET",
    0x94: "MEMOIZE",
    0x93: "STACK_GLOBAL",
    ord("R"): "REDUCE",
    0x81: "NEWOBJ",
    ord("b"): "BUILD",
    ord("Q"): "BINPERSID",
}

_FIXED = {
    0x80: ("PROTO", "<B"),
    0x95: ("FRAME", "<Q"),
    ord("K"): ("INTEGER", "<B"),
    ord("M"): ("INTEGER", "<H"),
    ord("J"): ("INTEGER", "<i"),
    ord("G"): ("FLOAT", ">d"),
    ord("h"): ("GET", "<B"),
    ord("j"): ("GET", "<I"),
    ord("q"): ("PUT", "<B"),
    ord("r"): ("PUT", "<I"),
}

_COUNTED = {
    ord("X"): ("TEXT", "<I"),
    0x8C: ("TEXT", "<B"),
    0x8D: ("TEXT", "<Q"),
    ord("U"): ("TEXT", "<B"),  # a text of Python 2, which wrote the heads of LPIPS among others
    ord("T"): ("TEXT", "<I"),
    ord("B"): ("BYTES", "<I"),
    ord("C"): ("BYTES", "<B"),
    0x8E: ("BYTES", "<Q"),
    0x8A: ("LONG", "<B"),
}

_REFUSED = {
    ord("i"): "INST",
    ord("o"): "OBJ",
    0x92: "NEWOBJ_EX",
    0x82: "EXT1",
    0x83: "EXT2",
    0x84: "EXT4",
    ord("P"): "PERSID",
    0x96: "BYTEARRAY8",
    0x97: "NEXT_BUFFER",
    0x98: "READONLY_BUFFER",
    0x8B: "LONG4",
    ord("I"): "INT",
    ord("L"): "LONG",
    ord("F"): "FLOAT",
    ord("S"): "STRING",
    ord("V"): "UNICODE",
    ord("p"): "PUT",
    ord("g"): "GET",
}
"""What no file of weights has; the names are for people."""


def instructions(data: memoryview, begin: int = 0) -> Iterator[tuple[Instruction, int]]:
    """The instructions of a pickle up to its STOP, each with the place after it.

    Args:
        data: the file.
        begin: where the pickle begins.

    Raises:
        RunError: it is cut short, too long, or has an instruction that no file of weights has.
    """
    at = begin
    for _ in range(MAX_INSTRUCTIONS):
        instruction, at = _one(data, at)
        yield instruction, at
        if instruction.name == "STOP":
            return
    raise RunError(f"its pickle has more than {MAX_INSTRUCTIONS:,} instructions")


def _one(data: memoryview, at: int) -> tuple[Instruction, int]:
    code = _take(data, at, 1)[0]
    at += 1
    if code in _PLAIN:
        return Instruction(_PLAIN[code], None), at
    if code in _FIXED:
        name, form = _FIXED[code]
        end = at + struct.calcsize(form)
        return Instruction(name, struct.unpack(form, _take(data, at, end - at))[0]), end
    if code in _COUNTED:
        return _counted(data, at, *_COUNTED[code])
    if code == ord("c"):
        module, at = _line(data, at)
        name, at = _line(data, at)
        return Instruction("GLOBAL", (module, name)), at
    if code in _REFUSED:
        raise RunError(f"its pickle has the instruction {_REFUSED[code]}, which no file of weights has")
    raise RunError(f"its pickle has an unknown instruction, {code:#04x}")


def _counted(data: memoryview, at: int, name: str, form: str) -> tuple[Instruction, int]:
    begin = at + struct.calcsize(form)
    length = int(struct.unpack(form, _take(data, at, begin - at))[0])
    part, end = _take(data, begin, length), begin + length
    match name:
        case "TEXT":
            if length > MAX_TEXT_BYTES:
                raise RunError(f"its pickle has a text of {length:,} bytes")
            return Instruction(name, _text(part)), end
        case "LONG":
            if length > MAX_INTEGER_BYTES:
                raise RunError(f"its pickle has a number of {length:,} bytes")
            return Instruction("INTEGER", int.from_bytes(part, "little", signed=True)), end
        case _:
            return Instruction(name, part), end


def _take(data: memoryview, at: int, count: int) -> memoryview:
    part = data[at : at + count]
    if len(part) != count:
        raise RunError("its pickle is cut short")
    return part


def _line(data: memoryview, at: int) -> tuple[str, int]:
    found = bytes(data[at : at + _MAX_LINE_BYTES])
    end = found.find(b"\n")
    if end < 0:
        raise RunError("its pickle is cut short")
    return _text(memoryview(found)[:end]), at + end + 1


def _text(data: memoryview) -> str:
    try:
        return str(data, "utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise RunError("its pickle has a text that is no UTF-8") from error
