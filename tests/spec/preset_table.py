"""The table of presets, `specs/README.md`, from the presets: `python -m tests.spec.preset_table` writes it.

It writes the table of savings in `docs/paper.md` too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from legoc.cost import macs, parameters, price
from legoc.cost.table import parameter_count, quantity
from legoc.driver import describe_spec
from legoc.spec import check_file
from legoc.spec.resolved import StackSpec
from legoc_runtime.contract.stack import BrickShape

SPECS = Path(__file__).parents[2] / "specs"
README = SPECS / "README.md"
PAPER = SPECS.parent / "docs" / "paper.md"
SAVINGS = (
    "lego_pg_xl",
    "lego_pr_xl",
    "lego_u_xl",
    "paper/imagenet256_xl_pg",
    "paper/imagenet256_xl_pr",
    "paper/imagenet512_xl_pg",
    "released/lego_l_pg_64",
    "released/lego_xl_pg_32",
    "released/lego_xl_pg_64",
)
FOLDERS = {
    "": "Ours, recommended: a 32x32 grid without suffix, a 64x64 grid with `_64`",
    "paper": "The paper's tables to the letter, and one recipe for each of its experiments",
    "released": "The models of the released code, under its own names and with its conventions",
}

INTRODUCTION = """\
# Presets

Each is a spec: `legoc check`, `legoc cost`, `legoc timeline` and `legoc build` take it as it is. A grid of three
channels is one of pixels; one of four is one of latents, which `legoc data encode` makes of images
([docs/data.md](../docs/data.md#latents)). Every file opens with its source, its cost (what `legoc cost` counts) and
where paper, released code and count disagree; this page is made from those lines, and a test holds it to them.
[docs/paper.md](../docs/paper.md) has the same disagreements in full.

Bricks are written bottom to top as windows:token x depth, so that `4:2 x 4` is a brick of 4x4 windows cut into tokens
of 2x2, 4 blocks deep, and `all:2 x 14` an image-brick. MACs are those of one forward pass at batch 1, conditioning
computed once an image (1 MAC = 2 FLOPs). Files in `base/` are parts that presets share through `extends:`, no stacks
by themselves.

A comment `ours` in `paper/` marks a value for which the paper's own was not at hand: check it against the paper before
you call a run a reproduction.
"""


@dataclass(frozen=True)
class Preset:
    """A preset: its file, its header and what it says."""

    path: Path
    header: dict[str, str]
    spec: StackSpec

    @property
    def folder(self) -> str:
        parent = self.path.parent
        return "" if parent == SPECS else parent.name


def header_of(text: str) -> dict[str, str]:
    """`# Source: ...`, `# Cost: ...`, `# Differs: ...`, each with its indented continuation lines."""
    found: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        if not line.startswith("#") or (found and line == "#"):
            break
        if begun := re.fullmatch(r"# (Source|Cost|Differs): (.*)", line):
            key = begun[1]
            found[key] = begun[2]
        elif key and line.startswith("#   "):
            # a word that was broken at its hyphen goes on without a space
            found[key] += ("" if found[key].endswith("-") else " ") + line[4:]
    return found


@cache
def presets() -> tuple[Preset, ...]:
    """All presets, by folder and name; raises AssertionError where one does not check without a finding."""
    found: list[Preset] = []
    for folder in FOLDERS:
        for path in sorted((SPECS / folder).glob("*.yaml")):
            result = check_file(path)
            assert result.spec is not None, f"{path}: {result.diagnostics}"
            assert not result.diagnostics, f"{path}: {result.diagnostics}"
            found.append(Preset(path, header_of(path.read_text(encoding="utf-8")), result.spec))
    return tuple(found)


def readme() -> str:
    """The text of `specs/README.md`."""
    parts = [INTRODUCTION]
    for folder, title in FOLDERS.items():
        rows = [_row(preset) for preset in presets() if preset.folder == folder]
        head = "| preset | source | grid | bricks | width | parameters | MACs | paper, code and count |"
        parts.append(
            f"## `specs/{folder}`\n\n{title}.\n\n{head}\n|---|---|---|---|---|---|---|---|\n" + "\n".join(rows)
        )
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _row(preset: Preset) -> str:
    shape = preset.spec.shape
    widths = sorted({brick.width for brick in shape.bricks})
    cells = (
        f"[{preset.path.stem}]({preset.path.relative_to(SPECS).as_posix()})",
        preset.header["Source"],
        f"{shape.grid[0]}x{shape.grid[1]}x{shape.channels}",
        ", ".join(map(_brick, shape.bricks)),
        ", ".join(map(str, widths)),
        parameter_count(parameters(shape)),
        quantity(macs(shape)),
        preset.header.get("Differs", ""),
    )
    return f"| {' | '.join(cells)} |"


def _brick(brick: BrickShape) -> str:
    window = "all" if brick.covers_grid else str(brick.window[0])
    return f"{window}:{brick.receptive_field} x {brick.depth}"


def savings() -> str:
    """The table of `docs/paper.md`: what `halfway` saves."""
    rows = ["| preset | MACs a forward | saved of the same stack | saved of DiT-XL/2 |", "|---|---|---|---|"]
    for path in SAVINGS:
        manifest, _ = describe_spec(next(p for p in presets() if p.path == SPECS / f"{path}.yaml").spec)
        (halfway,) = price(manifest, policies=["halfway"]).policies
        assert halfway.peer_saving is not None
        forward = quantity(macs(manifest.shape))
        rows.append(
            f"| [{path}](../specs/{path}.yaml) | {forward} | {halfway.saving:.1%} | {halfway.peer_saving:.1%} |"
        )
    return "\n".join(rows)


def paper_page(text: str) -> str:
    """`docs/paper.md` with the table of savings made afresh."""
    before, begin, rest = text.partition("<!-- savings -->\n")
    _, end, after = rest.partition("<!-- end of savings -->")
    assert end, "the page has lost the marks around its table of savings"
    return f"{before}{begin}\n{savings()}\n\n{end}{after}"


if __name__ == "__main__":
    README.write_text(readme(), encoding="utf-8")
    PAPER.write_text(paper_page(PAPER.read_text(encoding="utf-8")), encoding="utf-8")
