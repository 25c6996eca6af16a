"""A stack on a pretrained brick is built, trained, sampled, carried over; its files are held against the build."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import legoc_runtime
from legoc.__main__ import main
from legoc_runtime.checkpoint.tensorfile import load as load_tensors
from legoc_runtime.errors import RunError
from tests.pretrained.old_run import HEAD, inputs, prepared, run

ABOVE = """\
  - {id: mid, size: 4}
  - {id: top, size: image}
skip_policies: {lean: {top: "sigma < 1", mid: "sigma < 0.1"}, late: {base: "sigma > 20"}}
"""


def stacked(name: str, model: str, *, carry: str = "x0") -> str:
    return HEAD.replace("NAME", name) + f"  - {{id: base, pretrained: {{{model}}}}}\n{ABOVE}carry: {carry}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    """A folder with a run to stand on, and the weights of a user's own model, whose package is installed."""
    with prepared(tmp_path_factory.mktemp("pretrained")) as place:
        yield place


@pytest.fixture(autouse=True)
def _here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def trained(name: str, model: str, **more: str) -> Path:
    Path(f"{name}.yaml").write_text(stacked(name, model, **more), encoding="utf-8")
    run("build", f"{name}.yaml", "--policy", "lean", "--policy", "late", "-o", f"build/{name}")
    run("build", "--check", f"build/{name}")
    run("train", f"build/{name}", "--data", "data.zip")
    run("sample", f"runs/{name}", "--seeds", "0-1", "--skip-policy", "lean")
    run("inspect", f"runs/{name}")
    return next(Path(f"runs/{name}/checkpoints").iterdir())


@pytest.mark.parametrize("carry", ["x0", "raw"])
def test_a_run_of_legoc_is_a_brick_that_gives_its_own_estimate(carry: str) -> None:
    checkpoint = trained(f"frozen_{carry}", "kind: stack, path: runs/old", carry=carry)
    weights = load_tensors(checkpoint / "weights.safetensors")
    assert not [key for key in weights if "pretrained" in key]
    old, new = legoc_runtime.load("runs/old"), legoc_runtime.load(f"runs/frozen_{carry}")
    assert new.bricks_run(("base", "mid")) == ("base", "mid")
    with torch.inference_mode():
        expected, found = old(*inputs()), new(*inputs(), configuration=("base",))
        whole = new(*inputs())
    bound = 0.0 if carry == "x0" else 2e-5  # to a network's output and back: rounding
    torch.testing.assert_close(found, expected, rtol=0, atol=bound)
    assert not torch.equal(whole, found)


def test_a_model_that_trains_is_in_the_checkpoint_and_moves() -> None:
    checkpoint = trained("tuned", "kind: stack, path: runs/old, frozen: false")
    before = load_tensors(next(Path("runs/old/checkpoints").iterdir()) / "ema-0.9.safetensors")
    after = load_tensors(checkpoint / "weights.safetensors")
    ours = {key.removeprefix("pretrained.base."): key for key in after if key.startswith("pretrained.base.")}
    assert ours.keys() == before.keys()
    moved = [key for key in before if not torch.equal(before[key], after[ours[key]])]
    assert moved
    distance = max(float((before[key] - after[ours[key]]).abs().max()) for key in before)
    assert distance < 0.1  # it began where the model stood, and took two steps of 1e-2
    run("sample", "runs/tuned", "--seeds", "0", "--skip-policy", "late")
    for command in ("cost", "timeline", "check"):
        run(command, "tuned.yaml")


@pytest.mark.parametrize("model", ["kind: stack, path: runs/old", "kind: module, name: own_noise, path: model"])
def test_a_run_that_stands_on_a_model_goes_on_exactly(model: str, tmp_path: Path) -> None:
    Path("on.yaml").write_text(stacked("on", f"{model}, frozen: false"), encoding="utf-8")
    run("build", "on.yaml", "--policy", "late", "-o", str(tmp_path / "build"))
    ends: list[dict[str, torch.Tensor]] = []
    for name, parts in (("whole", ("8",)), ("halves", ("4", "8"))):
        for i, images in enumerate(parts):
            where = [str(tmp_path / name)] if i else [str(tmp_path / "build"), "-o", str(tmp_path / name)]
            run("train", *where, "--data", "data.zip", "--images", images)
        ends.append(load_tensors(tmp_path / name / "checkpoints/000000000008/weights.safetensors"))
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])
    assert [key for key in ends[0] if key.startswith("pretrained.base.")]
    run("sample", str(tmp_path / "whole"), "--seeds", "0", "--skip-policy", "late")


