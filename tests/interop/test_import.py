"""Imported weights compute what the public implementations computed (tests/reference), through built programs."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

import legoc_runtime
from legoc.__main__ import main
from legoc.driver import lower_configuration
from legoc.interop.bring import plan_import
from legoc.interop.foreign import open_foreign
from legoc_runtime import BrickStack
from legoc_runtime.checkpoint import read_state, tensorfile
from legoc_runtime.checkpoint.layout import checkpoints
from legoc_runtime.checkpoint.tensorfile import metadata
from legoc_runtime.contract.manifest import read_manifest
from legoc_runtime.contract.schedule import chain_levels
from legoc_runtime.contract.stack import DdpmConstants
from legoc_runtime.errors import LegocError, RunError, UsageError
from legoc_runtime.foreign.machine import Machine
from tests.interop.foreign_files import diffusers_folder, pickled_network, reference, torch_file

LEGO_SPEC = """\
legoc: 1
name: tiny_pg
grid: {height: 32, width: 32, channels: 3}
conditioning: {classes: 10}
diffusion: edm
CARRY
compat: {coordinates: row_column, label_embedding: linear}
brick_defaults: {width: 64, heads: 4, depth: 2}
bricks:
  - {id: a, size: 4, receptive_field: 2}
  - {id: b, size: 16, receptive_field: 8}
  - {id: c, size: image, receptive_field: 2}
"""


def loaded(run: Path) -> BrickStack:
    """A run in double precision, with a program for every prefix of the stack."""
    manifest = read_manifest(run)
    ids = manifest.shape.ids
    programs = [lower_configuration(manifest, ids[: i + 1]) for i in range(len(ids))]
    return legoc_runtime.load(run, dtype=torch.float64, extra_programs=programs)


def bring(file: Path, run: Path, *arguments: str) -> Path:
    assert main(["import", str(file), "-o", str(run), "-q", *arguments]) == 0
    return run


@pytest.mark.parametrize(
    ("name", "form"),
    [("lego_tiny_pg", "zip"), ("lego_tiny_pg", "old"), ("lego_tiny_pg", "network"), ("lego_tiny_u", "network")],
)
def test_a_released_stack(name: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimate of every prefix of the stack: the public network stops after brick i, here those above are skipped."""
    if form == "network":
        file = pickled_network(tmp_path / f"{name}.pkl", name, monkeypatch)
    else:
        file = torch_file(tmp_path / f"{name}.pt", name, old=form == "old")
    run = bring(file, tmp_path / "run", "--heads", "4")
    _, tensors = reference(name)
    stack = loaded(run)
    labels = None
    if stack.shape.classes is not None:
        one_hot = tensors["edm_labels"]
        labels = torch.where(one_hot.any(1), one_hot.argmax(1), stack.shape.classes)
    for i in range(len(stack.shape.ids)):
        with torch.no_grad():
            estimate = stack(
                tensors["edm_x"].double(), tensors["sigma"].double(), labels, configuration=stack.shape.ids[: i + 1]
            )
        assert (estimate - tensors[f"denoised_f64/brick{i}"]).abs().max() < 5e-6
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("form", ["zip", "folder", "folder with a pickle"])
def test_dit(form: str, tmp_path: Path) -> None:
    """DiT and diffusers' names for it: noise and variance of the public code; sinusoids here are a little finer."""
    if form == "zip":
        run = bring(torch_file(tmp_path / "dit.pt", "dit_tiny"), tmp_path / "run", "--heads", "4", "--as", "dit")
    else:
        run = bring(diffusers_folder(tmp_path / "DiT", safe=form == "folder"), tmp_path / "run")
    _, tensors = reference("dit_tiny")
    stack = loaded(run)
    diffusion = stack.shape.diffusion
    assert isinstance(diffusion, DdpmConstants)
    assert diffusion.variance == "learned_range"
    sigma = torch.tensor(chain_levels(diffusion), dtype=torch.float64)[tensors["t"]]
    column = sigma[:, None, None, None]
    x = tensors["x"].double() * (1 + column**2).sqrt()  # the chain's x_t, over sqrt(abar)
    with torch.no_grad():
        estimate, variance = stack(x, sigma, tensors["y"]).chunk(2, dim=1)
    noise = torch.cat([(x - estimate) / column, variance], dim=1)
    assert (noise - tensors["output_f64"]).abs().max() < 2e-4


