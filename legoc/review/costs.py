"""What two specs cost, side by side, and which steps their skip policies leave bricks out at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from legoc.cost.report import Cost, price
from legoc.describe import describe_spec
from legoc.spec.resolved import StackSpec
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.policy import TruthTable, tabulate
from legoc_runtime.contract.schedule import sampling_levels
from legoc_runtime.errors import UsageError

Unit = Literal["parameters", "MACs", "bytes", "share"]
Metric = Literal["params", "macs", "train", "sample", "weights", "activations"]


@dataclass(frozen=True, slots=True)
class CostRow:
    """One figure before and after.

    Attributes:
        name: what it is of.
        unit: what it counts; a `share` is from 0 to 1.
        before: the figure that was; None where there was none.
        after: the figure that is; None where there is none any more.
        metric: what `--budget` calls it; None for what no budget is of.
    """

    name: str
    unit: Unit
    before: float | None
    after: float | None
    metric: Metric | None = None

    @property
    def change(self) -> float | None:
        """The growth over what was, 0.1 for 10% more; None where there is nothing to hold it against."""
        if self.before is None or self.after is None or self.unit == "share" or self.before == 0:
            return None
        return self.after / self.before - 1


@dataclass(frozen=True, slots=True)
class PolicyShift:
    """A skip policy that leaves bricks out at other steps.

    Attributes:
        policy: its name.
        brick: id of the brick, as it is called now.
        before: steps at which it was left out.
        after: steps at which it is.
        steps: steps of the schedule before and after.
        was: the policy that the spec sampled under, where it samples under another one now; else None.
    """

    policy: str
    brick: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    steps: tuple[int, int]
    was: str | None = None

    @property
    def policies(self) -> tuple[str, str]:
        """The policy before and after."""
        return self.was or self.policy, self.policy

    def __str__(self) -> str:
        was, now = self.steps
        if len(self.before) == len(self.after) and was == now:
            return f"`{self.policy}` skips {self.brick} at {len(self.after)} of {now} steps as before, but at others"
        of = f" of {was}" if was != now else ""
        if self.was is not None:
            skips = (
                f"sampling now follows `{self.policy}`, which skips {self.brick} at {len(self.after)} of {now} steps"
            )
            return f"{skips}; `{self.was}` skipped it at {len(self.before)}{of}"
        return f"`{self.policy}` now skips {self.brick} at {len(self.after)} of {now} steps, was {len(self.before)}{of}"


@dataclass(frozen=True)
class Costs:
    """What two specs cost.

    Attributes:
        rows: the figures, in one order for all specs.
        shifts: the policies of both specs that leave bricks out at other steps.
        refusal: why there are no figures, or None.
    """

    rows: tuple[CostRow, ...] = ()
    shifts: tuple[PolicyShift, ...] = ()
    refusal: str | None = None

    @property
    def changed(self) -> tuple[CostRow, ...]:
        """The figures that are not what they were."""
        return tuple(row for row in self.rows if row.before != row.after)


def compare_costs(before: StackSpec | None, after: StackSpec | None, matched: Mapping[str, str]) -> Costs:
    """The costs of two specs; one of them may be missing.

    Args:
        before: the spec that was.
        after: the spec that is.
        matched: id before -> id after.
    """
    try:
        was, now = (None if spec is None else describe_spec(spec)[0] for spec in (before, after))
        old, new = (None if manifest is None else price(manifest) for manifest in (was, now))
    except UsageError as error:
        return Costs(refusal=error.message)
    ours, theirs = ({} if cost is None else _figures(cost) for cost in (old, new))
    asked = [spec.sample.skip_policy for spec in (before, after) if spec is not None]
    sampled = f"sampling, {asked[-1]}"
    if asked[0] != asked[-1]:
        # another policy than before: what sampling costs is held against what it did cost, not against nothing
        sampled = _SAMPLING
        ours[_SAMPLING, "MACs"], theirs[_SAMPLING, "MACs"] = (
            figures[f"sampling, {policy}", "MACs"] for figures, policy in zip((ours, theirs), asked, strict=True)
        )
    rows = [
        CostRow(name, unit, ours.get((name, unit)), theirs.get((name, unit)), _metric(name, sampled))
        for name, unit in _ordered(ours, theirs)
    ]
    shifts = () if was is None or now is None else tuple(_shifts(was, now, matched))
    return Costs(tuple(rows), shifts)


_SAMPLING = "sampling as the spec says"
_Figures = dict[tuple[str, Unit], float]


def _figures(cost: Cost) -> _Figures:
    memory = cost.memory
    found: _Figures = {
        ("parameters", "parameters"): cost.parameters,
        ("a forward pass", "MACs"): cost.macs,
        ("a training image", "MACs"): cost.training_macs,
    }
    for policy in cost.policies:
        found[f"sampling, {policy.policy}", "MACs"] = policy.macs
    for policy in cost.policies:
        if policy.policy != "none":
            found[f"saving of {policy.policy}", "share"] = policy.saving
    found["weights, float32", "bytes"] = memory.weights["float32"]
    found["activations of sampling, a row", "bytes"] = memory.sampling_activations["float32"]
    found["activations of training, an image", "bytes"] = memory.training_activations["float32"]
    return found


def _ordered(ours: _Figures, theirs: _Figures) -> list[tuple[str, Unit]]:
    """Figures of one kind beside one another, also where one side alone has some."""
    kinds = (
        "parameters",
        "a forward",
        "a training",
        _SAMPLING,
        "sampling,",
        "saving",
        "weights",
        "activations of s",
        "activations",
    )
    keys = list(dict.fromkeys([*ours, *theirs]))
    return sorted(keys, key=lambda key: next(i for i, kind in enumerate(kinds) if key[0].startswith(kind)))


def _metric(name: str, sampled: str) -> Metric | None:
    fixed: dict[str, Metric] = {
        "parameters": "params",
        "a forward pass": "macs",
        "a training image": "train",
        "weights, float32": "weights",
        "activations of training, an image": "activations",
    }
    return "sample" if name == sampled else fixed.get(name)


def _shifts(before: Manifest, after: Manifest, matched: Mapping[str, str]) -> Iterator[PolicyShift]:
    ours, theirs = _tables(before), _tables(after)
    pairs = [(name, name) for name in theirs if name in ours]
    if before.sample.skip_policy != after.sample.skip_policy:
        pairs.insert(0, (before.sample.skip_policy, after.sample.skip_policy))
    for was, name in pairs:
        old, new = ours[was], theirs[name]
        for mine, other in matched.items():
            if mine in old.bricks and other in new.bricks:
                skipped = _skipped(old, mine), _skipped(new, other)
                if skipped[0] != skipped[1]:
                    steps = len(old.levels), len(new.levels)
                    yield PolicyShift(name, other, *skipped, steps, None if was == name else was)


def _tables(manifest: Manifest) -> dict[str, TruthTable]:
    levels = sampling_levels(manifest.sample, manifest.shape.diffusion)
    builtin = ("halfway",) if len(manifest.shape.ids) > 1 else ()
    names = dict.fromkeys((*builtin, *(policy.name for policy in manifest.policies), manifest.sample.skip_policy))
    return {name: tabulate(manifest.policy(name), manifest.shape.ids, levels) for name in names}


def _skipped(table: TruthTable, brick: str) -> tuple[int, ...]:
    return tuple(i for i, configuration in enumerate(table.configurations) if brick not in configuration)
