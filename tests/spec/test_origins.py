"""Where values come from."""

from pathlib import Path

import pytest

from legoc.spec import check_text, load_spec
from legoc.spec.origins import origins, origins_text
from tests.spec.layered import BASE, over_base, write


def test_every_value_names_what_set_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    defaults = "brick_defaults: {train_patches: 0.5, mlp_ratio: 2}\n"
    write(tmp_path, {"base.yaml": BASE, "child.yaml": f"extends: base.yaml\n{defaults}diffusion: edm\n"})
    spec = load_spec("child.yaml", ["bricks.image.depth=9"])
    found = {origin.path: (origin.value, str(origin)) for origin in origins(spec)}
    expected = {
        "legoc": (1, "base.yaml:1:8"),
        "diffusion.kind": ("edm", "child.yaml:3:12"),
        "diffusion.rho": (7, "default"),
        "bricks.windows.depth": (2, "base.yaml:7:35"),
        "bricks.windows.width": (192, "base.yaml:5:25"),
        "bricks.windows.train_patches": (0.5, "child.yaml:2:33"),
        "bricks.image.train_patches": (1, "default"),
        "bricks.image.mlp_ratio": (2, "child.yaml:2:49"),
        "bricks.image.depth": (9, "--set"),
        "bricks.parts.skip": ("sigma < 0.2", "base.yaml:8:43"),
        "skip_policies.lean.image": ("sigma < 0.3", "base.yaml:11:17"),
        "train.optimizer.betas": ([0.8, 0.9], "base.yaml:12:48"),
        "sample.steps": (40, "default"),
    }
    assert {path: found[path] for path in expected} == expected


def test_the_table_is_aligned_and_paths_can_be_set_again(tmp_path: Path) -> None:
    spec = over_base(tmp_path, f"description: {'long ' * 30}\n").spec
    assert spec is not None
    lines = origins_text(origins(spec)).splitlines()
    starts = {line.rindex("  ") for line in lines}
    assert len(starts) == 1
    assert max(map(len, lines)) < 120 + len(str(tmp_path))
    # what is printed as a path, `--set` takes, and setting every value to itself changes nothing
    named = ("legoc", "skip_policies")
    again = [f"{o.path}={o.text}" for o in origins(spec) if not o.path.startswith(named) and not o.path.endswith(".id")]
    result = check_text(BASE, "t", again)
    assert result.spec == spec, result.diagnostics
