"""`make train-demo`: train a small stack for a few minutes and sample it under three skip policies.

Everything is done by the commands that a user would type; they are printed as they run. Called again, it continues or
reuses the run that is there. Leaves demo/trained/policies.png, loss.svg and what the commands write.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from shown_command import legoc

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SPEC = HERE / "emoji_demo.yaml"
DATA = ROOT / "examples" / "data" / "noto-emoji-32.zip"
POLICIES = ("none", "halfway", "late")


def main() -> None:
    """Train, sample, draw."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, default=Path("demo/trained"), help="where to (default: demo/trained)")
    options.add_argument("--images", help="images to train on (default: the spec's)")
    options.add_argument("--seeds", default="0-15", help="one picture each (default: 0-15)")
    chosen = options.parse_args()
    out: Path = chosen.out
    run = out / "run"

    # eager: inductor's first compilation takes longer than it would save in so short a run
    fewer = ["--images", chosen.images] if chosen.images else []
    legoc("train", SPEC, "--data", DATA, "--out", run, "--backend", "eager", *fewer)
    sets = {policy: out / "samples" / policy for policy in POLICIES}
    for policy, directory in sets.items():
        where = ["--out", directory, "--overwrite", "--backend", "eager"]
        legoc("sample", run, "--skip-policy", policy, "--seeds", chosen.seeds, *where)
        legoc("timeline", run, "--skip-policy", policy, "-o", out / f"timeline-{policy}.svg")

    legoc("plot", run, "-o", out / "loss.svg")

    # drawing comes after the commands, so that a machine without the packages fails with their words
    from policy_sheet import policy_sheet

    policy_sheet(run, sets).save(out / "policies.png")
    print(f"\n{'policy':<10} {'MACs saved':>11} {'time saved':>11}")
    for policy, directory in sets.items():
        timing = json.loads((directory / "samples.json").read_text(encoding="utf-8"))["timing"]
        print(f"{policy:<10} {timing['macs_saved']:>11.1%} {timing['time_saved']:>11.1%}")
    print(f"\nlook at {out / 'policies.png'} and {out / 'loss.svg'}")


if __name__ == "__main__":
    main()
