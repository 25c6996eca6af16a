"""Values that are written in a form of their own, such as `350M` or `8x16`, to numbers.

What is wrong is said with a `PydanticCustomError` of kind `type`, `text` or `range`, with what is expected as its
text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal, LiteralString, cast

from pydantic_core import PydanticCustomError

_SUFFIXES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
MAX_SIDE = 16384
"""Pixels of a grid's side; what is larger is a slip, and divisors are looked for up to it."""

MAX_PICTURE_SIDE = 65_536
"""Of a canvas (`canvas_request.MAX_SIDE`)."""

MAX_COUNT = 10**15


def _count(value: Any) -> int:
    """A number of images: a whole number, or text such as `350M`, `10k`, `1.5M`."""
    if type(value) is int:
        count = Decimal(value)
    elif isinstance(value, str):
        match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)([kMG])", value)
        if match is None:
            raise PydanticCustomError("text", "a whole number, or one with k, M or G such as 350M or 10k")
        count = Decimal(match[1]) * _SUFFIXES[match[2]]
    else:
        raise PydanticCustomError("type", "a whole number, or one with k, M or G such as 350M or 10k")
    if count != int(count):
        raise PydanticCustomError("text", "a whole number of images")
    if count > MAX_COUNT:
        raise PydanticCustomError("range", "at most {limit}", {"limit": f"{MAX_COUNT:,}"})
    return int(count)


def positive_count(value: Any) -> int:
    """A number of images that is not zero."""
    count = _count(value)
    if count < 1:
        raise PydanticCustomError("range", "at least 1")
    return count


def count_from_zero(value: Any) -> int:
    """A number of images, or none."""
    count = _count(value)
    if count < 0:
        raise PydanticCustomError("range", "at least 0")
    return count


def _sides(value: Any, expected: LiteralString) -> tuple[int, int]:
    """Two sides: one number for both, or `HxW`."""
    if type(value) is int:
        return value, value
    if not isinstance(value, str):
        raise PydanticCustomError("type", expected)
    match = re.fullmatch(r"([0-9]{1,6}) ?x ?([0-9]{1,6})", value)
    if match is None:
        raise PydanticCustomError("text", expected)
    return int(match[1]), int(match[2])


def size(value: Any) -> tuple[int, int] | Literal["image"]:
    """A window: one number, `HxW`, or `image` for the whole grid."""
    if value == "image":
        return "image"
    sides = _sides(value, "a number of pixels, height x width such as 8x16, or image")
    if min(sides) < 1:
        raise PydanticCustomError("range", "at least 1")
    if max(sides) > MAX_SIDE:
        raise PydanticCustomError("range", "at most {limit}", {"limit": f"{MAX_SIDE:,}"})
    return sides


def offset(value: Any) -> tuple[int, int]:
    """A shift of windows: one number of pixels for rows and columns, or `HxW`."""
    sides = _sides(value, "a number of pixels, or rows x columns such as 2x4")
    if min(sides) < 0:
        raise PydanticCustomError("range", "at least 0")
    return sides


def picture_size(value: Any) -> str:
    """The size of a picture as `legoc sample --size` takes it: `HxW`, one number for both, or `grid`."""
    if value == "grid":
        return "grid"
    height, width = _sides(value, "height x width such as 64x256, or grid")
    if min(height, width) < 1:
        raise PydanticCustomError("range", "at least 1")
    if max(height, width) > MAX_PICTURE_SIDE:
        raise PydanticCustomError("range", "at most {limit}", {"limit": f"{MAX_PICTURE_SIDE:,}"})
    return f"{height}x{width}"


def seeds(value: Any) -> str:
    """Seeds of pictures as `legoc sample --seeds` takes them; what they name is looked at later."""
    expected = "seeds such as 0-63, or 1,5,9-12"
    if type(value) is not int and not isinstance(value, str):
        raise PydanticCustomError("type", expected)
    text = _unspaced(str(value))
    if not re.fullmatch(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*", text):
        raise PydanticCustomError("text", expected)
    return text


def _unspaced(text: str) -> str:
    """A list without the spaces around its numbers. What stands between two digits stays: `1 2` is not 12."""
    return re.sub(r"\s*([,-])\s*", r"\1", text.strip())


def classes(value: Any) -> str:
    """Classes of pictures as `legoc sample --classes` takes them, or as a list."""
    expected = "a class such as 3, a list such as [0, 3, 5], balanced or random"
    if isinstance(value, list):
        items = cast("list[Any]", value)
        sound = bool(items) and all(type(item) is int and 0 <= item < 10**18 for item in items)
    else:
        items, sound = [value], type(value) is int or isinstance(value, str)
    if not sound:
        raise PydanticCustomError("type", expected)
    text = _unspaced(",".join(map(str, items)))
    if text not in ("balanced", "random") and not re.fullmatch(r"[0-9]{1,18}(,[0-9]{1,18})*", text):
        raise PydanticCustomError("text", expected)
    return text


def average(value: Any) -> str:
    """Which weights are sampled, as `legoc sample --ema` takes it."""
    expected = "the rate of an average such as 0.9999, profile-WIDTH, first or none"
    if value in ("first", "none") or (isinstance(value, str) and re.fullmatch(r"profile-0?\.[0-9]+", value)):
        return str(value)
    if type(value) not in (int, float, str):
        raise PydanticCustomError("type", expected)
    rate = float(value) if type(value) is not str or re.fullmatch(r"[0-9]*\.?[0-9]+", value) else 0.0
    if not 0 < rate < 1:
        raise PydanticCustomError("text", expected)
    return repr(rate)


def channels(value: Any) -> str:
    """How many channels are guided, as `legoc sample --guidance-channels` takes it."""
    expected = "a number of channels such as 3, or all"
    if type(value) is not int and value != "all":
        raise PydanticCustomError("text" if isinstance(value, str) else "type", expected)
    if value != "all" and not 1 <= value <= 999_999:
        raise PydanticCustomError("range", "from 1 to the channels of the grid")
    return str(value)


def interval(value: Any) -> str:
    """Noise levels at which guidance acts, as `legoc sample --guidance-interval` takes them, or as a list."""
    from legoc_runtime.contract.request import interval_text, parse_interval  # most specs name none
    from legoc_runtime.errors import UsageError

    expected = "two values of sigma such as [0.3, 5], or all"
    if isinstance(value, str):
        try:
            return interval_text(parse_interval(value))
        except UsageError as error:
            raise PydanticCustomError("text", expected) from error
    bounds = cast("list[Any]", value) if isinstance(value, list) else []
    if len(bounds) != 2 or not all(type(bound) in (int, float) for bound in bounds):
        raise PydanticCustomError("type", expected)
    low, high = map(float, bounds)
    if not 0 <= low < high < float("inf"):
        raise PydanticCustomError("range", "0 or more, the first value below the second")
    return interval_text((low, high))


def not_null(value: Any) -> Any:
    """Whatever is written, as long as something is."""
    if value is None:
        raise PydanticCustomError("null", "null")
    return value


def word_as_kind(value: Any) -> Any:
    """A section, or the one word that stands for it: the value of its key `kind`."""
    return {"kind": value} if isinstance(value, str) else value


READERS: dict[str, Callable[[Any], Any]] = {
    reader.__name__: reader
    for reader in (
        average,
        channels,
        classes,
        count_from_zero,
        interval,
        not_null,
        offset,
        picture_size,
        positive_count,
        seeds,
        size,
        word_as_kind,
    )
}
"""What the models of the language may call, by name."""
