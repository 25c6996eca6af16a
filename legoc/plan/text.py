"""The plan of a build for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from legoc.lower.pipeline import pass_names
from legoc.plan.plan import KernelChoice, Plan, PlannedProgram, PlannedVariant
from legoc.plan.reach import Reached
from legoc_runtime.contract.policy import Run


def plan_text(plan: Plan) -> str:
    """The plan in sections: configurations, blocks, kernels, passes. Ends with a newline."""
    lines = [f"{plan.name}: {plan.parameters:,} parameters, {plan.macs / 1e9:.3f} GMAC an evaluation", ""]
    lines += [*_configurations(plan), "", *_blocks(plan), "", *_kernels(plan), "", *_passes(plan)]
    return "\n".join(lines) + "\n"


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON-ready data. Counts are numbers, MACs are for one image, shares run from 0 to 1."""
    return {
        "name": plan.name,
        "parameters": plan.parameters,
        "macs": plan.macs,
        "steps": plan.steps,
        "configurations": [
            {**asdict(program), "policies": list(_where(plan, program))} for program in plan.configurations
        ],
        "training": asdict(plan.training),
        "training_variants": [asdict(variant) for variant in plan.variants],
        "shared": {name: list(policies) for name, policies in plan.shared().items()},
        "block": {brick: [_choice(choice) for choice in choices] for brick, choices in plan.block.items()},
        "attention": {brick: [_choice(choice) for choice in choices] for brick, choices in plan.attention.items()},
        "gelu": [_choice(choice) for choice in plan.gelu],
        "block_signatures": [asdict(signature) for signature in plan.signatures],
        "passes": {
            "sampling": [step.name for step in plan.passes.sampling],
            "training": [step.name for step in plan.passes.training],
            "left_out": list(plan.left_out),
        },
    }


def _where(plan: Plan, program: PlannedProgram) -> Iterator[dict[str, Any]]:
    for reached in plan.reached:
        if runs := reached.runs(program.bricks):
            steps = [{"first": run.start, "last": run.stop - 1} for run in runs]
            yield {"policy": reached.policy, "guided": reached.guided, "steps": steps}


def _choice(choice: KernelChoice) -> dict[str, Any]:
    return {**asdict(choice.place), "form": choice.form, "reason": choice.reason}


def _configurations(plan: Plan) -> Iterator[str]:
    yield f"Programs, over {plan.steps} noise levels"
    further = [variant.program for variant in plan.variants]
    width = max(len(program.name) for program in (*plan.configurations, plan.training, *further))
    for program in plan.configurations:
        yield f"  {_program(program, width, f'{program.share:6.1%} of the MACs')}"
        for reached in plan.reached:
            if runs := reached.runs(program.bricks):
                yield f"      {_reached(reached, runs)}"
    yield f"  {_program(plan.training, width, 'every brick runs   ')}"
    for variant in plan.variants:
        yield f"  {_program(variant.program, width, f'{variant.program.share:6.1%} of the MACs')}"
        yield f"      {variant.images:,} images train {', '.join(variant.learning)}{_rest(plan, variant)}"
    whole = "+".join(max((program.bricks for program in plan.configurations), key=len))
    shared = [f"{_and(policies)} share {name}" for name, policies in plan.shared().items() if name != whole]
    yield f"  {'; '.join(shared)}" if shared else "  no policies share a configuration but the whole stack"


def _rest(plan: Plan, variant: PlannedVariant) -> str:
    """The bricks that a training program does not train: `; runs coarse frozen; leaves out top`."""
    frozen = [id for id in variant.program.bricks if id not in variant.learning]
    out = [id for id in plan.training.bricks if id not in variant.program.bricks]
    parts = (("runs", frozen, " frozen"), ("leaves out", out, ""))
    return "".join(f"; {does} {', '.join(ids)}{how}" for does, ids, how in parts if ids)


def _program(program: PlannedProgram, width: int, what: str) -> str:
    return f"{program.name:<{width}}  {what}, {program.operations} operations of {', '.join(program.inputs)}"


def _reached(reached: Reached, runs: Sequence[Run]) -> str:
    guidance = {None: "", False: " without guidance", True: " with guidance"}[reached.guided]
    levels = reached.table.levels
    if len(runs) == 1 and runs[0].stop - runs[0].start == len(levels):
        return f"{reached.policy}{guidance}: every step"
    parts: list[str] = []
    for run in runs:
        first, last = levels[run.start].sigma, levels[run.stop - 1].sigma
        many = run.stop - run.start > 1
        steps = f"steps {run.start}-{run.stop - 1} (sigma {first:.3g} to {last:.3g})"
        parts.append(steps if many else f"step {run.start} (sigma {first:.3g})")
    return f"{reached.policy}{guidance}: {', '.join(parts)}"


def _blocks(plan: Plan) -> Iterator[str]:
    total, distinct = sum(signature.blocks for signature in plan.signatures), len(plan.signatures)
    signatures = f"{distinct} signature{'s' if distinct > 1 else ''}"
    yield f"Blocks: {total}, of {signatures}, each compiled at most once for all programs"
    for one in plan.signatures:
        yield (
            f"  width {one.width}, {one.heads} heads, {one.tokens} tokens, MLP {one.hidden}: "
            f"{one.blocks} of {', '.join(one.bricks)}"
        )


def _kernels(plan: Plan) -> Iterator[str]:
    yield "Block"
    yield from _by_brick(plan.block)
    yield "Attention, where the block is compiled"
    yield from _by_brick(plan.attention)
    eager = {c.form for choices in plan.attention.values() for c in choices if not c.place.fused}
    yield f"  with the eager backend: {' or '.join(sorted(eager))}"
    yield "GELU, where the block is compiled"
    yield from (f"    {_kernel(choice)}" for choice in _told(plan.gelu))


def _by_brick(found: Mapping[str, Sequence[KernelChoice]]) -> Iterator[str]:
    alike: dict[tuple[str, ...], list[str]] = {}
    for brick, choices in found.items():
        lines = tuple(_kernel(choice) for choice in _told(choices) if choice.place.fused)
        alike.setdefault(lines, []).append(brick)
    for lines, bricks in alike.items():
        yield f"  {', '.join(bricks)}"
        yield from (f"    {line}" for line in lines)


def _told(choices: Sequence[KernelChoice]) -> list[KernelChoice]:
    """Of each device and backend the choice for sampling, and that for training where it is another."""
    sampling = {(c.place.device, c.place.backend): c for c in choices if not c.place.training}
    return [
        choice
        for choice in choices
        if not choice.place.training or choice.form != sampling[choice.place.device, choice.place.backend].form
    ]


def _kernel(choice: KernelChoice) -> str:
    place = f"{choice.place.device}, {choice.place.backend}{', training' if choice.place.training else ''}"
    return f"{place:<24}  {choice.form}: {choice.reason}"


def _passes(plan: Plan) -> Iterator[str]:
    names = pass_names()
    yield "Passes"
    yield f"  over brick graphs  {', '.join(names[: names.index('lower')])}"
    yield f"  over programs      {_names([step.name for step in plan.passes.sampling])}"
    yield f"  over training      {_names([step.name for step in plan.passes.training])}"
    if plan.left_out:
        yield f"  disabled           {', '.join(plan.left_out)}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
