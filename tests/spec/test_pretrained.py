"""Pretrained bricks: read without torch, checked against the spec."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from legoc.cost.report import price
from legoc.cost.table import table
from legoc.driver import compile_spec, describe_spec
from legoc.hashes import hashed_values, spec_hashes
from legoc.spec import check_text, resolved_yaml
from legoc.spec.model_files import read_model
from legoc_runtime.contract.manifest import manifest_from_json
from legoc_runtime.contract.predicate import Arithmetic, Compare, Expr, Name, Number
from legoc_runtime.contract.schedule import alphas_cumprod
from legoc_runtime.contract.settings import PretrainedKind, PretrainedSettings
from legoc_runtime.contract.stack import DdpmConstants
from legoc_runtime.errors import UsageError

UNET = {"_class_name": "UNet2DModel", "sample_size": 32, "in_channels": 3, "out_channels": 3}
DIT = {"_class_name": "DiTTransformer2DModel", "sample_size": 32, "in_channels": 4, "out_channels": 8}
DDPM = {"_class_name": "DDPMScheduler", "num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02}


def spec_text(folder: Path, kind: PretrainedKind = "diffusers_unet", more: str = "", channels: int = 3) -> str:
    return f"""\
legoc: 1
name: example
grid: {{height: 32, width: 32, channels: {channels}}}
conditioning: {{classes: 9}}
diffusion: ddpm
bricks:
  - {{id: base, pretrained: {{kind: {kind}, path: "{folder}"}}{more}}}
  - {{id: image, size: image, depth: 2, width: 32, heads: 2}}
