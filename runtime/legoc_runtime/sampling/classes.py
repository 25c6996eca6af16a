"""Which class a seed's picture shows: a function of the seed and the rule, never of batch or list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from legoc_runtime.contract.request import BalancedClass, ClassRule, ListedClass, RandomClass
from legoc_runtime.errors import UsageError
from legoc_runtime.randomness import Purpose, stream


def labels_of(rule: ClassRule, seeds: Sequence[int], classes: int | None) -> tuple[int, ...] | None:
    """The class of every seed, or None for an unconditional stack.

    Args:
        rule: how classes are chosen.
        seeds: the seeds.
        classes: number of classes of the stack, None for an unconditional one.

    Raises:
        UsageError: classes are asked of an unconditional stack, or a class does not exist.
    """
    if classes is None:
        if not isinstance(rule, RandomClass):
            raise UsageError("this stack is unconditional: it has no classes to choose", help="leave --classes out")
        return None
    match rule:
        case RandomClass():
            return tuple(int(stream(seed, Purpose.CLASS).integers(classes)) for seed in seeds)
        case BalancedClass():
            return tuple(seed % classes for seed in seeds)
        case ListedClass(listed):
            if absent := [label for label in listed if label >= classes]:
                raise UsageError(f"there is no class {absent[0]}", help=f"this stack has classes 0 to {classes - 1}")
            return tuple(listed[seed % len(listed)] for seed in seeds)
        case _:
            assert_never(rule)
