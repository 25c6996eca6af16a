"""Modulation computed ahead: one row for each noise level and label of a run, looked up inside its loop.

A row hangs on its noise level and label and on nothing else (see `conditioning.BUCKET_ROWS`), so an estimate that reads
the table does not depend on the batch it stands in through its conditioning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from legoc_runtime.contract.policy import Configuration
from legoc_runtime.errors import UsageError
from legoc_runtime.stack.conditioning import Conditioning, Values
from legoc_runtime.store import WeightStore

DEFAULT_TABLE_BYTES = 256 * 2**20
"""How much a table holds at a time unless told otherwise."""

NO_ROW = 1 << 30
"""Row of a label that a table does not hold: past its end whatever row it is added to, in the 32 bits of CUDA's kernels
too, so that a look-up fails and never finds the row of another."""

Call: TypeAlias = tuple[Configuration, float]
"""A configuration and the noise level at which it will run."""


@dataclass(frozen=True)
class _Rows:
    """The rows of one configuration.

    Values of one form are held together, so that a look-up is one copy a form and each value of it is contiguous.

    Attributes:
        source: what computed them.
        starts: noise level -> its first row.
        forms: place of every crossing value: which group, and where in it.
        groups: [values of a form, rows, ...].
    """

    source: Conditioning
    starts: dict[float, int]
    forms: tuple[tuple[int, int], ...]
    groups: tuple[Tensor, ...]

    def take(self, rows: Tensor) -> Values:
        """The crossing values of rows [N]."""
        taken = [group.index_select(1, rows).unbind(0) for group in self.groups]
        return tuple(taken[group][place] for group, place in self.forms)


@dataclass
class Use:
    """What a table did.

    Attributes:
        windows: times that a piece of the schedule was computed.
        looked_up: calls whose conditioning came from the table.
        direct: calls at noise levels or labels that the table does not hold; their conditioning was computed.
        peak_bytes: the most that was held at a time.
    """

    windows: int = 0
    looked_up: int = 0
    direct: int = 0
    peak_bytes: int = 0

    def add(self, other: Use) -> None:
        """Count what another table did as well."""
        self.windows += other.windows
        self.looked_up += other.looked_up
        self.direct += other.direct
        self.peak_bytes = max(self.peak_bytes, other.peak_bytes)


class ModulationTable:
    """Conditioning of the calls to come. Made by `BrickStack.tabulate`.

    Holds at most `max_bytes` at a time, and one call at least: a longer schedule is computed in windows of consecutive
    calls, as the calls arrive. It is computed afresh when the store's weights change.

    Attributes:
        calls: configurations and noise levels, in the order in which they will be run, without repeats.
        labels: the labels that will occur, None for an unconditional stack.
        max_bytes: how much it may hold.
        use: what it did.
    """

    def __init__(
        self,
        store: WeightStore,
        conditioning: Callable[[Configuration], Conditioning],
        calls: Sequence[Call],
        labels: Sequence[int] | None,
        *,
        dtype: torch.dtype,
        max_bytes: int,
    ) -> None:
        """Plan a table; nothing is computed yet.

        Args:
            store: the weights.
            conditioning: the conditioning part of a configuration.
            calls: what will be run, in order; repeats count once.
            labels: labels that will occur, the null label among them if it will; None for an unconditional stack.
            dtype: type in which the network takes noise levels.
            max_bytes: how much it may hold at a time.

        Raises:
            UsageError: no labels, or a label that the stack does not have.
        """
        self._store = store
        self._conditioning = conditioning
        self._dtype = dtype
        self.calls = tuple(dict.fromkeys((configuration, self._key(sigma)) for configuration, sigma in calls))
        self.labels = None if labels is None else tuple(dict.fromkeys(labels))
        self.max_bytes = max_bytes
        self.use = Use()
        self._order = {call: place for place, call in enumerate(self.calls)}
        self._row_bytes: dict[Configuration, int] = {}
        self._rows: dict[Configuration, _Rows] = {}
        self._generation = store.generation
        self._label_rows = None if self.labels is None else _label_rows(store, self.labels)

    @property
    def bytes(self) -> int:
        """What the whole table takes."""
        return sum(self._call_bytes(configuration) for configuration, _ in self.calls)

    @property
    def fits(self) -> bool:
        """Whether the whole table is held at once."""
        return self.bytes <= self.max_bytes

    def values(self, configuration: Configuration, sigma: Tensor, labels: Tensor | None) -> Values | None:
        """What the body of an evaluation reads, or None when the table does not hold a level or label of the call.

        Args:
            configuration: what runs.
            sigma: noise levels [N], or one for all images []; on the CPU, or the look-up waits for the device.
            labels: [N], on the store's device; None for an unconditional stack.
        """
        levels = [self._key(float(level)) for level in sigma.reshape(-1)]
        held = self._holding(configuration, levels)
        rows = None if held is None else self._places(held, levels, labels)
        if held is None or rows is None:
            self.use.direct += 1
            return None
        self.use.looked_up += 1
        return held.take(rows)

    def _key(self, sigma: float) -> float:
        """A noise level as the network sees it, rounded to the type in which levels are given."""
        return float(torch.tensor(sigma, dtype=self._dtype))

    def _places(self, held: _Rows, levels: Sequence[float], labels: Tensor | None) -> Tensor | None:
        """The rows of a call [N], None when a label has none. One level is that of all labels."""
        starts = torch.tensor([held.starts[level] for level in levels], device=self._store.device)
        if self._label_rows is None or labels is None:
            return starts
        of_label = self._label_rows[labels]
        # on a GPU the look would wait for the device; there a label without a row fails in `index_select`
        if labels.device.type == "cpu" and bool((of_label == NO_ROW).any()):
            return None
        return starts + of_label

    def _holding(self, configuration: Configuration, levels: Sequence[float]) -> _Rows | None:
        """The rows that hold these levels, computed if need be; None when the table cannot hold them."""
        if self._generation != self._store.generation:
            self._rows, self._generation = {}, self._store.generation
        places = [self._order.get((configuration, level)) for level in levels]
        if any(place is None for place in places):
            return None
        held = self._rows.get(configuration)
        if held is not None and held.source is not self._conditioning(configuration):
            self._rows, self._row_bytes, held = {}, {}, None
        if held is not None and all(level in held.starts for level in levels):
            return held
        # several levels in one call need the whole table: windows follow calls at one level each
        if len(set(levels)) > 1 and not self.fits:
            return None
        self._fill(places[0] or 0)
        return self._rows[configuration]

    def _fill(self, first: int) -> None:
        """Hold the calls from `first` on, as many as fit; all of them if the whole table does."""
        self._rows = {}
        first = 0 if self.fits else first
        chosen: dict[Configuration, list[float]] = {}
        held = 0
        for configuration, level in self.calls[first:]:
            held += self._call_bytes(configuration)
            if held > self.max_bytes and chosen:
                break
            chosen.setdefault(configuration, []).append(level)
        with torch.inference_mode(False), torch.no_grad():
            self._rows = {configuration: self._computed(configuration, of) for configuration, of in chosen.items()}
        self.use.windows += 1
        now = sum(group.nbytes for rows in self._rows.values() for group in rows.groups)
        self.use.peak_bytes = max(self.use.peak_bytes, now)

    def _computed(self, configuration: Configuration, levels: Sequence[float]) -> _Rows:
        """The rows of a configuration: level by level, label by label."""
        each = 1 if self.labels is None else len(self.labels)
        column = torch.tensor(levels, dtype=self._dtype, device=self._store.device).repeat_interleave(each)
        labels = None
        if self.labels is not None:
            labels = torch.tensor(self.labels, device=self._store.device).repeat(len(levels))
        forms: tuple[tuple[int, int], ...] = ()
        groups: tuple[Tensor, ...] = ()
        source = self._conditioning(configuration)
        for rows, values in source.buckets(column, labels):
            if not groups:
                forms, groups = _grouped(values, len(column))
            for value, (group, at) in zip(values, forms, strict=True):
                groups[group][at, rows] = value[: rows.stop - rows.start]
        return _Rows(source, {level: i * each for i, level in enumerate(levels)}, forms, groups)

    def _call_bytes(self, configuration: Configuration) -> int:
        """Bytes of one level of a configuration: a row for each label."""
        if configuration not in self._row_bytes:
            level = torch.ones(1, dtype=self._dtype, device=self._store.device)
            label = None if self.labels is None else torch.zeros(1, dtype=torch.int64, device=self._store.device)
            with torch.no_grad():
                values = self._conditioning(configuration)(level, label)
            self._row_bytes[configuration] = sum(value.nbytes for value in values)
        return self._row_bytes[configuration] * (1 if self.labels is None else len(self.labels))


def _label_rows(store: WeightStore, labels: Sequence[int]) -> Tensor:
    """Label -> its row among `labels`, `NO_ROW` for one that is not there: [classes + 1], on the store's device."""
    classes = store.shape.classes
    if classes is None or not labels or not 0 <= min(labels) <= max(labels) <= classes:
        last = "none" if classes is None else f"0 to {classes}, which is the null label"
        raise UsageError(f"a table of labels {sorted(labels)} does not fit a stack whose labels are {last}")
    rows = torch.full((classes + 1,), NO_ROW, dtype=torch.int64)
    rows[list(labels)] = torch.arange(len(labels))
    return rows.to(store.device)


def _grouped(values: Values, rows: int) -> tuple[tuple[tuple[int, int], ...], tuple[Tensor, ...]]:
    """Where each value goes, and room for so many rows: one group a form (shape of a row, and type)."""
    members: dict[tuple[torch.Size, torch.dtype], int] = {}
    forms: list[tuple[int, int]] = []
    for value in values:
        form = (value.shape[1:], value.dtype)
        forms.append((list(members).index(form) if form in members else len(members), members.get(form, 0)))
        members[form] = members.get(form, 0) + 1
    room = tuple(values[0].new_empty((count, rows, *shape), dtype=dtype) for (shape, dtype), count in members.items())
    return tuple(forms), room
