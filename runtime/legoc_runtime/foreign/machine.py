"""A pickle read as data: the stack machine of Python's `pickle`, without what makes that dangerous.

Nothing is imported and nothing is called. A name is text (`records.Name`); what would be a call of it goes to
`vocabulary`, which knows the few that say what a tensor is and refuses all others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from legoc_runtime.errors import RunError
from legoc_runtime.foreign.opcodes import Instruction, instructions
from legoc_runtime.foreign.records import Instance, Name
from legoc_runtime.foreign.vocabulary import call, check_class, check_name

Persistent = Callable[[object], object]
"""What stands behind a reference out of the pickle, such as torch's to storages."""

_MARK: Final = object()
_KEYS = (str, int, float, bool, type(None))
_MAX_KEY = 2**63


class Machine:
    """Runs one pickle.

    Args:
        data: the file.
        persistent: resolves references out of the pickle; None where there must be none.
        load_bytes: reads a storage that lies in the pickle as bytes of `torch.save`; None where there must be none.
    """

    def __init__(
        self,
        data: memoryview,
        persistent: Persistent | None = None,
        load_bytes: Callable[[memoryview], object] | None = None,
    ) -> None:
        self._data, self._persistent, self._load_bytes = data, persistent, load_bytes
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, begin: int = 0) -> tuple[Any, int]:
        """What the pickle that begins at `begin` describes, and the place after it.

        Raises:
            RunError: it is damaged, or has what no file of weights has; the message says what.
        """
        self._stack.clear()
        self._memo.clear()
        for instruction, end in instructions(self._data, begin):
            if instruction.name == "STOP":
                if len(self._stack) != 1:
                    raise RunError("its pickle does not end with one object")
                return self._pop(), end
            self._step(instruction)
        raise AssertionError("instructions end with STOP, or with an error")

    def _step(self, instruction: Instruction) -> None:
        value: Any = instruction.value
        match instruction.name:
            case "PROTO":
                if value > 5:
                    raise RunError(f"its pickle is of protocol {value}, which does not exist")
            case "FRAME":
                pass
            case "MARK":
                self._stack.append(_MARK)
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                self._stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[instruction.name])
            case "INTEGER" | "FLOAT" | "TEXT" | "BYTES":
                self._stack.append(value)
            case "PUT":
                self._memo[value] = self._top()
            case "MEMOIZE":
                self._memo[len(self._memo)] = self._top()
            case "GET":
                if value not in self._memo:
                    raise RunError("its pickle recalls what it never had")
                self._stack.append(self._memo[value])
            case "POP":
                self._stack.pop() if self._stack else self._pop()
            case "POP_MARK":
                self._marked()
            case "DUP":
                self._stack.append(self._top())
            case name if name in _GATHER:
                self._gather(name)
            case name:
                self._make(name, value)

    def _gather(self, name: str) -> None:
        """Tuples, lists and mappings."""
        match name:
            case "EMPTY_TUPLE":
                self._stack.append(())
            case "TUPLE":
                self._stack.append(tuple(self._marked()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                last = [self._pop() for _ in range(int(name[-1]))]
                self._stack.append(tuple(reversed(last)))
            case "EMPTY_LIST" | "EMPTY_SET":  # a set is kept as a list: what it holds need not have a hash here
                self._stack.append([])
            case "LIST" | "FROZENSET":
                self._stack.append(self._marked())
            case "APPEND":
                item = self._pop()
                self._extend([item])
            case "APPENDS" | "ADDITEMS":
                self._extend(self._marked())
            case "EMPTY_DICT":
                self._stack.append({})
            case "DICT":
                items = self._marked()
                self._stack.append({})
                self._set(items)
            case "SETITEM":
                value, key = self._pop(), self._pop()
                self._set([key, value])
            case _:
                self._set(self._marked())

    def _make(self, name: str, value: Any) -> None:
        """Names, and what would be calls of them."""
        match name:
            case "GLOBAL":
                self._stack.append(check_name(Name(*value)))
            case "STACK_GLOBAL":
                last, module = self._pop(), self._pop()
                if not (isinstance(last, str) and isinstance(module, str)):
                    raise RunError("its pickle names something by other things than texts")
                self._stack.append(check_name(Name(module, last)))
            case "REDUCE":
                arguments, function = self._pop(), self._pop()
                if not isinstance(function, Name) or not isinstance(arguments, tuple):
                    raise RunError("its pickle calls what is no name")
                self._stack.append(call(function, cast("tuple[Any, ...]", arguments), self._load_bytes))
            case "NEWOBJ":
                arguments, of = self._pop(), self._pop()
                if not isinstance(of, Name) or not isinstance(arguments, tuple):
                    raise RunError("its pickle makes an object of what is no name")
                self._stack.append(check_class(of))
            case "BUILD":
                self._build(self._pop())
            case "BINPERSID":
                reference = self._pop()
                if self._persistent is None:
                    raise RunError("its pickle refers to something outside of it")
                self._stack.append(self._persistent(reference))
            case _:
                raise AssertionError(f"{name} is not treated")

    def _build(self, state: Any) -> None:
        """Attributes of an object. Those of mappings and lists (torch's `_metadata`) say nothing about weights."""
        target = self._top()
        if isinstance(target, dict | list):
            return
        if not isinstance(target, Instance):
            raise RunError("its pickle gives attributes to what has none")
        parts: tuple[Any, ...] = cast("tuple[Any, ...]", state) if isinstance(state, tuple) else (state,)
        for part in parts:
            if isinstance(part, dict):
                target.state.update(cast("dict[Any, Any]", part))

    def _extend(self, items: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, list):
            raise RunError("its pickle appends to what is no list")
        cast("list[Any]", target).extend(items)

    def _set(self, items: list[Any]) -> None:
        target = self._top()
        mapping: Any = target.state if isinstance(target, Instance) else target
        if not isinstance(mapping, dict) or len(items) % 2:
            raise RunError("its pickle sets items of what is no mapping")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, _KEYS) or (isinstance(key, int) and abs(key) >= _MAX_KEY):
                raise RunError("its pickle has a key that is neither text nor number")
            mapping[key] = value

    def _marked(self) -> list[Any]:
        """What was put on the stack since the last mark."""
        for i in range(len(self._stack) - 1, -1, -1):
            if self._stack[i] is _MARK:
                items = self._stack[i + 1 :]
                del self._stack[i:]
                return items
        raise RunError("its pickle lacks a mark")

    def _top(self) -> Any:
        if not self._stack or self._stack[-1] is _MARK:
            raise RunError("its pickle takes from an empty stack")
        return self._stack[-1]

    def _pop(self) -> Any:
        self._top()
        return self._stack.pop()


_GATHER = frozenset(
    {
        *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "LIST", "APPEND", "APPENDS"),
        *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "EMPTY_SET", "ADDITEMS", "FROZENSET"),
    }
)
