"""Bricks with their defaults filled in, as far as they are known: what the rules look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from legoc.codes import report
from legoc.diagnostics import Diagnostic
from legoc.source import Span
from legoc.spec.findings import brick_name
from legoc.spec.language import sections
from legoc.spec.load import Loaded
from legoc.spec.resolved import Path

if TYPE_CHECKING:
    from legoc.spec.written import Brick

NEEDED = ("depth", "width", "heads")
"""Numbers that a brick must have, itself or from `brick_defaults`: the language does not guess a model's size."""

DEFAULT_MLP_RATIO = 4.0


@dataclass(frozen=True)
class Draft:
    """One brick. What is missing or broken is None, and has its diagnostic.

    Attributes:
        index: place in the stack, 0 at the bottom.
        name: the brick in words.
        id: its id.
        window: height and width of a window.
        covers_grid: whether it is an image-brick.
        receptive_field: side of a token; the paper's choice where it is not written.
        offset: rows and columns by which the windows are shifted.
        is_pretrained: whether a model that is trained already stands for it; it has no numbers of its own then.
        trains: whether training changes it: not where it is pretrained and frozen.
        places: where values were written, by key: in the brick, or in `brick_defaults`.
    """

    index: int
    name: str
    id: str | None
    window: tuple[int, int] | None
    covers_grid: bool | None
    receptive_field: int | None
    depth: int | None
    width: int | None
    heads: int | None
    mlp_ratio: float
    train_patches: float
    loss_weight: float
    offset: tuple[int, int]
    is_pretrained: bool
    trains: bool
    places: Mapping[str, Path]

    def span(self, loaded: Loaded, key: str) -> Span:
        """Where a value of this brick was written; the brick itself where it was not."""
        return loaded.span(*self.places[key]) if key in self.places else loaded.tree.head(("bricks", self.index))


def grid_of(loaded: Loaded) -> tuple[int, int] | None:
    """Height and width of the grid, where both are sound."""
    grid = loaded.written.grid
    return (grid.height, grid.width) if grid and grid.height is not None and grid.width is not None else None


def draft_bricks(loaded: Loaded) -> tuple[list[Draft], list[Diagnostic]]:
    """Every brick with its defaults, and LG102 for what neither the brick nor the defaults give."""
    bricks = loaded.written.bricks or []
    drafts = [_draft(loaded, i, brick) for i, brick in enumerate(bricks)]
    return drafts, [finding for key in NEEDED for finding in _absent(loaded, drafts, key)]


def _draft(loaded: Loaded, index: int, brick: Brick) -> Draft:
    defaults, grid = loaded.written.brick_defaults, grid_of(loaded)
    places: dict[str, Path] = {}
    for key in sections()["bricks", "*"].keys:
        if getattr(brick, key) is not None:
            places[key] = ("bricks", index, key)
        elif getattr(defaults, key, None) is not None:
            places[key] = ("brick_defaults", key)

    def number(key: str) -> int | None:
        own: int | None = getattr(brick, key)
        return own if own is not None else getattr(defaults, key, None)

    def share(key: str, default: float) -> float:
        value = number(key)
        return default if value is None else float(value)

    pretrained = is_pretrained(loaded, index)
    window = grid if pretrained or brick.size == "image" else brick.size
    covers = True if pretrained or brick.size == "image" else window == grid if window and grid else None
    # an image-brick has one window: a share of it would be all or nothing
    patches = (brick.train_patches or 1.0) if covers else share("train_patches", 1.0)
    field = number("receptive_field")
    if field is None and not pretrained and not _touched(loaded, index, "receptive_field"):
        field = 2 if covers else min(window) // 2 if window and covers is False and min(window) % 2 == 0 else None
    return Draft(
        index=index,
        name=brick_name(loaded.tree, index),
        id=brick.id,
        window=window,
        covers_grid=covers,
        receptive_field=field,
        depth=number("depth"),
        width=number("width"),
        heads=number("heads"),
        mlp_ratio=share("mlp_ratio", DEFAULT_MLP_RATIO),
        train_patches=patches,
        loss_weight=0.0 if pretrained and frozen(brick) else share("loss_weight", 1.0),
        offset=brick.offset or (0, 0),
        is_pretrained=pretrained,
        trains=not pretrained or not frozen(brick),
        places=places,
    )


def is_pretrained(loaded: Loaded, index: int) -> bool:
    """Whether a brick was meant to be a pretrained model, even if its section is broken."""
    place = ("bricks", index, "pretrained")
    return loaded.tree.has(place) or place in loaded.broken


def frozen(brick: Brick) -> bool:
    """Whether training leaves a pretrained brick alone, as it does where nothing is written."""
    return brick.pretrained is None or brick.pretrained.frozen is not False


def _touched(loaded: Loaded, index: int, key: str) -> bool:
    """Whether a value is absent because it is broken where it was written."""
    return loaded.is_broken("bricks", index, key) or loaded.is_broken("brick_defaults", key)


def _absent(loaded: Loaded, drafts: list[Draft], key: str) -> Iterable[Diagnostic]:
    own = [d for d in drafts if not d.is_pretrained]
    without = [d for d in own if getattr(d, key) is None and not _touched(loaded, d.index, key)]
    help = f"add `{key}` to the brick, or to `brick_defaults:` for all bricks"
    if len(without) == len(own) > 1:
        span = loaded.tree.key(("bricks",)) or loaded.span("bricks")
        yield report("LG102", f"no brick has a `{key}`" if key != "heads" else "no brick has `heads`", span, help=help)
        return
    for draft in without:
        yield report("LG102", f"{draft.name} has no `{key}`", loaded.tree.head(("bricks", draft.index)), help=help)