@pytest.mark.peers
def test_dit_as_diffusers_runs_it(tmp_path: Path) -> None:
    """A folder that diffusers itself saved, and what its model computes.

    With DiT's frequencies and epsilon it is the same function, with its own not quite (docs/interop.md).
    """
    model, differences = diffusers_model(), list[float]()
    model.save_pretrained(tmp_path / "DiT" / "transformer")
    stack = loaded(bring(tmp_path / "DiT", tmp_path / "run"))
    diffusion = stack.shape.diffusion
    assert isinstance(diffusion, DdpmConstants)
    t, labels = torch.tensor([3, 400, 999]), torch.tensor([0, 5, 10])
    sigma = torch.tensor(chain_levels(diffusion), dtype=torch.float64)[t]
    column = sigma[:, None, None, None]
    generator = torch.Generator().manual_seed(1)
    x_t = torch.randn(3, 4, 16, 16, dtype=torch.float64, generator=generator)
    x = x_t * (1 + column**2).sqrt()
    with torch.no_grad():
        estimate, variance = stack(x, sigma, labels).chunk(2, dim=1)
        ours = torch.cat([(x - estimate) / column, variance], dim=1)
        for as_dit in (False, True):
            for block in model.transformer_blocks if as_dit else ():
                block.norm1.emb.time_proj.downscale_freq_shift = 0
                block.norm3.eps = 1e-6
            theirs = model.double()(x_t, timestep=t, class_labels=labels, return_dict=False)[0]
            differences.append((ours - theirs).abs().max().item())
    assert differences[1] < 2e-4 < differences[0]


def diffusers_model() -> Any:
    """A small `DiTTransformer2DModel` with random weights and, as converted ones have, one embedder for all blocks."""
    model: Any = import_module("diffusers.models.transformers.dit_transformer_2d").DiTTransformer2DModel(
        num_attention_heads=4, attention_head_dim=16, in_channels=4, out_channels=8, num_layers=2, sample_size=16,
        patch_size=2, num_embeds_ada_norm=10,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.1)
        first = model.transformer_blocks[0].norm1.emb
        for block in model.transformer_blocks[1:]:
            block.norm1.emb.load_state_dict(first.state_dict())
    return model.eval()


def test_what_an_imported_run_says_of_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = torch_file(tmp_path / "lego.pt", "lego_tiny_pg")
    run = bring(file, tmp_path / "run", "--heads", "4")
    assert capsys.readouterr().out.strip() == str(run)
    (checkpoint,) = checkpoints(run)
    origin = json.loads(metadata(checkpoint / "weights.safetensors")["legoc.imported_from"])
    assert origin == read_state(checkpoint)["imported_from"]
    assert (origin["names"], origin["part"], list(origin["files"])) == ("lego", "ema", ["lego.pt"])
    assert main(["inspect", str(run)]) == 0
    out = tmp_path / "pictures"
    arguments = [
        "--seeds",
        "0-1",
        "--steps",
        "3",
        "--out",
        str(out),
        "--skip-policy",
        "halfway",
        "--quiet",
        "--backend",
        "eager",
    ]
    assert main(["sample", str(run), *arguments]) == 0


def test_imported_weights_have_no_training_to_continue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = bring(torch_file(tmp_path / "lego.pt", "lego_tiny_pg"), tmp_path / "run", "--heads", "4")
    data = Path(__file__).parents[2] / "examples/data/noto-emoji-32.zip"
    assert main(["train", str(run), "--out", str(run), "--data", str(data), "--backend", "eager", "--quiet"]) == 2
    assert "weights alone" in capsys.readouterr().err


def test_the_spec_may_be_given(tmp_path: Path) -> None:
    """Its ids are its own; the raw weights are taken where they are asked for."""
    file, spec = torch_file(tmp_path / "lego.pt", "lego_tiny_pg"), tmp_path / "spec.yaml"
    spec.write_text(LEGO_SPEC.replace("CARRY", "carry: raw"))
    planned = plan_import(open_foreign(file, "model"), spec)
    assert planned.spec.ids == ("a", "b", "c")
    assert planned.foreign.part == "model"


def test_a_spec_that_means_something_else(tmp_path: Path) -> None:
    """Shapes fit; what a brick hands on does not."""
    file, spec = torch_file(tmp_path / "lego.pt", "lego_tiny_pg"), tmp_path / "spec.yaml"
    spec.write_text(LEGO_SPEC.replace("CARRY", "carry: x0"))
    with pytest.raises(UsageError, match="carry: raw"):
        plan_import(open_foreign(file), spec)