@pytest.mark.parametrize("name", ["own_noise", "own_clean"])
def test_a_users_own_model_by_its_entry_point(name: str) -> None:
    trained(name, f"kind: module, name: {name}, path: model")
    stack = legoc_runtime.load(f"runs/{name}")
    x, sigma, labels = inputs()
    with torch.inference_mode():
        found = stack(x, sigma, labels, configuration=("base",))
    column = sigma[:, None, None, None]
    if name == "own_clean":
        expected = 0.5 * x + column / 1000
    else:
        levels = torch.tensor([0.01 * 1.5**t for t in range(30)])
        below = torch.searchsorted(levels, sigma, right=True) - 1
        timestep = below + (sigma - levels[below]) / (levels[below + 1] - levels[below])
        expected = x - column * (0.5 * x / (1 + column**2).sqrt() + timestep[:, None, None, None] / 1000)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_what_opens_no_model_is_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    for name, words in (("own_nothing", "gives a int"), ("own_absent", "cannot be loaded")):
        Path("bad.yaml").write_text(stacked("bad", f"kind: module, name: {name}, path: model"), encoding="utf-8")
        assert main(["build", "bad.yaml"]) == 2
        assert words in capsys.readouterr().err


def test_files_that_changed_since_the_build_are_refused(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    save_file({"factor": torch.tensor(0.5)}, model / "model.safetensors")
    Path("moved.yaml").write_text(stacked("moved", f'kind: module, name: own_clean, path: "{model}"'), encoding="utf-8")
    run("build", "moved.yaml")
    run("train", "build/moved", "--data", "data.zip")
    save_file({"factor": torch.tensor(0.25)}, model / "model.safetensors")
    with pytest.raises(RunError, match="is not what brick `base` was built with"):
        legoc_runtime.load("runs/moved")
    (model / "model.safetensors").unlink()
    with pytest.raises(RunError, match="cannot be read"):
        legoc_runtime.load("runs/moved")
    assert legoc_runtime.load("runs/moved", bricks=("mid", "top")).store.bricks == ("mid", "top")


def test_a_run_is_carried_over_to_a_stack_that_stands_on_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    """The class of each change of the section, proven: what must be the same is computed by both and compared."""
    without = HEAD.replace("NAME", "plain") + ABOVE.partition("skip_policies")[0]
    Path("plain.yaml").write_text(without, encoding="utf-8")
    run("build", "plain.yaml")
    run("train", "build/plain", "--data", "data.zip")
    Path("with.yaml").write_text(stacked("with", "kind: stack, path: runs/old"), encoding="utf-8")
    Path("tuned_too.yaml").write_text(stacked("tuned_too", "kind: stack, path: runs/old, frozen: false"), "utf-8")
    run("migrate", "runs/plain", "with.yaml", "-o", "carried")
    run("migrate", "carried", "tuned_too.yaml", "-o", "carried_on")
    weights = load_tensors(next(Path("carried_on/checkpoints").iterdir()) / "weights.safetensors")
    assert [key for key in weights if key.startswith("pretrained.base.")]
    assert main(["migrate", "carried_on", "with.yaml", "-o", "back"]) == 2
    bottom = without.replace("{id: mid", "{id: under, size: 4}\n  - {id: mid").replace("name: plain", "name: bottom")
    Path("bottom.yaml").write_text(bottom, encoding="utf-8")
    assert main(["migrate", "carried_on", "bottom.yaml", "--rename", "base=under", "-o", "refused"]) == 2
    assert "is a pretrained model" in capsys.readouterr().err
    renamed = stacked("renamed", "kind: stack, path: runs/old, frozen: false").replace("base", "ground")
    Path("renamed.yaml").write_text(renamed, encoding="utf-8")
    run("diff", "tuned_too.yaml", "renamed.yaml")
    assert "resumable  bricks.ground was base" in capsys.readouterr().out
    run("migrate", "carried_on", "renamed.yaml", "-o", "renamed")
