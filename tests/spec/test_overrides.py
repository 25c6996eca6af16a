"""`--set PATH=VALUE`: typed as in a file, over all files, underlined where it was typed."""

import sys
from pathlib import Path

import pytest

from legoc.render import render_full
from legoc.spec import load_spec
from tests.spec.layered import BASE, codes, over_base, write


def test_overrides_stand_over_all_files_in_their_order(tmp_path: Path) -> None:
    result = over_base(
        tmp_path,
        "bricks: [{id: image, depth: 6}]\n",
        "bricks.image.depth=7",
        'bricks.image.skip="sigma < 0.3"',
        "bricks.parts={train_patches: 0.5}",
        "train.images=2M",
        "train.optimizer={weight_decay: 0.1}",
        "train.clip_norm=null",
        "skip_policies.late.image=sigma < 1",
        "skip_policies.lean={$delete: true, parts: sigma > 9}",
        "diffusion=edm",
        "diffusion.sigma_max=40",
        "sample.steps=12",
        "sample.steps=14",
    )
    spec = result.spec
    assert spec is not None, result.diagnostics
    assert (spec.shape.brick("image").depth, spec.shape.brick("parts").train_patches) == (7, 0.5)
    assert set(spec.default_skips) == {"parts", "image"}
    assert (spec.train.images, spec.train.clip_norm, spec.train.weight_decay) == (2_000_000, None, 0.1)
    assert (spec.train.learning_rate, spec.shape.edm.sigma_max, spec.sample.steps) == (1e-3, 40, 14)
    assert set(spec.policies) == {"lean", "late"}
    assert [brick for brick, _ in spec.policies["lean"].skips] == ["parts"]
    assert str(spec.brick_span("image", "depth")) == "--set bricks.image.depth=7:1:20"
    assert str(spec.span("train")).startswith(str(tmp_path / "base.yaml"))


@pytest.mark.parametrize(
    ("override", "code", "underlined", "help"),
    [
        ("bricks.imge.depth=8", "LG608", "imge", "did you mean `image`?"),
        ("bricks.2.depth=8", "LG608", "2", "the bricks are windows, parts, image"),
        ("bricks.new={size: 8}", "LG608", "new", "image; `--set 'bricks=[{id: new, ...}]'` adds one"),
        ("bricks.image.dept=8", "LG101", "dept", "did you mean `depth`?"),
        ("bricks=[]", "LG607", "[]", "`--set 'bricks=[{id: ID, $delete: true}]'` takes one away"),
        ("skip_policies={}", "LG607", "{}", "`--set 'skip_policies={$delete: true}'` takes `skip_policies` away"),
        ("bricks.image={}", "LG607", "{}", "`--set 'bricks=[{id: image, $delete: true}]'` takes the brick away"),
        ("trian.batch=8", "LG101", "trian", "did you mean `train`?"),
        ("bricks.image.depth=eight", "LG103", "eight", None),
        ("bricks.image.depth=0", "LG104", "0", None),
        ("bricks.image.depth=", "LG103", "depth", None),
        ("train.batch.size=8", "LG103", "batch", None),
        ("bricks.image.skip=sigma < TT", "LG302", "TT", None),
        ("bricks.image.heads=5", "LG203", "5", "use 4 or 6 heads"),
        ("sample.steps=[1, 2", "LG004", "", None),
        ("sample.steps=!!int 3", "LG006", "!!int 3", None),
        ("description=#1", "LG607", "#1", "quotes"),
        ("description=one #1", "LG607", " #1", "quotes"),
        ("sample.steps", "LG607", "sample.steps", "PATH=VALUE"),
        ("", "LG607", "", "PATH=VALUE"),
        (".steps=3", "LG607", ".", "PATH=VALUE"),
        ("a.b.c.d.e.f.g.h.i=3", "LG607", "a.b.c.d.e.f.g.h.i", "PATH=VALUE"),
        ("legoc=1", "LG607", "legoc", None),
        ("extends=x.yaml", "LG607", "extends", "in a file"),
        ("bricks.image.id=top", "LG607", "id", None),
        ("bricks.image=8", "LG607", "bricks.image", "bricks.image.KEY=VALUE"),
        ("bricks.image.$after=prts", "LG605", "prts", "did you mean `parts`?"),
    ],
)
def test_what_cannot_be_set_is_underlined_as_it_was_typed(
    override: str, code: str, underlined: str, help: str | None, tmp_path: Path
) -> None:
    result = over_base(tmp_path, "", override)
    assert codes(result)[0] == code
    finding = result.diagnostics[0]
    assert finding.primary is not None
    span = finding.primary.span
    assert (span.file.name, span.file.text) == (f"--set {override}", override)
    assert override[span.start : span.end] == underlined
    assert help is None or help in str(finding.help)
    assert result.spec is None


def test_an_override_is_rendered_like_a_file(tmp_path: Path) -> None:
    result = over_base(tmp_path, "", "bricks.image.depth=eight")
    assert render_full(result.diagnostics) == (
        "error[LG103]: `depth` of brick `image` must be a whole number, found the text `eight`\n"
        " --> --set bricks.image.depth=eight:1:20\n"
        "  |\n"
        "1 | bricks.image.depth=eight\n"
        "  |                    ^^^^^ expected a whole number\n"
    )


def test_hostile_overrides_end_in_a_diagnostic(tmp_path: Path) -> None:
    long = "x" * 300_000
    limit = sys.getrecursionlimit()
    for override in ("." * 5000, "a=" + "[" * 5000, f"description={long}", f"{long}=1", "a\n.b=1", "=", "a=b\n---\nc"):
        assert over_base(tmp_path, "", override).spec is None, override[:20]
    assert sys.getrecursionlimit() == limit


def test_bricks_and_places_can_be_set(tmp_path: Path) -> None:
    write(tmp_path, {"base.yaml": BASE})
    spec = load_spec(tmp_path / "base.yaml", ["bricks.parts={$delete: true}", "bricks.image.$before=windows"])
    assert spec.shape.ids == ("image", "windows")
