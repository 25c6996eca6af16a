"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from legoc_runtime.errors import UsageError

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Set a value of the spec for this call: bricks.top.depth=8, sample.steps=40. May be repeated.",
        show_default=False,
    ),
]
"""`--set PATH=VALUE`, for `legoc.spec.load_spec(path, overrides)`."""


def count(text: str, flag: str) -> int:
    """A number of images as in a spec: 50000, 10k, 1M.

    Args:
        text: what was given.
        flag: what it was given to, e.g. `--images`.

    Raises:
        UsageError: it is no such number.
    """
    from pydantic import TypeAdapter, ValidationError

    from legoc.spec.values import PositiveCount

    adapter: TypeAdapter[int] = TypeAdapter(PositiveCount)
    try:
        return adapter.validate_python(int(text) if text.isascii() and text.isdigit() else text)
    except ValidationError as error:
        raise UsageError(f"{flag} {text}: expected {error.errors()[0]['msg']}") from error