def test_a_spec_of_other_shapes_names_the_tensors(tmp_path: Path) -> None:
    file, spec = torch_file(tmp_path / "lego.pt", "lego_tiny_pg"), tmp_path / "spec.yaml"
    spec.write_text(LEGO_SPEC.replace("CARRY", "carry: raw").replace("classes: 10", "classes: 7"))
    with pytest.raises(RunError, match=r"embedding_table\.weight is 64x10 where the spec has 64x7"):
        plan_import(open_foreign(file), spec)
    with pytest.raises(RunError, match=r"model\.2\.blocks\.2.* missing"):
        plan_import(open_foreign(file), None, heads=4, overrides=["bricks.brick2.depth=3"])
    with pytest.raises(RunError, match="have no place"):
        plan_import(open_foreign(file), None, heads=4, overrides=["bricks.brick2.depth=1"])


def test_heads_that_no_shape_tells(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="how many heads") as refused:
        plan_import(open_foreign(torch_file(tmp_path / "lego.pt", "lego_tiny_pg")), None)
    assert "--heads" in (refused.value.help or "")


def damaged(path: Path, name: str, key: str, value: float) -> Path:
    weights, _ = reference(name)
    torch.save({**weights, key: torch.full_like(weights[key], value)}, path)
    return path


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [("t_embedder.mlp.0.bias", float("nan"), "not finite"), ("model.1.pos_embed", 0.5, "not the table of positions")],
)
def test_numbers_that_no_stack_has(
    key: str, value: float, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, run = damaged(tmp_path / "lego.pt", "lego_tiny_pg", key, value), tmp_path / "run"
    assert main(["import", str(file), "--heads", "4", "-o", str(run)]) == 3
    assert says in capsys.readouterr().err
    assert not run.exists()


def test_embedders_that_differ_from_block_to_block(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = diffusers_folder(tmp_path / "DiT") / "transformer" / "diffusion_pytorch_model.safetensors"
    tensors = tensorfile.load(path)
    tensors["transformer_blocks.1.norm1.emb.timestep_embedder.linear_1.bias"] += 1
    tensorfile.save(path, tensors, {})
    assert main(["import", str(tmp_path / "DiT"), "-o", str(tmp_path / "run")]) == 3
    assert "from block to block" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["missing.pt"],
        ["lego.pt"],
        ["lego.pt", "--part", "nothing"],
        ["lego.pt", "--heads", "4", "--as", "dit"],
        ["lego.pt", "--heads", "4", "-o", "lego.pt"],
        ["lego.pt", "--heads", "5"],
        ["lego.pt", "--heads", "4", "--spec", "spec.yaml"],
        ["lego.pt", "--heads", "4", "--check-only", "-o", "run"],
        ["empty"],
        ["other.safetensors"],
    ],
)
def test_bad_requests(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch_file(Path("lego.pt"), "lego_tiny_pg")
    Path("spec.yaml").write_text(LEGO_SPEC.replace("CARRY", "carry: raw"))
    Path("empty").mkdir()
    tensorfile.save(Path("other.safetensors"), {"w": torch.ones(2)}, {})
    assert main(["import", *arguments]) == 2
    assert not Path("run").exists()
    assert not Path("runs").exists()


def test_check_only_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch_file(Path("lego.pt"), "lego_tiny_pg")
    assert main(["import", "lego.pt", "--heads", "4", "--check-only"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["lego.pt"]


def test_a_disk_that_does_not_take_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from legoc.interop import bring as room

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room, "write_build", full)
    planned = plan_import(open_foreign(torch_file(tmp_path / "lego.pt", "lego_tiny_pg")), None, heads=4)
    with pytest.raises(LegocError, match="No space left"):
        room.write_import(planned, tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["lego.pt"]


def test_texts_of_python_2_are_read_as_text() -> None:
    """The heads of LPIPS and other files of its time: `U` and `T` are texts by one and by four bytes of length."""
    found, end = Machine(memoryview(b"\x80\x02}(U\x03oneK\x01T\x03\x00\x00\x00twoK\x02u.")).run()
    assert (found, end) == ({"one": 1, "two": 2}, 23)
    with pytest.raises(RunError, match="a text that is no UTF-8"):
        Machine(memoryview(b"\x80\x02U\x01\xff.")).run()
    with pytest.raises(RunError, match="cut short"):
        Machine(memoryview(b"\x80\x02T\xff\xff\xff\x7fa.")).run()
