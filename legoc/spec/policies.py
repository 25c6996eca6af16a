"""Rules about predicates and policies, checked on the spec's own sampling schedule."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from legoc.codes import report
from legoc.diagnostics import Diagnostic, Edit, Label
from legoc.source import Span
from legoc.spec.diffusion import kind_of
from legoc.spec.drafts import Draft
from legoc.spec.load import MAX_GUESSES, Loaded
from legoc.spec.predicate import parse
from legoc.spec.resolved import Path
from legoc.spec.suggest import close
from legoc_runtime.contract.policy import BUILTIN_POLICIES
from legoc_runtime.contract.predicate import Expr, names_in
from legoc_runtime.contract.predicate_columns import Columns, size
from legoc_runtime.contract.schedule import Level

MAX_OPERATIONS = 8_000_000
"""Operations of all predicates of a spec over its schedule, so that checking it stays a matter of moments."""


class Predicates(NamedTuple):
    """All predicates of a spec, parsed: path -> tree. A predicate that does not parse is absent."""

    trees: Mapping[Path, Expr]

    def default_skips(self, drafts: list[Draft]) -> dict[str, Path]:
        """Brick id -> path of its `skip:`: the policy `default`."""
        paths = {draft.id: ("bricks", draft.index, "skip") for draft in drafts if draft.id is not None}
        return {id: path for id, path in paths.items() if path in self.trees}


def parse_predicates(loaded: Loaded) -> tuple[Predicates, list[Diagnostic]]:
    """Every `skip:` and every policy's predicates, with LG301 to LG304 at their characters."""
    trees: dict[Path, Expr] = {}
    findings: list[Diagnostic] = []
    timesteps = kind_of(loaded) != "edm"  # nothing is known to be wrong where the kind is broken
    for path in _places(loaded):
        node = loaded.tree.scalar(path)
        if node is None:
            continue
        tree, errors = parse(node.text, timesteps=timesteps, guess=len(findings) < MAX_GUESSES)
        if tree is not None:
            trees[path] = tree
        for error in errors:
            span = node.part(error.start, error.end)
            fix = None if error.fix is None else [Edit(span, error.fix)]
            findings.append(report(error.code, error.message, span, error.label, help=error.help, fix=fix))
    return Predicates(trees), findings


def _places(loaded: Loaded) -> Iterator[Path]:
    for i, brick in enumerate(loaded.written.bricks or []):
        if brick.skip is not None:
            yield ("bricks", i, "skip")
    for name, skips in (loaded.written.skip_policies or {}).items():
        for brick in skips:
            yield ("skip_policies", name, brick)


class Table(NamedTuple):
    """A policy over the spec's schedule.

    Attributes:
        name: its name; `default` for the bricks' own `skip:` keys.
        paths: brick id -> place of its predicate.
        held: brick id -> at which noise levels its predicate holds, packed as `Columns` does.
        columns: the schedule.
    """

    name: str
    paths: Mapping[str, Path]
    held: Mapping[str, int]
    columns: Columns

    def decides(self, brick: str) -> bool:
        """Whether the predicate of a brick holds at some levels and not at others."""
        return self.held[brick] not in (0, self.columns.everywhere)

    def head(self, loaded: Loaded) -> Span:
        """Where to point to for the whole policy."""
        if self.name == "default":
            return loaded.span(*next(iter(self.paths.values())))
        return loaded.tree.key(("skip_policies", self.name)) or loaded.span("skip_policies", self.name)


def check_names(loaded: Loaded, drafts: list[Draft]) -> Iterator[Diagnostic]:
    """LG305 and LG306: bricks that a policy names, and the policies' own names."""
    ids = known_ids(loaded, drafts)
    guesses = 0
    for name, skips in (loaded.written.skip_policies or {}).items():
        yield from _policy_name(loaded, name)
        for brick in [brick for brick in skips if brick not in ids] if ids else []:
            yield _unknown_brick(loaded, name, brick, ids, guess=guesses < MAX_GUESSES)
            guesses += 1


