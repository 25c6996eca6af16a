"""Warnings about policies that are legal and probably not meant, judged on the spec's own schedule."""

from __future__ import annotations

from collections.abc import Iterator

from legoc.codes import report
from legoc.diagnostics import Diagnostic, Label
from legoc.spec.drafts import Draft
from legoc.spec.load import Loaded
from legoc.spec.policies import Predicates, Table, known_ids, levels_without_bricks

_GIVE_LOSS = "give it a `loss_weight` above 0: nothing else trains its estimate"


def lint_policies(
    loaded: Loaded, drafts: list[Draft], predicates: Predicates, tables: list[Table]
) -> Iterator[Diagnostic]:
    """LG309 to LG312. A policy that leaves no brick somewhere is an error (LG307), and nothing more is said of it."""
    ids = known_ids(loaded, drafts)
    sound = [table for table in tables if not levels_without_bricks(table, ids)]
    for table in sound:
        yield from _equal_predicates(loaded, predicates, table)
        yield from _bottom_skipped(loaded, drafts, table)
        yield from _left_without_loss(loaded, drafts, table)
    yield from _equal_policies(loaded, sound)
    yield from _top_without_loss(loaded, drafts)


def _equal_predicates(loaded: Loaded, predicates: Predicates, table: Table) -> Iterator[Diagnostic]:
    """LG309. What holds always or never is LG308's."""
    first: dict[int, str] = {}
    for brick, held in table.held.items():
        if not table.decides(brick):
            continue
        other = first.setdefault(held, brick)
        if other == brick:
            continue
        if predicates.trees[table.paths[other]] == predicates.trees[table.paths[brick]]:
            how = "by the same predicate"
            help = "if one was copied from the other, mend it; if they go together, suppress this with the reason"
        else:
            how = f"at the same {_share(table, held)} noise levels, said in two ways"
            help = "the two part on another number of steps: if they go together, say both in one way"
        message = f"policy `{table.name}` leaves `{other}` and `{brick}` out {how}"
        place = [Label(loaded.span(*table.paths[other]), f"leaves `{other}` out")]
        span = loaded.span(*table.paths[brick])
        yield report("LG309", message, span, f"leaves `{brick}` out", secondary=place, help=help)


def _equal_policies(loaded: Loaded, tables: list[Table]) -> Iterator[Diagnostic]:
    """LG310: at every noise level both leave out the same bricks. Policies that leave none out are LG308's."""
    firsts: dict[frozenset[tuple[str, int]], Table] = {}
    for second in tables:
        skips = frozenset((brick, held) for brick, held in second.held.items() if held)
        if not skips or (first := firsts.setdefault(skips, second)) is second:
            continue
        own = "the bricks' own `skip:` keys" if first.name == "default" else f"policy `{first.name}`"
        message = f"policy `{second.name}` leaves out the same bricks at the same noise levels as {own}"
        place = [Label(first.head(loaded), "the same here")]
        help = "remove one of them, or change what was copied"
        yield report("LG310", message, second.head(loaded), secondary=place, help=help)


def _bottom_skipped(loaded: Loaded, drafts: list[Draft], table: Table) -> Iterator[Diagnostic]:
    """LG311: where training runs the bottom brick always, no other brick has learned to begin."""
    bottom = drafts[0].id
    if bottom is None or not (held := table.held.get(bottom, 0)):
        return
    train = loaded.written.train
    if train and train.drop and train.drop.policy == table.name:
        return
    starts: list[int] = []
    without = held
    for draft in drafts[1:]:
        if without & ~_out(table, draft) and not draft.is_pretrained:  # a model reads the noisy image then, as alone
            starts.append(draft.index)
        without &= _out(table, draft)
    if not starts:
        return
    names = " or ".join(f"`{drafts[index].id}`" for index in starts)
    message = (
        f"policy `{table.name}` leaves the bottom brick `{bottom}` out at {_share(table, held)} noise levels: "
        f"{names} then begins with zeros, which training never showed it"
    )
    places = [Label(loaded.tree.head(("bricks", index)), "begins with zeros") for index in starts]
    help = (
        f"leave out a brick above it, or train for it (`train: {{drop: {{policy: {table.name}}}}}`); "
        "if you measured that this works, suppress this with the reason"
    )
    yield report("LG311", message, loaded.span(*table.paths[bottom]), secondary=places, help=help)


def _out(table: Table, draft: Draft) -> int:
    """The levels at which a brick is left out, packed."""
    return table.held.get(draft.id or "", 0)


def _share(table: Table, held: int) -> str:
    return f"{held.bit_count()} of {len(table.columns.levels)}"


def _left_without_loss(loaded: Loaded, drafts: list[Draft], table: Table) -> Iterator[Diagnostic]:
    """LG312 where a policy makes it so: it leaves out every brick above one without a loss."""
    above_out = table.columns.everywhere
    for draft, above in zip(reversed(drafts[:-1]), reversed(drafts[1:]), strict=True):
        above_out &= _out(table, above)
        levels = (above_out & ~_out(table, draft)).bit_count()
        if levels and _has_no_loss(draft):
            message = (
                f"policy `{table.name}` lets `{draft.id}` give the picture at {levels} noise levels, "
                "and it has no loss of its own"
            )
            span = loaded.span(*table.paths[above.id or ""])
            place = [Label(draft.span(loaded, "loss_weight"), f"the weight of `{draft.id}` is 0")]
            yield report("LG312", message, span, secondary=place, help=_GIVE_LOSS)


def _top_without_loss(loaded: Loaded, drafts: list[Draft]) -> Iterator[Diagnostic]:
    """LG312 without any policy. That no brick has a loss is an error, LG207."""
    if drafts and _has_no_loss(drafts[-1]) and any(draft.loss_weight for draft in drafts):
        top = drafts[-1]
        message = f"{top.name} is the top brick and gives the picture, and it has no loss of its own"
        yield report("LG312", message, top.span(loaded, "loss_weight"), help=_GIVE_LOSS)


def _has_no_loss(draft: Draft) -> bool:
    return draft.loss_weight == 0 and not draft.is_pretrained
