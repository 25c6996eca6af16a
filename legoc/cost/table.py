"""The cost of a spec as text for people."""

from __future__ import annotations

from collections.abc import Sequence

from legoc.cost.counts import FLOPS_PER_MAC
from legoc.cost.memory import BYTES
from legoc.cost.report import BrickCost, Cost, PolicyCost, PretrainedCost
from legoc_runtime.contract.policy import configuration_name
from legoc_runtime.contract.samplers import SAMPLERS

_UNITS = ((10**15, "P"), (10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))

FOOTNOTE = "MACs: multiply-accumulates of matrix products and attention, for one image; 1 MAC = 2 FLOPs."


def quantity(count: int) -> str:
    """A count with three or four significant digits and a decimal prefix: `681.5 M`, `81.33 G`, `912`."""
    for unit, prefix in _UNITS:
        # 999,950 is 1000.0 k in one decimal: it belongs to the next prefix
        if count >= 0.99995 * unit:
            scaled = count / unit
            return f"{scaled:.2f} {prefix}" if scaled < 99.995 else f"{scaled:.1f} {prefix}"
    return str(count)


def parameter_count(count: int) -> str:
    """A number of parameters, with the field's B for billions: `681.5 M`, `1.26 B`."""
    return quantity(count).replace("G", "B")


def byte_count(count: int) -> str:
    """Bytes with a decimal prefix: `2.73 GB`."""
    return quantity(count) + ("B" if count >= 1000 else " B")


def table(cost: Cost, batch: int = 1) -> str:
    """The whole report, ends with a newline.

    Args:
        cost: what to report.
        batch: images whose activations the memory section counts.
    """
    parts = [_heading(cost), _bricks(cost), _training(cost), _policies(cost), _configurations(cost)]
    parts += [_memory(cost, batch), FOOTNOTE]
    return "\n\n".join(parts) + "\n"


def _heading(cost: Cost) -> str:
    height, width = cost.grid
    classes = "unconditional" if cost.classes is None else f"{cost.classes} classes"
    return f"{cost.name}: {height}x{width}x{cost.channels}, {classes}, {parameter_count(cost.parameters)} parameters"


def _bricks(cost: Cost) -> str:
    head = ("brick", "window", "windows", "token", "tokens", "depth", "width", "parameters", "MACs", "FLOPs", "share")
    rows = [_brick_row(brick) for brick in cost.bricks]
    if cost.pretrained is not None:
        rows.insert(cost.pretrained.place, _pretrained_row(cost.pretrained))
    shared = (
        parameter_count(cost.shared_parameters),
        quantity(cost.shared_macs),
        quantity(FLOPS_PER_MAC * cost.shared_macs),
        f"{cost.shared_macs / cost.macs:.1%}",
    )
    rows.append(("shared", *[""] * 6, *shared))
    rows.append(
        ("all", *[""] * 6, parameter_count(cost.parameters), quantity(cost.macs), quantity(cost.flops), "100.0%")
    )
    return _align(head, rows, left=1)


def _pretrained_row(given: PretrainedCost) -> tuple[str, ...]:
    """A model's own numbers; `?` for what nothing tells, and no sum has."""
    macs = ("?", "?", "?")
    if given.macs is not None and given.share is not None:
        macs = (quantity(given.macs), quantity(FLOPS_PER_MAC * given.macs), f"{given.share:.1%}")
    count = "?" if given.parameters is None else parameter_count(given.parameters)
    return (given.id, given.kind, *[""] * 5, count, *macs)


def _brick_row(brick: BrickCost) -> tuple[str, ...]:
    return (
        brick.id,
        f"{brick.window[0]}x{brick.window[1]}",
        str(brick.windows),
        f"{brick.receptive_field}x{brick.receptive_field}",
        str(brick.tokens),
        str(brick.depth),
        str(brick.width),
        parameter_count(brick.parameters),
        quantity(brick.macs),
        quantity(FLOPS_PER_MAC * brick.macs),
        f"{brick.share:.1%}",
    )


def _training(cost: Cost) -> str:
    sampled = [f"{b.id} {b.windows_trained} of {b.windows}" for b in cost.bricks if b.windows_trained < b.windows]
    labels = "" if cost.classes is None else " (labels are looked up)"
    windows = f"; windows trained: {', '.join(sampled)}" if sampled else ""
    return (
        f"training: {quantity(cost.training_macs)} MACs an image ({_trained(cost)}{windows})\n"
        f"really executed: {quantity(cost.executed_macs)} a forward{labels}, "
        f"{quantity(cost.executed_training_macs)} a training image (no gradient for inputs that need none)"
    )


