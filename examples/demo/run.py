"""`make demo`: sample the shipped stack under four skip policies from the same seeds, show them side by side.

Everything is done by the commands that a user would type; they are printed as they run. Leaves demo/policies.png and
what the commands write.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from shown_command import legoc

HERE = Path(__file__).parent
SPEC = HERE / "emoji_pr_32.yaml"
WEIGHTS = HERE / "emoji_pr_32.safetensors"
POLICIES = ("none", "early", "searched", "wrong")


def difference(pictures: Path, yardstick: Path) -> float:
    """Root of the mean squared difference of two sets of samples, seed by seed, in 255ths."""
    # drawing comes after the commands, so that a machine without the packages fails with their words
    import numpy as np
    from PIL import Image

    squares: list[float] = []
    for entry in json.loads((pictures / "samples.json").read_text(encoding="utf-8"))["pictures"]:
        with Image.open(pictures / entry["file"]) as one, Image.open(yardstick / entry["file"]) as other:
            squares.append(float(np.mean((np.asarray(one, np.float64) - np.asarray(other, np.float64)) ** 2)))
    return math.sqrt(sum(squares) / len(squares))


def main() -> None:
    """Build, sample, draw."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, default=Path("demo"), help="where everything goes (default: demo)")
    options.add_argument("--seeds", default="0-15", help="one picture each (default: 0-15)")
    chosen = options.parse_args()
    out: Path = chosen.out

    legoc("build", SPEC, "--out", out / "build")
    # eager: inductor's first compilation takes longer than it would save in so short a run
    sets = {policy: out / "samples" / policy for policy in POLICIES}
    for policy, directory in sets.items():
        where = ["--out", directory, "--overwrite", "--backend", "eager"]
        legoc("sample", WEIGHTS, "--skip-policy", policy, "--seeds", chosen.seeds, *where)
        legoc("timeline", SPEC, "--skip-policy", policy, "-o", out / f"timeline-{policy}.svg")

    from policy_sheet import policy_sheet

    policy_sheet(out / "build", sets).save(out / "policies.png")
    print(f"\n{'policy':<10} {'MACs saved':>11} {'time saved':>11} {'rms change':>11}")
    for policy, directory in sets.items():
        timing = json.loads((directory / "samples.json").read_text(encoding="utf-8"))["timing"]
        change = difference(directory, sets["none"])
        print(f"{policy:<10} {timing['macs_saved']:>11.1%} {timing['time_saved']:>11.1%} {change:>7.1f}/255")
    print("rms change: against the pictures of the same seeds with no brick left out")
    print(f"\nlook at {out / 'policies.png'}; how the stack was trained: {HERE / 'MODEL_CARD.md'}")


if __name__ == "__main__":
    main()
