"""The cost of a spec as text for people."""

from __future__ import annotations

from collections.abc import Sequence

from legoc.cost.report import BrickCost, Cost, PolicyCost

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


def table(cost: Cost) -> str:
    """The whole report, ends with a newline."""
    return "\n\n".join([_heading(cost), _bricks(cost), _training(cost), _policies(cost), FOOTNOTE]) + "\n"


def _heading(cost: Cost) -> str:
    height, width = cost.grid
    classes = "unconditional" if cost.classes is None else f"{cost.classes} classes"
    return f"{cost.name}: {height}x{width}x{cost.channels}, {classes}, {parameter_count(cost.parameters)} parameters"


def _bricks(cost: Cost) -> str:
    head = ("brick", "window", "windows", "token", "tokens", "depth", "width", "parameters", "MACs", "share")
    rows = [_brick_row(brick) for brick in cost.bricks]
    shared = (
        parameter_count(cost.shared_parameters),
        quantity(cost.shared_macs),
        f"{cost.shared_macs / cost.macs:.1%}",
    )
    rows.append(("shared", *[""] * 6, *shared))
    rows.append(("all", *[""] * 6, parameter_count(cost.parameters), quantity(cost.macs), "100.0%"))
    return _align(head, rows, left=1)


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
        f"{brick.share:.1%}",
    )


def _training(cost: Cost) -> str:
    sampled = [f"{b.id} {b.windows_trained} of {b.windows}" for b in cost.bricks if b.windows_trained < b.windows]
    windows = f"; windows trained: {', '.join(sampled)}" if sampled else ""
    return f"training: {quantity(cost.training_macs)} MACs an image (3 x a forward{windows})"


def _policies(cost: Cost) -> str:
    rows = "two rows each (guidance)" if cost.guided else "one row each"
    title = f"sampling: Heun over {cost.steps} noise levels, {cost.evaluations} evaluations, {rows}"
    head = ("policy", "MACs", "saving", "left out")
    body = [row for policy in cost.policies for row in _policy_rows(policy, cost.steps)]
    return f"{title}\n{_align(head, body, left=1, last_left=True)}"


def _policy_rows(policy: PolicyCost, steps: int) -> list[tuple[str, ...]]:
    """A row for the policy and its first brick, and one for each further brick that it leaves out."""
    first, *rest = _left_out(policy, steps) or ["nothing"]
    head = (policy.policy, quantity(policy.macs), f"{policy.saving:.1%}", first)
    return [head, *(("", "", "", words) for words in rest)]


def _left_out(policy: PolicyCost, steps: int) -> list[str]:
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
