"""The class of every change: what it does to weights that were trained, and to what they compute.

| class | a checkpoint of the old spec | what the network computes |
|---|---|---|
| `cosmetic` | loads as it is | the same |
| `sampling` | loads as it is | the same; pictures are made from it in another way |
| `training` | loads as it is | the same; training goes on in another way |
| `resumable` | `legoc migrate` carries it over | the same to begin with, bricks that are new left out |
| `meaning` | loads as it is, or migrated | something else |
| `breaks` | does not load | - |

They are in this order, and the class of a whole diff is the worst of its changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from legoc.review.changes import (
    BrickAdded,
    BrickRemoved,
    BrickRenamed,
    BricksReordered,
    Change,
    PolicyAdded,
    PolicyChanged,
    PolicyRemoved,
    TextChanged,
    ValueChanged,
)
from legoc.review.rules import RULES, Impact, Rule
from legoc.review.tensors import TensorMove, TensorPlan
from legoc.spec.resolved import StackSpec
from legoc_runtime.contract.stack import StackShape

IMPACTS: tuple[Impact, ...] = ("cosmetic", "sampling", "training", "resumable", "meaning", "breaks")
"""The classes, from what matters least to what matters most."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a change does.

    Attributes:
        change: the change.
        impact: its class.
        reason: one sentence that says why.
        tensors: what becomes of the tensors that it touches, those that stay as they are left out.
    """

    change: Change
    impact: Impact
    reason: str
    tensors: tuple[TensorMove, ...] = ()


@dataclass(frozen=True)
class Case:
    """Both sides of a comparison, as much as classes need.

    Attributes:
        before: the spec that was.
        after: the spec that is.
        matched: id before -> id after.
        plan: what becomes of the tensors.
    """

    before: StackSpec
    after: StackSpec
    matched: Mapping[str, str]
    plan: TensorPlan

    @property
    def shapes(self) -> tuple[StackShape, StackShape]:
        """Both stacks."""
        return self.before.shape, self.after.shape

    def touched(self, pattern: str) -> tuple[TensorMove, ...]:
        """The tensors that do not stay as they are and whose key, after or else before, a pattern matches whole."""
        find = re.compile(pattern).fullmatch
        return tuple(m for m in self.plan.moves if m.how != "kept" and find(m.after or m.before or ""))

    def trained(self, id: str) -> tuple[TensorMove, ...] | None:
        """The tensors that are lost of a pretrained brick, which was trained; None where it was not."""
        given = self.before.shape.runs_pretrained((id,))
        if given is None or given.frozen:
            return None
        ids = "|".join(map(re.escape, {id, self.matched.get(id, id)}))
        return self.broken(f"pretrained\\.({ids})\\..*")

    def broken(self, pattern: str) -> tuple[TensorMove, ...]:
        """Those of them that break."""
        lost = set(self.plan.lost)
        return tuple(move for move in self.touched(pattern) if move in lost)


def rank(impact: Impact) -> int:
    """How much a class matters: 0 for `cosmetic`."""
    return IMPACTS.index(impact)


def classify(change: Change, case: Case) -> Verdict:
    """The class of a change, and why."""
    match change:
        case ValueChanged():
            return _value(change, case)
        case BrickAdded(after=value, over=over):
            return _added(change, value.text, over, case)
        case BrickRemoved(before=value):
            lost = case.broken(f"(bricks|pretrained)\\.{value.text}\\..*")
            if not lost:  # a pretrained brick: its weights are not the stack's
                moved = _of(case.touched("bricks\\..*\\.embed\\.weight"), "narrowed")
                last = value.text == case.before.ids[-1]
                reason = "this model no longer refines" if last else "the brick above no longer reads"
                reason += " the estimate below it" if last else " this model's estimate"
                return Verdict(change, "meaning", reason, moved)
            return Verdict(change, "breaks", "its trained weights have no place any more", lost)
        case BrickRenamed(before=was, after=value):
            moved = case.touched(f"(bricks|pretrained)\\.{re.escape(value.text)}\\..*")
            reason = f"ids name weights: those of `{was.text}` are the weights of `{value.text}`"
            if value.text in case.after.pretrained and not moved:
                reason = "a pretrained model that stays as it is has no weights in a checkpoint that an id would name"
            return Verdict(change, "resumable" if moved else "cosmetic", reason, _of(moved, "renamed"))
        case BricksReordered():
            reason = "every brick keeps its weights, and refines what another brick hands on"
            moved = _of(case.touched("bricks\\..*\\.embed\\.weight"), "widened", "narrowed")
            if moved:
                reason += "; the bottom brick has no slot for an estimate from below"
            return Verdict(change, "meaning", reason, moved)
        case PolicyAdded() | PolicyRemoved() | PolicyChanged():
            return Verdict(change, "sampling", "which bricks run at which noise level is no part of the weights")
        case TextChanged():
            return Verdict(change, "cosmetic", "the text is another one, and every value is the same")
        case _:
            assert_never(change)


def _of(moves: tuple[TensorMove, ...], *kinds: str) -> tuple[TensorMove, ...]:
    return tuple(move for move in moves if move.how in kinds)


def _added(change: Change, id: str, over: tuple[str, ...], case: Case) -> Verdict:
    moved = _of(case.touched("bricks\\..*\\.embed\\.weight"), "widened")
    if id in case.after.pretrained:
        reason = "the brick above gets a slot for this model's estimate, whose columns begin at zero: outputs stay"
        if over or not moved:
            reason, moved = "this model refines what comes from below: outputs stay where it is left out", ()
        moved += case.touched(f"pretrained\\.{re.escape(id)}\\..*")
        return Verdict(change, "resumable", reason, moved)
    new = case.touched(f"bricks\\.{id}\\..*")
    if over or not moved:  # no slot is new where a model stands above, which reads any estimate
        reason = "it begins untrained: outputs stay where it is left out, until it is trained"
    else:
        new += moved
        reason = "the brick above gets a slot for its estimate, whose columns begin at zero: outputs stay"
    return Verdict(change, "resumable", reason, new)


def _value(change: ValueChanged, case: Case) -> Verdict:
    rule = RULES[change.key]
    if special := _special(change, case):
        return special
    if rule.tensors is None:
        return Verdict(change, rule.impact, rule.reason)
    return _shaped(change, rule, case)


def _shaped(change: ValueChanged, rule: Rule, case: Case) -> Verdict:
    """A value that shapes tensors: it breaks those that really differ."""
    assert rule.tensors is not None
    pattern = rule.tensors if change.brick is None else rule.tensors.replace("*", re.escape(change.brick[1]), 1)
    if lost := case.broken(pattern):
        return Verdict(change, "breaks", rule.reason, lost)
    return Verdict(change, "meaning", rule.otherwise or f"{rule.reason}, although the shapes happen to be the same")


def _special(change: ValueChanged, case: Case) -> Verdict | None:
    """What depends on more than the key; None where the rule says all."""
    before, after = case.shapes
    match change.key, change.brick:
        case "bricks.*.depth", _:
            blocks = case.touched("bricks\\..*\\.blocks\\.\\d+\\..*")
            if dropped := _blocks_of(change, _of(blocks, "dropped")):
                return Verdict(change, "breaks", "the trained blocks at the top have no place any more", dropped)
            new = _blocks_of(change, _of(blocks, "new"))
            reason = "a new block begins with its gates at zero and passes its input on: outputs stay"
            return Verdict(change, "resumable", reason, new)
        case "bricks.*.heads", (mine, id) if before.brick(mine).tokens == after.brick(id).tokens == 1:
            return Verdict(change, "cosmetic", "a token alone in its window attends to itself, by whatever heads")
        case "bricks.*.mlp_ratio", (mine, id) if before.brick(mine).mlp_width == after.brick(id).mlp_width:
            return Verdict(change, "cosmetic", "the MLP has as many hidden features as before")
        case "carry", None if len(case.matched) < 2 or not any(brick.takes_estimate for brick in before.bricks):
            return Verdict(change, "cosmetic", "no brick that was trained hands anything on to another one")
        case "compat.label_embedding", None if before.classes is None and after.classes is None:
            return Verdict(change, "cosmetic", "there are no labels to embed")
        case "diffusion.variance", None if _learned(before) == _learned(after):
            return Verdict(
                change, "sampling", "the variance of the reverse process is the sampler's, not the network's"
            )
        case "diffusion.kind", None:
            lost = case.broken(RULES["diffusion.variance"].tensors or "")
            if lost and _learned(before) != _learned(after):
                return Verdict(change, "breaks", "a learned variance takes output channels of its own", lost)
            return None
        case "bricks.*.pretrained.frozen", (mine, _) if (given := case.trained(mine)) is not None:
            return Verdict(change, "breaks", "what training made of the model's weights has no place any more", given)
        case (
            (
                "bricks.*.pretrained.kind"
                | "bricks.*.pretrained.path"
                | "bricks.*.pretrained.name"
                | "bricks.*.pretrained.heads"
            ),
            (mine, _),
        ):
            return _other_model(change, case, mine)
        case "bricks.*.pretrained.frozen", (_, id):
            new = case.touched(f"pretrained\\.{re.escape(id)}\\..*")
            return Verdict(change, "resumable", RULES[change.key].reason, new)
        case _:
            return None


def _other_model(change: ValueChanged, case: Case, id: str) -> Verdict | None:
    """Other files for a model that was trained further: its weights are in the checkpoint. None for a frozen one."""
    given = case.trained(id)
    if given is None:
        return None
    if given:
        reason = "another model stands for the brick, and what training made of the old one has no place"
        return Verdict(change, "breaks", reason, given)
    one, other = (shape.pretrained for shape in case.shapes)
    if one is not None and other is not None and one.stack == other.stack:
        return Verdict(change, "training", "checkpoints hold the model's weights, and its files are where they begin")
    return Verdict(change, "meaning", "the weights of the model are read by another stack of the same tensors")


def _blocks_of(change: ValueChanged, moves: tuple[TensorMove, ...]) -> tuple[TensorMove, ...]:
    """The tensors of one brick: what is dropped has the key of the old id, what is new that of the new one."""
    mine, other = change.brick or ("", "")
    return tuple(m for m in moves if (m.after or m.before or "").startswith((f"bricks.{mine}.", f"bricks.{other}.")))


def _learned(shape: StackShape) -> bool:
    return shape.variance_channels > 0