"""


def unet(folder: Path, config: dict[str, Any] | None = None, scheduler: dict[str, Any] | None = None) -> Path:
    for part, name, values in (
        ("unet", "config.json", UNET | (config or {})),
        ("scheduler", "scheduler_config.json", DDPM | (scheduler or {})),
    ):
        (folder / part).mkdir(parents=True)
        (folder / part / name).write_text(json.dumps(values), encoding="utf-8")
    return folder


def codes(text: str) -> list[str]:
    return [finding.code for finding in check_text(text, "t.yaml").diagnostics]


def test_a_file_in_place_of_a_folder_is_told_by_what_the_kind_takes(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    file.touch()
    kinds: dict[PretrainedKind, str] = {"stack": "name a run or a checkpoint", "diffusers_unet": "name the folder"}
    for kind, said in kinds.items():
        (found,) = [d for d in check_text(spec_text(file, kind), "t.yaml").diagnostics if d.code == "LG211"]
        assert "is a file, not a folder" in found.message
        assert found.help is not None
        assert found.help.startswith(said)


def test_the_spec_carries_it_and_reads_back(tmp_path: Path) -> None:
    folder = unet(tmp_path / "unet")
    text = spec_text(folder, more=', skip: "t < 100"') + 'skip_policies: {late: {image: "t < 50"}}\n'
    result = check_text(text, "t.yaml")
    assert codes(text) == ["LG311"]  # its own `skip:` leaves the bottom brick out
    spec = result.spec
    assert spec is not None
    assert dict(spec.pretrained) == {"base": PretrainedSettings("diffusers_unet", str(folder))}
    assert (spec.ids, spec.shape.ids, spec.shape.fixed) == (("base", "image"), ("base", "image"), ("base",))
    assert spec.shape.bricks[0].takes_estimate
    assert list(spec.default_skips) == ["base"]
    place = spec.brick_span("image", "size")
    assert place is not None
    assert place.line == 8
    assert check_text(resolved_yaml(spec), "again").spec == spec
    assert describe_spec(spec)[0].shape == spec.shape
    with pytest.raises(UsageError, match="holds no weights"):
        compile_spec(spec)


@pytest.mark.parametrize(
    ("config", "scheduler", "code", "words"),
    [
        ({}, {}, None, ""),
        ({"sample_size": None}, {}, None, ""),
        ({"out_channels": 6}, {"prediction_type": "v_prediction"}, None, ""),
        ({"num_class_embeds": 10}, {}, None, ""),
        ({"in_channels": 4, "out_channels": 4}, {}, "LG212", "4 channels"),
        ({"sample_size": [64, 32]}, {}, "LG212", "64x32"),
        ({"num_class_embeds": 9}, {}, "LG212", "labels, one a class"),
        ({"num_class_embeds": 12}, {}, "LG212", "11 classes"),
        ({"num_class_embeds": 1}, {}, "LG211", "one label"),
        ({"class_embed_type": "identity"}, {}, "LG211", "takes a vector"),
        ({"class_embed_type": "timestep"}, {}, "LG211", "takes a number"),
        ({}, {"prediction_type": "flow_prediction"}, "LG212", "`flow_prediction`"),
        ({}, {"_class_name": "FlowMatchEulerDiscreteScheduler"}, "LG212", "`flow`"),
        ({}, {"beta_end": 0.01}, "LG212", "noise levels"),
        ({"_class_name": "UNet2DConditionModel"}, {}, "LG211", "UNet2DConditionModel"),
        ({"in_channels": "3"}, {}, "LG211", "no whole number"),
        ({"sample_size": "32"}, {}, "LG211", "`sample_size`"),
        ({"out_channels": 5}, {}, "LG211", "no denoiser"),
        ({}, {"beta_schedule": "sigmoid"}, "LG211", "`sigmoid`"),
        ({}, {"num_train_timesteps": 10**9}, "LG211", "no sensible number"),
        ({}, {"trained_betas": [0.1, "x"]}, "LG211", "between 0 and 1"),
    ],
)
def test_a_diffusers_unet_is_held_against_the_spec(
    tmp_path: Path, config: dict[str, Any], scheduler: dict[str, Any], code: str | None, words: str
) -> None:
    text = spec_text(unet(tmp_path / "m", config, scheduler))
    found = check_text(text, "t.yaml").diagnostics
    assert [finding.code for finding in found] == ([] if code is None else [code])
    for finding in found:
        assert words in finding.message
        assert finding.primary is not None
        assert text[finding.primary.span.start : finding.primary.span.end] == f'"{tmp_path / "m"}"'


def test_one_is_not_shared_out(tmp_path: Path) -> None:
    text = spec_text(unet(tmp_path / "m")) + "\ntrain: {sharding: fsdp2}\n"
    (finding,) = check_text(text, "t").diagnostics
    assert (finding.code, finding.help) == ("LG108", "write `sharding: none`, or remove it")
    assert finding.primary is not None
    assert text[finding.primary.span.start : finding.primary.span.end] == "fsdp2"
    assert codes(text.replace("fsdp2", "none")) == []


def test_edm_may_not_go_below_what_ddpm_was_trained_for(tmp_path: Path) -> None:
    text = spec_text(unet(tmp_path / "m")).replace("diffusion: ddpm", "diffusion: edm")
    (finding,) = check_text(text, "t").diagnostics
    assert (finding.code, finding.help) == ("LG212", "write `diffusion: {kind: edm, sigma_min: 0.01}`")
    assert codes(text.replace("diffusion: edm", "diffusion: {kind: edm, sigma_min: 0.01}")) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"[1, 2]", "not a JSON object"), (b"{", "not JSON"), (b"[" * 100_000, "not JSON"), (b" " * (5 * 2**20), "large")],
)
def test_a_configuration_that_is_none_is_said_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    folder = unet(tmp_path / "m")
    (folder / "unet" / "config.json").write_bytes(content)
    (finding,) = check_text(spec_text(folder), "t").diagnostics
    assert finding.code == "LG211"
    assert words in finding.message


@pytest.mark.parametrize("path", ["no/where", "a" * 1000, "a\\0b"])
@pytest.mark.parametrize("kind", ["stack", "dit", "diffusers_unet", "diffusers_dit"])
def test_a_missing_folder_is_a_diagnostic_for_every_kind(kind: PretrainedKind, path: str) -> None:
    assert codes(spec_text(Path(path), kind)) == ["LG211"]


def test_a_pipe_in_place_of_a_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.json")
    os.mkfifo(tmp_path / "config.json")
    os.mkfifo(tmp_path / "model.safetensors")
    for kind in ("stack", "dit", "diffusers_unet"):
        assert codes(spec_text(tmp_path, kind)) == ["LG211"]


def safetensors(path: Path, shapes: dict[str, list[int]]) -> None:
    header = json.dumps({key: {"dtype": "F32", "shape": shape} for key, shape in shapes.items()}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)


def test_dit_tells_its_shape_by_the_header_of_its_weights(tmp_path: Path) -> None:
    shapes = {
        "x_embedder.proj.weight": [384, 4, 2, 2],
        "pos_embed": [1, 256, 384],
        "y_embedder.embedding_table.weight": [1001, 384],
        "final_layer.linear.weight": [32, 384],
        "blocks.11.mlp.fc1.weight": [1536, 384],
        "blocks.0.mlp.fc1.weight": [1536, 384],
    }
    safetensors(tmp_path / "dit.safetensors", shapes)
    facts = read_model(PretrainedSettings("dit", str(tmp_path)))
    assert facts is not None
    assert (facts.channels, facts.size, facts.classes, facts.predicts) == (4, (32, 32), 1000, "epsilon")
    assert facts.sigmas == pytest.approx((0.01, 157.4), rel=1e-3)
    assert facts.stack is not None
    assert (facts.stack.bricks[0].heads, facts.stack.bricks[0].depth, facts.stack.variance_channels) == (6, 12, 4)
    assert codes(spec_text(tmp_path, "dit", channels=4).replace("classes: 9", "classes: 1000")) == []
    assert codes(spec_text(tmp_path, "dit")) == ["LG212", "LG212"]  # channels and classes
    del shapes["pos_embed"]
    safetensors(tmp_path / "dit.safetensors", shapes)
    assert codes(spec_text(tmp_path, "dit")) == ["LG211"]
    (tmp_path / "dit.safetensors").write_bytes(b"\xff" * 64)
    assert codes(spec_text(tmp_path, "dit")) == ["LG211"]


def test_a_diffusers_dit_beside_its_scheduler(tmp_path: Path) -> None:
    folder = unet(tmp_path / "m")
    (folder / "transformer").mkdir()
    config = DIT | {"num_embeds_ada_norm": 9}
    (folder / "transformer" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for place in (folder, folder / "transformer"):
        assert codes(spec_text(place, "diffusers_dit", channels=4)) == []


def test_a_build_of_legoc_is_a_model_too(tmp_path: Path) -> None:
    lines = spec_text(Path("x")).replace("ddpm", "edm").splitlines()
    own = check_text("\n".join([*lines[:6], *lines[7:]]), "t").spec
    assert own is not None
    manifest, _ = compile_spec(own)
    (tmp_path / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")
    text = spec_text(tmp_path, "stack").replace("diffusion: ddpm", "diffusion: edm")
    assert codes(text) == []
    assert codes(text.replace("diffusion: edm", "diffusion: {kind: edm, sigma_max: 100}")) == ["LG212"]
    (tmp_path / "manifest.json").write_text("{}", encoding="utf-8")
    assert codes(text) == ["LG211"]


@pytest.mark.parametrize("schedule", ["linear", "scaled_linear", "squaredcos_cap_v2"])
def test_noise_levels_of_the_beta_schedules(tmp_path: Path, schedule: str) -> None:
    facts = read_model(PretrainedSettings("diffusers_unet", str(unet(tmp_path, {}, {"beta_schedule": schedule}))))
    assert facts is not None
    signal = alphas_cumprod(DdpmConstants())
    low, high = {
        "linear": (signal[0], signal[-1]),
        "scaled_linear": (1 - 1e-4, math.exp(-(1e-4 + 0.02 + math.sqrt(2e-6)) / 3 * 1000)),
        "squaredcos_cap_v2": (1 - 4.1e-5, 2.43e-9),
    }[schedule]
    expected = (math.sqrt((1 - low) / low), math.sqrt((1 - high) / high))
    assert facts.sigmas == pytest.approx(expected, rel=0.03)


def test_places_and_keys(tmp_path: Path) -> None:
    text = spec_text(unet(tmp_path / "m"))
    first, second = text.splitlines()[6:8]
    above = text.replace(f"{first}\n{second}", f"{second}\n{first}")
    assert codes(above) == []
    assert codes(above.replace(first, f"{first}\n{first.replace('base', 'other')}")) == ["LG209"]
    for share, found in (("0.3", []), ("1", ["LG104"]), ("0", ["LG104"]), ("half", ["LG103"])):
        assert codes(above.replace("kind:", f"noise_scale: {share}, kind:")) == found, share
        if share == "0.3":
            assert codes(text.replace("kind:", f"noise_scale: {share}, kind:")) == ["LG210"]
    assert codes(text.replace(f"{second}\n", "")) == ["LG209"]
    for key in ("size: image", "depth: 3", "width: 30", "offset: 1", "train_patches: 0.5", "loss_weight: 2"):
        assert codes(spec_text(tmp_path / "m", more=f", {key}")) == ["LG210"], key
    assert codes(spec_text(tmp_path / "m", more=", loss_weight: 2").replace("kind:", "frozen: false, kind:")) == []
    for slip in ("pretraned:", "pretrained: 5 #"):
        assert codes(text.replace("pretrained:", slip)) in (["LG101"], ["LG103"], ["LG004"])
    for key in ("kind", "path"):
        assert codes(text.replace(f"{key}: ", f"{key}z: ", 2 if key == "kind" else 1)) == ["LG101"]
    assert codes(text.replace("kind: diffusers_unet, ", "")) == ["LG102"]


def test_a_module_has_the_name_of_an_entry_point(tmp_path: Path) -> None:
    text = spec_text(tmp_path, "module")
    assert codes(text) == ["LG102"]
    named = text.replace("kind: module", "kind: module, name: nobody_has_this")
    (finding,) = check_text(named, "t").diagnostics
    assert finding.code == "LG211"
    assert "no installed package has an entry point `nobody_has_this`" in finding.message
    for key in ("name: x", "heads: 4"):
        assert codes(spec_text(unet(tmp_path / key[0])).replace("kind:", f"{key}, kind:")) == ["LG210"]


def test_a_model_above_others_has_a_place_and_a_share_of_the_noise(tmp_path: Path) -> None:
    text = spec_text(unet(tmp_path / "m"))
    first, second = text.splitlines()[6:8]
    below, third = check_text(text, "t").spec, second.replace("id: image", "id: top")
    above = text.replace(f"{first}\n{second}", f"{second}\n{first}\n{third}")
    spec = check_text(above, "t").spec
    assert spec is not None
    assert below is not None
    given = spec.shape.pretrained
    assert given is not None
    assert (spec.ids, given.place, given.noise_scale) == (("image", "base", "top"), 1, 0.5)
    assert [brick.takes_estimate for brick in spec.shape.bricks] == [False, True]
    again = check_text(resolved_yaml(spec), "t").spec
    assert again == spec
    # a hash of weights knows the place and the share; one of a model at the bottom is what it ever was
    moved = [text.replace(f"{first}\n{second}", lines) for lines in (f"{second}\n{third}\n{first}",)]
    texts = [above, above.replace("kind:", "noise_scale: 0.3, kind:"), *moved]
    assert len({spec_hashes(s).architecture for t in texts if (s := check_text(t, "t").spec)}) == 3
    assert "place" not in hashed_values(below)["architecture"]["pretrained"]["base"]
    assert "noise_scale" not in hashed_values(below)["architecture"]["pretrained"]["base"]


def test_what_follows_from_a_model_at_the_top(tmp_path: Path) -> None:
    text = spec_text(unet(tmp_path / "m"), more=', skip: "t < 100"')
    first, second = text.splitlines()[6:8]
    above = text.replace(f"{first}\n{second}", f"{second}\n{first}")
    assert codes(above) == []
    # a model above that begins where the bottom brick is left out reads the noisy image, as alone
    bottom = above.replace("image, size", "image, skip: 't > 500', size").replace(', skip: "t < 100"', "")
    assert codes(bottom) == []
    spec = check_text(above, "t").spec
    assert spec is not None
    manifest, _ = describe_spec(spec)
    (skip,) = manifest.policy("halfway").skips
    assert (skip[0], skip[1]) == builtin_skip("base")
    priced = table(price(manifest))
    rows = [line.split()[0] for line in priced.splitlines() if line.startswith(("image ", "base "))]
    assert rows[:2] == ["image", "base"]


def builtin_skip(id: str) -> tuple[str, Expr]:
    """The low-noise half, as of an image-brick."""
    midpoint = Arithmetic("/", Arithmetic("+", Name("step"), Number(0.5)), Name("steps"))
    return id, Compare(midpoint, ((">=", Number(0.5)),))


def test_a_manifest_of_version_4_has_its_model_at_the_bottom(tmp_path: Path) -> None:
    spec = check_text(spec_text(unet(tmp_path / "m")), "t").spec
    assert spec is not None
    manifest, _ = describe_spec(spec)
    old = json.loads(manifest.to_json()) | {"manifest_version": 4}
    old["shape"]["pretrained"] |= {"stack": json.loads(json.dumps(old["shape"]))}
    for shape in (old["shape"], old["shape"]["pretrained"]["stack"]):
        del shape["pretrained"]["place"], shape["pretrained"]["noise_scale"]
    given = manifest_from_json(json.dumps(old), where="m").shape.pretrained
    assert given is not None
    assert given.stack == manifest.shape
    assert (given.place, given.noise_scale) == (0, None)