def _trained(cost: Cost) -> str:
    """`3 x a forward`, and where not all of a run is that, what it is."""
    trained = cost.trained
    over = ["its stages"] if trained.stages else []
    over += [] if trained.drop is None else [f"steps that leave out what `{trained.drop}` does"]
    given = cost.pretrained
    still = given is not None and given.frozen and not trained.passes and given.place < len(cost.bricks)
    frozen = trained.stages or still
    rest = ["1 x of what is frozen"] if frozen else []
    rest += ["2 x of the model that losses pass"] if trained.passes else []
    rest += ["1 x of windows not trained"] if trained.fills else []
    if not over and not rest:
        return "3 x a forward"
    mean = f"mean over {' and '.join(over)}: " if over else ""
    return mean + ", ".join(["3 x a forward of what trains", *rest])


def schedule_words(cost: Cost) -> str:
    """`Heun over 18 noise levels, 35 evaluations, two rows each (guidance)`."""
    rows = "two rows each (guidance)" if cost.guided else "one row each"
    if cost.guided and cost.guided_evaluations < cost.evaluations:
        rows = f"two rows at {cost.guided_evaluations} of them (guidance), one at the others"
    sampler = SAMPLERS[cost.sampler].title
    return f"{sampler} over {cost.steps} noise levels, {cost.evaluations} evaluations, {rows}"


def _policies(cost: Cost) -> str:
    title = f"sampling: {schedule_words(cost)}"
    peer = () if cost.peer is None else (f"vs {cost.peer.name}",)
    body = [row for policy in cost.policies for row in _policy_rows(policy, cost.steps)]
    if cost.canvas is not None:
        title += f"\n{cost.canvas.describe()}; MACs are those of a canvas"
    lines = [title, _align(("policy", "MACs", "saving", *peer, "left out"), body, left=1, last_left=True)]
    lines.append("saving: against this stack in full")
    if cost.peer is not None:
        lines[-1] += (
            f"; vs {cost.peer.name}: against its {quantity(cost.peer.macs)} MACs a forward on this grid, "
            "at as many evaluations"
        )
    return "\n".join(lines)


def _policy_rows(policy: PolicyCost, steps: int) -> list[tuple[str, ...]]:
    """A row for the policy and its first brick, and one for each further brick that it leaves out."""
    first, *rest = left_out(policy, steps) or ["nothing"]
    peer = () if policy.peer_saving is None else (f"{policy.peer_saving:.1%}",)
    head = (policy.policy, quantity(policy.macs), f"{policy.saving:.1%}", *peer)
    return [(*head, first), *((*("" for _ in head), words) for words in rest)]


def _configurations(cost: Cost) -> str:
    rows = [
        (configuration_name(c.configuration), parameter_count(c.parameters), quantity(c.macs), f"{c.share:.1%}")
        for c in cost.configurations
    ]
    return _align(("configuration", "parameters", "MACs", "share"), rows, left=1)


def _memory(cost: Cost, batch: int) -> str:
    memory = cost.memory
    rows = cost.rows(batch)
    lines = [
        ("weights", memory.weights, 1),
        (f"sampling, {rows} row{'s' if rows > 1 else ''}", memory.sampling_activations, rows),
        (f"training, {batch} image{'s' if batch > 1 else ''}", memory.training_activations, batch),
    ]
    body = [(name, *(byte_count(times * sizes[precision]) for precision in BYTES)) for name, sizes, times in lines]
    return (
        "memory, by formula\n"
        f"{_align(('', *BYTES), body, left=1)}\n"
        f"a training run keeps {byte_count(memory.training_state)} in all of weights, gradients, moments and averages, "
        "beside its activations"
    )


def left_out(policy: PolicyCost, steps: int) -> list[str]:
    """`image in 9 of 18 (stops at step 9, sigma 2.5)` for each brick that is left out somewhere."""
    words: list[str] = []
    for brick, count in policy.skipped.items():
        breaks = [
            f"{'starts' if b.runs else 'stops'} at step {b.step}, sigma {b.sigma:.3g}"
            for b in policy.breaks
            if b.brick == brick
        ]
        words.append(f"{brick} in {count} of {steps}" + (f" ({'; '.join(breaks)})" if breaks else ""))
    return words


def _align(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int, last_left: bool = False) -> str:
    """Columns two spaces apart: the first `left`, and the last if asked, to the left; others to the right."""
    lines = [head, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]

    def cell(i: int, text: str) -> str:
        to_left = i < left or (last_left and i == len(head) - 1)
        return text.ljust(widths[i]) if to_left else text.rjust(widths[i])

    return "\n".join("  ".join(cell(i, text) for i, text in enumerate(line)).rstrip() for line in lines)
