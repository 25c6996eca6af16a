"""Rules about predicates and policies, checked on the spec's own sampling schedule."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from legoc.codes import report
from legoc.diagnostics import Diagnostic, Label
from legoc.source import Span
from legoc.spec.drafts import Draft
from legoc.spec.load import Loaded
from legoc.spec.predicate import parse
from legoc.spec.resolved import Path
from legoc.spec.suggest import close
from legoc_runtime.contract.policy import BUILTIN_POLICIES
from legoc_runtime.contract.predicate import Expr, holds, names_in
from legoc_runtime.contract.schedule import Level, edm_levels
from legoc_runtime.contract.stack import EdmConstants


@dataclass(frozen=True)
class Predicates:
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
    for path in _places(loaded):
        node = loaded.tree.scalar(path)
        if node is None:
            continue
        tree, errors = parse(node.text)
        if tree is not None:
            trees[path] = tree
        for error in errors:
            span = node.part(error.start, error.end)
            findings.append(report(error.code, error.message, span, error.label, help=error.help))
    return Predicates(trees), findings


def _places(loaded: Loaded) -> Iterator[Path]:
    for i, brick in enumerate(loaded.written.bricks or []):
        if brick.skip is not None:
            yield ("bricks", i, "skip")
    for name, skips in (loaded.written.skip_policies or {}).items():
        for brick in skips:
            yield ("skip_policies", name, brick)


def check_policies(
    loaded: Loaded, drafts: list[Draft], predicates: Predicates, levels: tuple[Level, ...] | None
) -> Iterator[Diagnostic]:
    """LG305 and LG306 about names, and LG307 and LG308 where the schedule is known.

    Args:
        loaded: the spec.
        drafts: its bricks.
        predicates: its predicates.
        levels: the spec's sampling schedule; None when what it depends on is broken.
    """
    ids = [draft.id for draft in drafts if draft.id is not None]
    all_known = bool(drafts) and len(ids) == len(drafts) and not loaded.is_broken("bricks")
    default = predicates.default_skips(drafts)
    if default and levels and all_known and _sound_default(loaded, drafts, predicates):
        yield from _over_schedule(loaded, "default", default, ids, predicates, levels)
    for name, skips in (loaded.written.skip_policies or {}).items():
        path = ("skip_policies", name)
        yield from _policy_name(loaded, name)
        unknown = [brick for brick in skips if brick not in ids] if all_known else []
        for brick in unknown:
            yield _unknown_brick(loaded, name, brick, ids)
        paths = {brick: (*path, brick) for brick in skips}
        broken = any(place in loaded.broken and place[:2] == path for place in loaded.broken)
        if levels and all_known and not unknown and not broken and all(p in predicates.trees for p in paths.values()):
            yield from _over_schedule(loaded, name, paths, ids, predicates, levels)


def _sound_default(loaded: Loaded, drafts: list[Draft], predicates: Predicates) -> bool:
    paths = [("bricks", draft.index, "skip") for draft in drafts]
    return all(path in predicates.trees or not loaded.tree.has(path) for path in paths)


def schedule(
    loaded: Loaded, edm: EdmConstants | None, steps: int | None, guidance: float | None
) -> tuple[Level, ...] | None:
    """The spec's own sampling schedule, or None where something that it depends on is broken."""
    places = [("diffusion",), *(("diffusion", key) for key in ("kind", "sigma_min", "sigma_max", "rho"))]
    places += [("sample",), ("sample", "steps"), ("sample", "guidance")]
    if any(loaded.is_broken(*place) for place in places) or edm is None or steps is None or guidance is None:
        return None
    return edm_levels(steps, edm, guided=guidance != 1) if edm.sigma_min < edm.sigma_max else None


def _policy_name(loaded: Loaded, name: str) -> Iterator[Diagnostic]:
    span = loaded.tree.key(("skip_policies", name)) or loaded.span("skip_policies")
    if name in BUILTIN_POLICIES:
        means = {"default": "the policy of the bricks' own `skip:` keys"}.get(name, "built in")
        yield report("LG306", f"the policy name `{name}` is taken: it is {means}", span, help="choose another name")
    elif not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", name):
        help = "a letter, then letters, digits, `_` and `-`, at most 64; `halfway:0.4` and the like are built in"
        yield report("LG306", f"a policy cannot be called `{name}`", span, help=help)


def _unknown_brick(loaded: Loaded, policy: str, brick: str, ids: list[str]) -> Diagnostic:
    guess = close(brick, ids)
    help = f"did you mean `{guess}`?" if guess else f"the bricks are {', '.join(ids)}"
    path = ("skip_policies", policy, brick)
    message = f"policy `{policy}` names the brick `{brick}`, which the stack does not have"
    return report("LG305", message, loaded.tree.key(path) or loaded.span(*path), help=help)


def _over_schedule(
    loaded: Loaded,
    name: str,
    paths: Mapping[str, Path],
    ids: list[str],
    predicates: Predicates,
    levels: tuple[Level, ...],
) -> Iterator[Diagnostic]:
    held = {brick: [holds(predicates.trees[path], level) for level in levels] for brick, path in paths.items()}
    empty = [i for i in range(len(levels)) if all(brick in held and held[brick][i] for brick in ids)]
    if empty:
        yield _no_brick(loaded, name, paths, empty, levels)
        return
    if not paths:
        span = loaded.tree.key(("skip_policies", name)) or loaded.span("skip_policies", name)
        message = f"policy `{name}` leaves no brick out, like the built-in `none`"
        yield report("LG308", message, span, help="give it predicates, or remove it")
    for brick, path in paths.items():
        if all(held[brick]) or not any(held[brick]):
            yield _undecided(loaded, name, brick, path, predicates.trees[path], levels, always=all(held[brick]))


def _head(loaded: Loaded, name: str, paths: Mapping[str, Path]) -> Span:
    if name == "default":
        return loaded.span(*next(iter(paths.values())))
    return loaded.tree.key(("skip_policies", name)) or loaded.span("skip_policies", name)


def _no_brick(
    loaded: Loaded, name: str, paths: Mapping[str, Path], empty: list[int], levels: tuple[Level, ...]
) -> Diagnostic:
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
    return report(
        "LG307",
        f"{by} no brick at {where}",
        _head(loaded, name, paths),
        label,
        secondary=secondary,
        help=help,
    )


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
        "guided": "guidance acts at every level" if first.guided else "guidance is 1, so that it acts nowhere",
    }
    names = names_in(tree)
    help = "; ".join(text for name, text in ranges.items() if name in names) or None
    return report("LG308", message, loaded.span(*path), help=help)
