"""DiT's own weights as a brick, from safetensors and `.pt`: what the imported stack computes; trained and resumed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import legoc_runtime
from legoc.__main__ import main
from legoc.spec import check_text
from legoc.spec.model_files import read_model
from legoc_runtime.checkpoint.tensorfile import load as load_tensors
from legoc_runtime.contract.manifest import read_manifest
from legoc_runtime.contract.schedule import chain_levels
from legoc_runtime.contract.settings import PretrainedSettings
from legoc_runtime.contract.stack import DdpmConstants
from legoc_runtime.errors import RunError
from legoc_runtime.pretrained import open_brick
from legoc_runtime.store import WeightStore
from tests.image_sets import labelled_zip
from tests.interop.foreign_files import reference
from tests.pretrained.dit_files import by_dits_names, save_dit

ON = """\
legoc: 1
name: on
grid: {height: SIDE, width: SIDE, channels: CHANNELS}
conditioning: {classes: CLASSES}
diffusion: DIFFUSION
bricks:
  - {id: base, pretrained: {kind: dit, path: "FILE", heads: 4}}
  - {id: top, size: image, receptive_field: 4, depth: 1, width: 16, heads: 2}
skip_policies: {lean: {top: "sigma > 1"}, late: {base: "sigma > 1"}}
train: {images: 8, batch: 4, warmup_images: 0, ema: [0.9], optimizer: {lr: 1e-3}}
sample: {steps: 4, guidance: 1.5}
"""
SMALL_DIT = """\
legoc: 1
name: small_dit
grid: {height: 8, width: 8, channels: 3}
conditioning: {classes: 4}
diffusion: {kind: ddpm, variance: learned_range}
compat: {coordinates: none}
bricks: [{id: dit, size: image, receptive_field: 2, depth: 1, width: 32, heads: 4}]
"""


def spec(file: Path, *, side: int = 16, channels: int = 4, classes: int = 10, diffusion: str = "ddpm") -> str:
    text = ON.replace("SIDE", str(side)).replace("CHANNELS", str(channels)).replace("CLASSES", str(classes))
    return text.replace("DIFFUSION", diffusion).replace("FILE", str(file))


def run(*arguments: str) -> None:
    assert main([*arguments, *(["-q", "--backend", "eager"] if arguments[0] in ("train", "sample") else [])]) == 0


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def reference_dit(name: str) -> Path:
    return save_dit(Path(name), reference("dit_tiny")[0])


def small_dit(name: str) -> Path:
    checked = check_text(SMALL_DIT, "small").spec
    assert checked is not None
    store = WeightStore(checked.shape)
    store.initialise(0)
    generator = torch.Generator().manual_seed(0)
    drawn = {key: w.detach() + 0.05 * torch.randn(w.shape, generator=generator) for key, w in store.weights.items()}
    return save_dit(Path(name), by_dits_names(checked.shape, drawn))


def findings(text: str) -> list[tuple[str, str]]:
    found = check_text(text, "t.yaml").diagnostics
    return [(finding.code, finding.message) for finding in found if finding.code != "LG311"]


@pytest.mark.parametrize("file", ["dit.safetensors", "dit.pt"])
@pytest.mark.parametrize("diffusion", ["ddpm", "{kind: edm, sigma_min: 0.011}"])
def test_it_computes_what_the_imported_stack_computes(file: str, diffusion: str) -> None:
    weights = reference_dit(file)
    Path("on.yaml").write_text(spec(weights, diffusion=diffusion), encoding="utf-8")
    run("build", "on.yaml", "--policy", "lean")
    run("build", "--check", "build/on")
    run("import", file, "-o", "imported", "--heads", "4", "-q")
    manifest, imported = read_manifest(Path("build/on")), read_manifest(Path("imported"))
    assert manifest.shape.pretrained is not None
    assert manifest.shape.pretrained.stack == imported.shape
    ours = open_brick(manifest.shape.pretrained, dtype=torch.float64)
    theirs = legoc_runtime.load("imported", dtype=torch.float64)
    _, tensors = reference("dit_tiny")
    sigma = torch.tensor(chain_levels(DdpmConstants()), dtype=torch.float64)[tensors["t"]]
    column = sigma[:, None, None, None]
    x = tensors["x"].double() * (1 + column**2).sqrt()
    with torch.inference_mode():
        found = ours(x, sigma, tensors["y"])
        expected = theirs(x, sigma, tensors["y"])[:, :4]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert ((x - found) / column - tensors["output_f64"][:, :4]).abs().max() < 2e-4  # of the public code itself
    half = open_brick(manifest.shape.pretrained, dtype=torch.bfloat16)
    with torch.inference_mode():
        rounded = half(x.float(), sigma.float(), tensors["y"])
    assert rounded.dtype == torch.float32
    assert ((rounded - found) / column).abs().mean() < 0.05


@pytest.mark.parametrize("frozen", [True, False])
def test_it_is_built_trained_sampled_and_resumed(frozen: bool) -> None:
    labelled_zip(Path("data.zip"), count=6, classes=4)
    text = spec(small_dit("dit.pt"), side=8, channels=3, classes=4)
    frozen_or_not = f"heads: 4, frozen: {str(frozen).lower()}}}"
    Path("on.yaml").write_text(text.replace("heads: 4}", frozen_or_not), encoding="utf-8")
    run("build", "on.yaml", "--policy", "lean", "--policy", "late")
    run("train", "build/on", "--data", "data.zip", "-o", "whole")
    run("train", "build/on", "--data", "data.zip", "-o", "halves", "--images", "4")
    run("train", "halves", "--data", "data.zip", "--images", "8", "--resume", "auto")
    for policy in ("lean", "late"):
        run("sample", "whole", "--seeds", "0", "--skip-policy", policy, "-o", policy)
    for command in ("cost", "timeline", "check"):
        run(command, "on.yaml")
    run("inspect", "whole")
    ends = [sorted(Path(name, "checkpoints").iterdir())[-1] / "weights.safetensors" for name in ("whole", "halves")]
    weights, resumed = (load_tensors(end) for end in ends)
    assert weights.keys() == resumed.keys()
    assert all(torch.equal(weights[key], resumed[key]) for key in weights)
    ours = [key for key in weights if key.startswith("pretrained.base.")]
    assert bool(ours) is not frozen
    given = read_manifest(Path("build/on")).shape.pretrained
    assert given is not None
    before = {f"pretrained.base.{key}": weight for key, weight in open_brick(given).network.named_weights().items()}
    assert frozen or any(not torch.equal(before[key], weights[key]) for key in ours)


def test_heads_are_said_where_shapes_do_not_tell() -> None:
    text = spec(reference_dit("dit.pt"))
    assert findings(text) == []
    resolved = check_text(text, "t").spec
    assert resolved is not None
    assert resolved.pretrained["base"].heads == 4
    ((code, message),) = findings(text.replace(", heads: 4}", "}"))
    assert (code, "no published DiT has the width 64" in message) == ("LG211", True)
    ((code, message),) = findings(text.replace("heads: 4}", "heads: 3}"))
    assert (code, "do not share out" in message) == ("LG211", True)


def test_weights_that_are_no_dits_are_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    tensors = reference("dit_tiny")[0]
    Path("two").mkdir()
    save_dit(Path("two/a.pt"), tensors)
    settings = PretrainedSettings("dit", "two", heads=4)
    facts = read_model(settings)
    assert facts is not None
    assert (facts.source, facts.classes, facts.size) == (Path("two/a.pt"), 10, (16, 16))
    save_dit(Path("two/b.safetensors"), tensors)
    assert findings(spec(Path("two")))[0][0] == "LG211"
    save_dit(Path("learned.safetensors"), {**tensors, "pos_embed": tensors["pos_embed"] * 1.1})
    more = {**tensors, "blocks.1.attn.q_norm.weight": torch.ones(16)}
    save_dit(Path("normed.safetensors"), more)
    for name, words in (("learned", "is not the table of positions"), ("normed", "q_norm.weight have no place")):
        text = spec(Path(f"{name}.safetensors"))
        assert findings(text) == []  # names and shapes of few weights alone are read
        Path("on.yaml").write_text(text, encoding="utf-8")
        assert main(["build", "on.yaml"]) == 3
        assert words in capsys.readouterr().err
    Path("evil.pt").write_bytes(b"\x80\x04cposix\nsystem\n.")
    ((code, message),) = findings(spec(Path("evil.pt")))
    assert (code, "posix.system" in message) == ("LG211", True)


def test_a_file_that_changed_since_the_build_is_refused() -> None:
    Path("on.yaml").write_text(spec(reference_dit("dit.pt")), encoding="utf-8")
    run("build", "on.yaml")
    given = read_manifest(Path("build/on")).shape.pretrained
    assert given is not None
    assert [name for name, _ in given.files] == ["dit.pt"]
    torch.save(reference("dit_tiny")[0], "dit.pt")
    with pytest.raises(RunError, match=re.escape("is not what brick `base` was built with")):
        open_brick(given)
