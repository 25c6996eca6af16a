"""Check and cost a spec. Needs no torch.

    python examples/check_and_cost.py                        # examples/tiny.yaml
    python examples/check_and_cost.py specs/lego_u_xl.yaml

First a spec with mistakes: all of them are found in one run, as data (code, severity, span, help), and rendering is a
separate step. Then a sound spec, compiled in memory and priced.
"""

from __future__ import annotations

import sys
from pathlib import Path

from legoc.cost import price
from legoc.cost.table import table
from legoc.driver import compile_spec
from legoc.render import render_full
from legoc.spec import check_file, check_text

TINY = Path(__file__).parent / "tiny.yaml"

BROKEN = """\
legoc: 1
name: broken
grid: {height: 32, width: 32, channels: 3}
conditioning: {classes: 9, label_dropuot: 0.1}
brick_defaults: {width: 64, heads: 5}
bricks:
  - {id: windows, size: 12, depth: 1}
  - {id: image, size: image, depth: 2, skip: "sigma < 0.3 && progress > 0.5"}
skip_policies:
  late: {imgae: "sigma < 0.3"}
"""


def show_what_is_wrong() -> None:
    """Check a text with mistakes, and print what was found in two ways."""
    result = check_text(BROKEN, "broken.yaml")
    print(render_full(result.diagnostics))
    for finding in result.errors:
        line = finding.primary.span.line if finding.primary else 0
        print(f"line {line}: {finding.code}, {finding.help or 'no advice'}")


def show_cost(path: Path) -> None:
    """Price a spec that checks."""
    spec = check_file(path).spec
    if spec is None:
        sys.exit(f"{path} does not check: see `legoc check {path}`")
    manifest, _ = compile_spec(spec)
    cost = price(manifest)
    print(table(cost))
    best = max(cost.policies, key=lambda policy: policy.saving)
    print(f"`{best.policy}` saves most: {best.saving:.0%} of the MACs of an image")


if __name__ == "__main__":
    show_what_is_wrong()
    show_cost(Path(sys.argv[1]) if len(sys.argv) > 1 else TINY)