def known_ids(loaded: Loaded, drafts: list[Draft]) -> list[str]:
    """The ids of all bricks, bottom to top; empty where one of them is broken."""
    ids = [draft.id for draft in drafts if draft.id is not None]
    return ids if len(ids) == len(drafts) and not loaded.is_broken("bricks") else []


def tabulate_policies(
    loaded: Loaded, drafts: list[Draft], predicates: Predicates, levels: tuple[Level, ...] | None
) -> tuple[list[Table], list[Diagnostic]]:
    """The sound policies over the schedule, `default` first; none, and LG314, where that is too much work.

    Args:
        loaded: the spec.
        drafts: its bricks.
        predicates: its predicates.
        levels: the spec's sampling schedule; None when what it depends on is broken.
    """
    ids = known_ids(loaded, drafts)
    if not ids or levels is None:
        return [], []
    sound: dict[str, dict[str, Path]] = {}
    default = predicates.default_skips(drafts)
    if default and _sound_default(loaded, drafts, predicates):
        sound["default"] = default
    for name, skips in (loaded.written.skip_policies or {}).items():
        path = ("skip_policies", name)
        paths: dict[str, Path] = {brick: (*path, brick) for brick in skips}
        broken = any(place[:2] == path for place in loaded.broken)
        if name != "default" and not broken and all(b in ids and p in predicates.trees for b, p in paths.items()):
            sound[name] = paths
    trees = {predicates.trees[path] for paths in sound.values() for path in paths.values()}
    operations = len(levels) * sum(map(size, trees))
    if operations > MAX_OPERATIONS:
        return [], [_too_much(loaded, operations, len(trees), len(levels))]
    columns = Columns(levels)
    return [
        Table(name, paths, {brick: columns.truth(predicates.trees[path]) for brick, path in paths.items()}, columns)
        for name, paths in sound.items()
    ], []


def _too_much(loaded: Loaded, operations: int, trees: int, levels: int) -> Diagnostic:
    message = (
        f"{trees:,} predicates over {levels:,} noise levels are {operations:,} operations; "
        f"at most {MAX_OPERATIONS:,} are worked out"
    )
    help = f"write at most {max(2, levels * MAX_OPERATIONS // operations):,} `steps`, or shorter or fewer predicates"
    return report("LG314", message, loaded.span("sample", "steps"), help=help)


def check_tables(
    loaded: Loaded, drafts: list[Draft], predicates: Predicates, tables: list[Table], levels: tuple[Level, ...] | None
) -> Iterator[Diagnostic]:
    """LG307 and LG308: policies that leave no brick, and predicates that decide nothing."""
    ids = known_ids(loaded, drafts)
    for table in tables if levels is not None else []:
        yield from _over_schedule(loaded, table, ids, predicates, levels or ())


def _sound_default(loaded: Loaded, drafts: list[Draft], predicates: Predicates) -> bool:
    paths = [("bricks", draft.index, "skip") for draft in drafts]
    return all(path in predicates.trees or not loaded.tree.has(path) for path in paths)


def _policy_name(loaded: Loaded, name: str) -> Iterator[Diagnostic]:
    span = loaded.tree.key(("skip_policies", name)) or loaded.span("skip_policies")
    if name in BUILTIN_POLICIES:
        means = {"default": "the policy of the bricks' own `skip:` keys"}.get(name, "built in")
        yield report("LG306", f"the policy name `{name}` is taken: it is {means}", span, help="choose another name")
    elif not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", name):
        help = "a letter, then letters, digits, `_` and `-`, at most 64; `halfway:0.4` and the like are built in"
        yield report("LG306", f"a policy cannot be called `{name}`", span, help=help)


def _unknown_brick(loaded: Loaded, policy: str, brick: str, ids: list[str], *, guess: bool) -> Diagnostic:
    path = ("skip_policies", policy, brick)
    key = loaded.tree.key(path)
    if key is not None and key.file is not loaded.tree.root.span.file and not key.file.is_command_line:
        # a base's policy, whose brick this file took away or the base never had: it is mended from here
        alone = len((loaded.written.skip_policies or {})[policy]) == 1
        entry = f"{policy}: {{$delete: true}}" if alone else f"{policy}: {{{brick}: {{$delete: true}}}}"
        here = os.path.basename(loaded.tree.root.span.file.name)
        help = f"to take it out of that policy, write in `{here}`: `skip_policies: {{{entry}}}`"
    elif meant := close(brick, ids) if guess else None:
        help = f"did you mean `{meant}`?"
    else:
        help = f"the bricks are {', '.join(ids)}"
    message = f"policy `{policy}` names the brick `{brick}`, which the stack does not have"
    return report("LG305", message, key or loaded.span(*path), help=help)


