"""Mutated specs through `check`, the renderers, `fmt` and `--fix`: nothing may raise, hang, grow or lose its place.

python -m tests.fuzz.run --count 100000 --seed 0
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from legoc.diagnostics import Diagnostic, SpecError
from legoc.fix import fix_text
from legoc.fmt import format_text
from legoc.render import render_concise, render_full, render_github, render_json, render_sarif
from legoc.spec import check_text
from legoc_runtime.errors import RunError
from tests.fuzz.mutate import Tree, mutated_bytes, mutated_tree, tree_of

ROOT = Path(__file__).parents[2]
FOLDERS = ("specs", "tests/fuzz/corpus")
SPECS = tuple(
    path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.yaml"))
)
"""What is mutated: all presets, most of which extend others, and specs that between them have every key there is."""

MAX_SECONDS = 1.0
MAX_MEGABYTES = 200
RENDER_EACH, FORMAT_EACH, FIX_EACH = 4, 10, 40
"""Of how many specs one also goes through all formats, `fmt` and `--fix`."""


@dataclass
class Result:
    """What a run found.

    Attributes:
        count: specs checked.
        accepted: how many of them check.
        refused: how many `fmt` would not lay out anew, and said so.
        codes: how often each diagnostic code came up.
        slowest: CPU seconds of the slowest check.
        megabytes: growth of the peak memory over the whole run.
        failures: (seed of the spec, what went wrong).
    """

    count: int = 0
    accepted: int = 0
    refused: int = 0
    codes: Counter[str] = field(default_factory=Counter[str])
    slowest: float = 0.0
    megabytes: float = 0.0
    failures: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


@cache
def _parsed(name: str) -> tuple[str, Tree]:
    text = Path(name).read_text(encoding="utf-8")
    return text, tree_of(text)


def spec(seed: str) -> tuple[str, str]:
    """Name and text of the mutated spec of a seed: two thirds are mutated as trees, one third as bytes."""
    rng = random.Random(seed)
    name = str(ROOT / rng.choice(SPECS))
    text, tree = _parsed(name)
    return name, mutated_tree(tree, rng) if rng.random() < 2 / 3 else mutated_bytes(text, rng)


def run(count: int, seed: int, *, first: int = 0) -> Result:
    """Check `count` specs; the i-th depends on (seed, first + i) alone, so that any one can be made again."""
    result = Result()
    before = _peak_megabytes()
    for i in range(first, first + count):
        one = f"{seed}:{i}"
        name, text = spec(one)
        try:
            check_one(i, name, text, result)
        except Exception:
            result.failures.append((one, traceback.format_exc()))
        result.megabytes = _peak_megabytes() - before
        if result.megabytes > MAX_MEGABYTES:
            result.failures.append((one, f"memory grew by {result.megabytes:.0f} MB"))
            break
    return result


def check_one(i: int, name: str, text: str, result: Result) -> None:
    """Send one spec through everything, and count what was found; an assertion says what must not be."""
    start = time.process_time()
    checked = check_text(text, name)
    seconds = time.process_time() - start
    result.count += 1
    result.accepted += checked.spec is not None
    result.codes.update({finding.code for finding in checked.diagnostics})
    result.slowest = max(result.slowest, seconds)
    assert seconds < MAX_SECONDS, f"{seconds:.2f} s"
    assert (checked.spec is None) == bool(checked.errors), "a spec without errors is resolved, one with errors is not"
    assert not checked.errors or any(_is_inside(finding, name, text) for finding in checked.errors), "no span inside"
    render_full(checked.diagnostics)
    if i % RENDER_EACH == 0:
        for finding in checked.diagnostics[:20]:
            render_sarif([finding])
        render_concise(checked.diagnostics)
        render_github(checked.diagnostics)
        render_json(checked.diagnostics, [name])
    if i % FORMAT_EACH == 0:
        result.refused += not _format(name, text)
    if i % FIX_EACH == 0 and any(finding.fix for finding in checked.diagnostics):
        fixed = fix_text(text, name, lambda text: check_text(text, name).diagnostics)
        new = {finding.code for finding in fixed.remaining} - {finding.code for finding in checked.diagnostics}
        assert not new, f"mending brought {new}"


def _format(name: str, text: str) -> bool:
    """Format a spec; False where `fmt` refuses in words what it cannot lay out anew."""
    try:
        formatted = format_text(text, name)
    except SpecError:
        return True
    except RunError:
        return False
    assert format_text(formatted, name) == formatted, "formatting twice is not formatting once"
    return True


def _is_inside(finding: Diagnostic, name: str, text: str) -> bool:
    """Whether a place of the finding is in the checked file: the fault itself, or what led to the base that has it."""
    spans = [label.span for label in (finding.primary, *finding.secondary) if label is not None]
    assert all(0 <= span.start <= span.end <= len(span.file.text) + 1 for span in spans), "a span outside its file"
    return any(span.file.name == name and span.file.text == text for span in spans)


def _peak_megabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> int:
    """Run and report; exit code 1 when something failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="specs to check")
    parser.add_argument("--seed", type=int, default=0, help="seed of the run")
    parser.add_argument("--first", type=int, default=0, help="index of the first spec")
    options = parser.parse_args()
    start = time.perf_counter()
    result = run(options.count, options.seed, first=options.first)
    seconds = time.perf_counter() - start
    for one, what in result.failures:
        print(f"--- spec {one}\n{what.rstrip()}")
    print(f"specs: {result.count:,}; accepted: {result.accepted:,}; rejected: {result.count - result.accepted:,}")
    print(f"formatting refused in words: {result.refused:,}")
    print(f"slowest check: {result.slowest:.3f} s of CPU; peak memory grew by {result.megabytes:.0f} MB")
    print("specs by code: " + ", ".join(f"{code} {number:,}" for code, number in sorted(result.codes.items())))
    print(f"failures: {len(result.failures)}; wall time {seconds:.0f} s")
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
