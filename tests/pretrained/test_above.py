"""A model above bricks of ours is built, trained, sampled under policies that leave out either; in float64 by hand."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
import torch
from torch import Tensor

import legoc_runtime
from legoc.driver import lower_configuration
from legoc_runtime.checkpoint.tensorfile import load as load_tensors
from legoc_runtime.contract.manifest import read_manifest
from legoc_runtime.link.link import link
from legoc_runtime.pretrained import open_store
from legoc_runtime.store import WeightStore
from tests.pretrained.old_run import HEAD, inputs, prepared, run

BRICKS = """\
  - {id: mid, size: image, receptive_field: 4}
  - {id: base, pretrained: {MODEL}}
  - {id: top, size: 4, train_patches: 0.5}
skip_policies: {alone: {mid: "sigma > 5", top: "sigma > 5"}, without: {base: "sigma < 1"}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    """A folder with a run to take as a model, and the weights of a user's own model, whose package is installed."""
    with prepared(tmp_path_factory.mktemp("above"), "over") as place:
        yield place


@pytest.fixture(autouse=True)
def _here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def trained(name: str, text: str) -> dict[str, Tensor]:
    """The weights of a run of a spec, sampled under both policies."""
    Path(f"{name}.yaml").write_text(text.replace("NAME", name), encoding="utf-8")
    run("build", f"{name}.yaml", "--policy", "alone", "--policy", "without")
    run("build", "--check", f"build/{name}")
    run("train", f"build/{name}", "--data", "data.zip")
    for policy in ("alone", "without"):
        run("sample", f"runs/{name}", "--seeds", "0-1", "--skip-policy", policy, "--out", f"{name}-{policy}")
    return weights_of(name)


def weights_of(name: str, file: str = "weights") -> dict[str, Tensor]:
    """What the one checkpoint of a run holds."""
    return load_tensors(next(Path(f"runs/{name}/checkpoints").iterdir()) / f"{file}.safetensors")


class Stack:
    """A build with weights, in float64."""

    def __init__(self, name: str, weights: dict[str, Tensor]) -> None:
        self.manifest = read_manifest(Path(f"runs/{name}"))
        self.store: WeightStore = open_store(self.manifest.shape, dtype=torch.float64)
        self.store.load(weights)

    def __call__(self, bricks: tuple[str, ...], x: Tensor, sigma: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            return link(lower_configuration(self.manifest, bricks), self.store)(x, sigma, labels)


@pytest.mark.parametrize("carry", ["x0", "raw"])
def test_a_run_of_legoc_refines_what_a_brick_of_ours_made(carry: str) -> None:
    model = "kind: stack, path: runs/old, noise_scale: 0.3"
    weights = trained(f"run_{carry}", HEAD + BRICKS.replace("MODEL", model) + f"carry: {carry}\n")
    assert not [key for key in weights if key.startswith("pretrained.")]
    old, new = Stack("old", weights_of("old", "ema-0.9")), Stack(f"run_{carry}", weights)
    x, sigma, labels = inputs()
    x, sigma = x.double(), sigma.double()
    column = sigma[:, None, None, None]
    alone = old(("low", "top"), x, sigma, labels)
    torch.testing.assert_close(new(("base",), x, sigma, labels), alone, rtol=0, atol=1e-12)
    mid = new(("mid",), x, sigma, labels)
    noise = (x - mid) / column
    expected = old(("low", "top"), mid + 0.3 * column * noise, 0.3 * sigma, labels)
    refined = new(("mid", "base"), x, sigma, labels)
    torch.testing.assert_close(refined, expected, rtol=0, atol=1e-12)
    assert float((refined - alone).abs().max()) > 1e-6
    assert not torch.equal(new(("mid", "base", "top"), x, sigma, labels), new(("mid", "top"), x, sigma, labels))


@pytest.mark.parametrize("name", ["over_noise", "over_clean"])
def test_a_users_own_model_trains_at_the_top(name: str) -> None:
    mid, base, top, policies = BRICKS.replace(
        "MODEL", f"kind: module, name: {name}, path: model, frozen: false"
    ).splitlines()
    text = "\n".join([HEAD + mid, top, base, policies])
    text = text.replace("train: {", "train: {fill: model, drop: {policy: alone}, ")
    weights = trained(name, text)
    factor = weights["pretrained.base.factor"]
    assert 0 < abs(float(factor) - 0.5) < 0.1  # it began where the model stood
    stack = Stack(name, weights)
    x, sigma, labels = inputs()
    x, sigma = x.double(), sigma.double()
    below = stack(("mid", "top"), x, sigma, labels)
    level = torch.maximum(0.5 * sigma, sigma.clamp(max=0.01)) if name == "over_noise" else 0.5 * sigma
    column = level[:, None, None, None]
    noisy = below + column / sigma[:, None, None, None] * (x - below)
    if name == "over_clean":
        expected = factor * noisy + column / 1000
    else:
        levels = torch.tensor([0.01 * 1.5**t for t in range(30)], dtype=torch.float64)
        t = torch.searchsorted(levels, level, right=True) - 1
        timestep = (t + (level - levels[t]) / (levels[t + 1] - levels[t]))[:, None, None, None]
        expected = noisy - column * (factor * noisy / (1 + column**2).sqrt() + timestep / 1000)
    torch.testing.assert_close(stack(("mid", "top", "base"), x, sigma, labels), expected, rtol=1e-9, atol=1e-9)
    run("cost", f"{name}.yaml")
    for command in ("graph", "timeline"):
        run(command, f"{name}.yaml", "-o", f"{name}-{command}.svg")
    run("report", f"{name}.yaml", "-o", f"{name}.html")


def test_a_run_is_carried_over_to_a_stack_that_a_model_refines(capsys: pytest.CaptureFixture[str]) -> None:
    bricks = BRICKS.partition("skip_policies")[0].splitlines(keepends=True)
    plain = (HEAD + bricks[0] + bricks[2]).replace("NAME", "plain")
    refined = (HEAD + "".join(bricks)).replace("MODEL", "kind: stack, path: runs/old").replace("NAME", "refined")
    for name, text in (
        ("plain", plain),
        ("refined", refined),
        ("other", refined.replace("old", "old, noise_scale: 0.2")),
    ):
        Path(f"{name}.yaml").write_text(text, encoding="utf-8")
    run("build", "plain.yaml")
    run("train", "build/plain", "--data", "data.zip")
    run("migrate", "runs/plain", "refined.yaml", "-o", "runs/refined")
    assert "base is new and refines what was there" in capsys.readouterr().err
    run("diff", "refined.yaml", "other.yaml")
    out = capsys.readouterr().out
    assert "meaning" in out
    assert "bricks.base.pretrained.noise_scale" in out
    x, sigma, labels = inputs()
    before, after = (Stack(name, weights_of(name)) for name in ("plain", "refined"))
    arguments = x.double(), sigma.double(), labels
    assert torch.equal(before(("mid", "top"), *arguments), after(("mid", "top"), *arguments))
    loaded = legoc_runtime.load("runs/refined")
    assert loaded.bricks_run(("mid", "base", "top")) == ("mid", "base", "top")
