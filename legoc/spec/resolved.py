"""The resolved spec: every value present, every predicate parsed, every place in the user's file remembered.

This is the type that leaves the language and enters the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from legoc.source import Span
from legoc_runtime.contract.policy import Policy
from legoc_runtime.contract.predicate import Expr
from legoc_runtime.contract.settings import PretrainedSettings, Resize, SampleSettings, TrainSettings
from legoc_runtime.contract.stack import StackShape

Path = tuple[str | int, ...]
"""A place in the YAML tree, e.g. ("bricks", 2, "size")."""


@dataclass(frozen=True)
class StackSpec:
    """A spec that checks.

    Attributes:
        name: name of the stack; names its build directory and runs.
        description: one line for people.
        shape: the architecture.
        label_dropout: share of training images whose label is replaced by the null label.
        default_skips: brick id -> predicate, from the bricks' own `skip:` keys: the policy `default`.
        policies: the spec's `skip_policies`, by name.
        data_path: the `data: {path}` key, or None.
        data_resize: how images come to the grid.
        train: the `train:` section, resolved.
        sample: the `sample:` section, resolved.
        pretrained: brick id -> settings of a brick that is a pretrained model; at most one, of which `shape` says its
            place and what its files say.
        spans: place in the YAML tree -> span of its value; paths that the user did not write are absent.
    """

    name: str
    description: str
    shape: StackShape
    label_dropout: float
    default_skips: Mapping[str, Expr]
    policies: Mapping[str, Policy]
    data_path: str | None
    data_resize: Resize
    train: TrainSettings
    sample: SampleSettings
    pretrained: Mapping[str, PretrainedSettings] = field(default_factory=dict[str, PretrainedSettings])
    spans: Mapping[Path, Span] = field(repr=False, compare=False, default_factory=dict[Path, Span])

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all bricks, bottom to top, pretrained ones too."""
        return self.shape.ids

    def span(self, *path: str | int) -> Span | None:
        """The span of a place, or of the nearest enclosing place that the user wrote."""
        while path:
            if path in self.spans:
                return self.spans[path]
            path = path[:-1]
        return self.spans.get(())

    def brick_span(self, id: str, *keys: str | int) -> Span | None:
        """The span of a brick, or of one of its keys."""
        return self.span("bricks", self.ids.index(id), *keys)