def levels_without_bricks(table: Table, ids: list[str]) -> list[int]:
    """The noise levels at which a policy leaves no brick."""
    if not all(brick in table.held for brick in ids):
        return []
    empty = table.columns.everywhere
    for brick in ids:
        empty &= table.held[brick]
    return [i for i, is_empty in enumerate(table.columns.unpacked(empty)) if is_empty] if empty else []


def _over_schedule(
    loaded: Loaded, table: Table, ids: list[str], predicates: Predicates, levels: tuple[Level, ...]
) -> Iterator[Diagnostic]:
    if empty := levels_without_bricks(table, ids):
        yield _no_brick(loaded, table, empty, levels)
        return
    if not table.paths:
        message = f"policy `{table.name}` leaves no brick out, like the built-in `none`"
        yield report("LG308", message, table.head(loaded), help="give it predicates, or remove it")
    for brick, path in table.paths.items():
        if not table.decides(brick):
            tree = predicates.trees[path]
            yield _undecided(loaded, table.name, brick, path, tree, levels, always=table.held[brick] != 0)


def _no_brick(loaded: Loaded, table: Table, empty: list[int], levels: tuple[Level, ...]) -> Diagnostic:
    name, paths = table.name, table.paths
    first, last = levels[empty[0]], levels[empty[-1]]
    where = f"step {first.step} (sigma {first.sigma:.3g})"
    if len(empty) > 1:
        where = f"{len(empty)} of {len(levels)} noise levels, step {first.step} (sigma {first.sigma:.3g}) first"
        if empty == list(range(empty[0], empty[-1] + 1)):
            where = f"steps {first.step} to {last.step} of {len(levels)} (sigma {first.sigma:.3g} to {last.sigma:.3g})"
    places = list(paths.items())
    labels = [Label(loaded.span(*path), f"leaves `{brick}` out there") for brick, path in places]
    by = "the bricks' own `skip:` keys leave" if name == "default" else f"policy `{name}` leaves"
    secondary = labels[1:] if name == "default" else labels
    help = "let at least one brick run at every noise level"
    label = labels[0].text if name == "default" else ""
    message = f"{by} no brick at {where}"
    return report("LG307", message, table.head(loaded), label, secondary=secondary, help=help)


def _guided_words(levels: tuple[Level, ...]) -> str:
    guided = sum(level.guided for level in levels)
    if 0 < guided < len(levels):
        return f"guidance acts at {guided} of the {len(levels)} levels"
    return "guidance acts at every level" if guided else "guidance is 1 or its interval empty, so that it acts nowhere"


def _undecided(
    loaded: Loaded,
    policy: str,
    brick: str,
    path: Path,
    tree: Expr,
    levels: tuple[Level, ...],
    *,
    always: bool,
) -> Diagnostic:
    share = f"all {len(levels)}" if always else f"none of the {len(levels)}"
    verb = "always leaves" if always else "never leaves"
    message = f"policy `{policy}` {verb} `{brick}` out: this holds at {share} noise levels of the spec's schedule"
    first, last = levels[0], levels[-1]
    ranges = {
        "sigma": f"sigma falls from {first.sigma:g} to {last.sigma:g}",
        "log_snr": f"log_snr rises from {first.log_snr:.3g} to {last.log_snr:.3g}",
        "progress": "progress rises from 0 to 1",
        "step": f"step goes from 0 to {last.step}",
        "steps": f"steps is {len(levels)}",
        "t": f"t falls from {first.t} to {last.t}",
        "guided": _guided_words(levels),
    }
    names = names_in(tree)
    help = "; ".join(text for name, text in ranges.items() if name in names) or None
    return report("LG308", message, loaded.span(*path), help=help)
