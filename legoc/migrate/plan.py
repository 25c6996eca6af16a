"""What is asked, held against what is possible. Needs no torch, so that a refusal comes at once."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from legoc.diagnostics import SpecError
from legoc.driver import sealed_shape
from legoc.migrate.source import Source, find_source
from legoc.review.changes import NO_RENAMES
from legoc.review.compare import Review, review
from legoc.review.rules import Impact
from legoc.review.sides import STDIN, Side, Unreadable, read_side
from legoc.review.tensors import TensorPlan, plan_tensors
from legoc.source import SourceFile
from legoc.spec.check import check_text
from legoc.spec.read import MAX_BYTES, read_source, source_of
from legoc.spec.resolved import StackSpec
from legoc_runtime.errors import UsageError


@dataclass(frozen=True)
class Plan:
    """A migration that was asked for.

    Attributes:
        source: the checkpoint.
        before: the spec that it was trained under.
        after: the spec that it is carried over to.
        review: what changed between both; None where nothing did.
        tensors: what becomes of every tensor.
        matched: id before -> id after, for every brick that is on both sides.
    """

    source: Source
    before: Side
    after: Side
    review: Review | None
    tensors: TensorPlan
    matched: Mapping[str, str]

    @property
    def is_possible(self) -> bool:
        """Whether every tensor has a place, and every place a tensor or a beginning."""
        return self.tensors.loading != "no"

    @property
    def impact(self) -> Impact:
        """The class of the change: `cosmetic` where there is none."""
        return self.review.impact if self.review else "cosmetic"

    @property
    def same_data(self) -> bool:
        """Whether both specs train on the same images, resized alike."""
        before, after = self.before.spec, self.after.spec
        return (before.data_path, before.data_resize) == (after.data_path, after.data_resize)

    @property
    def counts(self) -> dict[str, int]:
        """How many tensors are kept, renamed, widened and so on."""
        return dict(sorted(Counter(move.how for move in self.tensors.moves).items()))

    @property
    def renamed(self) -> dict[str, str]:
        """Id before -> id after, for bricks that have another one."""
        return {before: after for before, after in self.matched.items() if before != after}


def plan_migration(
    path: Path, spec: str, overrides: Sequence[str] = (), renames: Mapping[str, str] = NO_RENAMES
) -> Plan:
    """What becomes of a checkpoint under a spec.

    Args:
        path: a run, a checkpoint directory or a file of weights.
        spec: a spec file, a build, or `-` for standard input.
        overrides: as of `--set`, on the spec.
        renames: id before -> id after, for bricks that are said to be one brick.

    Raises:
        UsageError: there is no checkpoint, or there are no such bricks to rename.
        SpecError: the spec, or the one in the checkpoint, does not check.
        RunError: the checkpoint is damaged, or the files of a pretrained model are.
    """
    source = find_source(path)
    before, after = (_opened(_readable(side)) for side in (read_side(str(source.path)), _wanted(spec, overrides)))
    check_renames(renames, before.spec, after.spec)
    found = review(before, after, renames)
    if found is None:
        ids = {id: id for id in before.spec.ids}
        return Plan(source, before, after, None, plan_tensors(before.spec.shape, after.spec.shape, ids), ids)
    return Plan(source, before, after, found, found.plan, found.matched)


def read_renames(texts: Sequence[str]) -> dict[str, str]:
    """Renames as a command line gives them, `old=new` each.

    Raises:
        UsageError: one is not of that form, or two speak of one brick.
    """
    found: dict[str, str] = {}
    for text in texts:
        before, equals, after = (part.strip() for part in text.partition("="))
        if not (before and equals and after):
            raise UsageError(f"--rename {text}: expected the id before and the id after", help="--rename old=new")
        if before in found or after in found.values():
            raise UsageError(f"--rename {text}: this brick was renamed already", help="name every brick once")
        found[before] = after
    return found


def check_renames(renames: Mapping[str, str], before: StackSpec, after: StackSpec) -> None:
    """Refuse renames of bricks that are not there, and of a pretrained model to a brick of the stack or back.

    Raises:
        UsageError: names the first one, and the bricks that there are.
    """
    for one, other in renames.items():
        for id, ids, where in ((one, before.ids, "the checkpoint"), (other, after.ids, "the spec")):
            if id not in ids:
                raise UsageError(
                    f"--rename {one}={other}: {where} has no brick `{id}`", help=f"its bricks are {', '.join(ids)}"
                )
        if (one in before.pretrained) != (other in after.pretrained):
            model, brick = (one, other) if one in before.pretrained else (other, one)
            message = f"--rename {one}={other}: `{model}` is a pretrained model, and `{brick}` a brick of the stack"
            raise UsageError(message, help="leave it out: one has no weights for the other")


def _wanted(spec: str, overrides: Sequence[str]) -> Side | Unreadable:
    """The spec that is asked for, `--set` applied."""
    if not overrides:
        return read_side(spec)
    if Path(spec).is_dir():
        raise UsageError(
            f"--set changes a spec file, and {spec} is a build", help="give the spec that it was made from"
        )
    is_text = spec == STDIN
    source = source_of(sys.stdin.buffer.read(MAX_BYTES + 1), "<stdin>") if is_text else read_source(Path(spec))
    if not isinstance(source, SourceFile):
        return Unreadable(spec, (source,))
    found = check_text(source.text, source.name, overrides)
    if found.spec is None:
        return Unreadable(spec, found.diagnostics)
    return Side(spec, "spec", source.name, source.text, found.spec, found.diagnostics)


def _opened(side: Side) -> Side:
    """The side with the weights of a model that trains, where only its own code tells them: that takes torch."""
    given = side.spec.shape.pretrained
    if given is None or given.frozen or given.weights:
        return side
    told = sealed_shape(side.spec.shape).pretrained
    assert told is not None
    shape = replace(side.spec.shape, pretrained=replace(given, weights=told.weights))
    return replace(side, spec=replace(side.spec, shape=shape))


def _readable(side: Side | Unreadable) -> Side:
    if isinstance(side, Unreadable):
        raise SpecError(side.diagnostics)
    return side
