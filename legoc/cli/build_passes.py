"""What `legoc build` shows of the passes: programs after them, and the time that they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from legoc.cli.output import echo
from legoc_runtime.errors import UsageError

if TYPE_CHECKING:
    from legoc.passes.runner import PassRun

ALL = "all"


@dataclass(frozen=True)
class PassTime:
    """The time of one pass on one program, in seconds."""

    name: str
    target: str
    seconds: float


class PassLog:
    """Told of every pass: prints what was asked for, and keeps the times.

    Args:
        print_after: names of passes, or `all`.

    Raises:
        UsageError: there is no such pass.
    """

    def __init__(self, print_after: Sequence[str] = ()) -> None:
        from legoc.lower.pipeline import pass_names

        known = (*pass_names(), ALL)
        for name in print_after:
            if name not in known:
                near = get_close_matches(name, known, n=1)
                help = f"did you mean `{near[0]}`?" if near else f"choose one of {', '.join(known)}"
                raise UsageError(f"there is no pass `{name}` to print after", help=help)
        self.print_after = frozenset(print_after)
        self.times: list[PassTime] = []

    def __call__(self, run: PassRun) -> None:
        """Take note of a pass that ran."""
        self.times.append(PassTime(run.name, run.target, run.seconds))
        if self.print_after & {run.name, ALL}:
            echo(f"// {run.target}, after {run.name}\n{_text(run)}", nl=False)

    def table(self) -> str:
        """A line a pass: on how many programs it ran, for how long altogether and at most. Ends with a newline."""
        by_name: dict[str, list[float]] = {}
        for time in self.times:
            by_name.setdefault(time.name, []).append(time.seconds)
        width = max(map(len, (*by_name, "altogether")))
        lines = [f"{'pass':<{width}}  programs  altogether   at most"]
        lines += [_row(name, seconds, width) for name, seconds in by_name.items()]
        lines.append(f"{'altogether':<{width}}            {sum(t.seconds for t in self.times) * 1e3:7.2f} ms")
        return "\n".join(lines) + "\n"

    def to_json(self) -> list[dict[str, Any]]:
        """Each pass on each program, in the order in which they ran."""
        return [{"pass": time.name, "program": time.target, "seconds": time.seconds} for time in self.times]


def _row(name: str, seconds: Sequence[float], width: int) -> str:
    return f"{name:<{width}}  {len(seconds):8}  {sum(seconds) * 1e3:7.2f} ms  {max(seconds) * 1e3:5.2f} ms"


def _text(run: PassRun) -> str:
    from legoc.graph.brick_graph import BrickGraph
    from legoc.graph.text import to_text as graph_text
    from legoc_runtime.contract.program_text import to_text as program_text

    return graph_text(run.after) if isinstance(run.after, BrickGraph) else program_text(run.after)
