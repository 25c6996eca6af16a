"""Exported folders: what is in them, that they sample as the run does, and that a run comes back bit by bit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import legoc_runtime
from legoc.__main__ import main
from legoc.driver import spec_hash
from legoc_runtime.checkpoint import find_weights, read_tensors
from legoc_runtime.checkpoint.tensorfile import load, metadata, save
from legoc_runtime.contract.manifest import read_manifest
from legoc_runtime.contract.schedule import alphas_cumprod
from legoc_runtime.errors import LegocError, UsageError
from legoc_runtime.interop import LegoPipeline
from legoc_runtime.interop.folder import read_folder
from legoc_runtime.interop.single import kept_as
from legoc_runtime.sampling.noise import start_noise
from legoc_runtime.sampling.pictures import read_png
from tests.cli.small_run import spec_text, write_run
from tests.interop.foreign_files import torch_file
from tests.vaes import write_vae


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


def export(run: Path, out: Path, *arguments: str) -> Path:
    assert main(["export", str(run), "-o", str(out), "-q", *arguments]) == 0
    return out


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_a_folder_holds(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = export(run, tmp_path / "out")
    assert capsys.readouterr().out.strip() == str(folder)
    assert files(folder) == [
        "README.md",
        "config.json",
        "model_index.json",
        "scheduler/scheduler_config.json",
        "stack/diffusion_pytorch_model.safetensors",
        "stack/manifest.json",
        "stack/spec.yaml",
    ]
    index = json.loads((folder / "model_index.json").read_text())
    assert index["stack"] == ["legoc_runtime", "DiffusersStack"]
    assert metadata(folder / "stack" / "diffusion_pytorch_model.safetensors")["legoc.kind"] == "ema-0.999"
    config = json.loads((folder / "config.json").read_text())
    assert (config["height"], config["width"], config["classes"]) == (16, 8, 4)


def test_a_pipeline_makes_what_the_run_makes(run: Path, tmp_path: Path) -> None:
    pipeline = LegoPipeline.from_pretrained(export(run, tmp_path / "out"))
    made = pipeline(seeds="3-5", steps=4, skip_policy="halfway", batch=2)
    assert made.seeds == (3, 4, 5)
    again = LegoPipeline(legoc_runtime.load(run))(seeds="3-5", steps=4, skip_policy="halfway")
    assert torch.equal(made.estimates, again.estimates)
    assert [image.size for image in made.images] == [(8, 16)] * 3
    pictures = tmp_path / "pictures"
    arguments = ["--steps", "4", "--skip-policy", "halfway", "--backend", "eager", "--out", str(pictures), "-q"]
    assert main(["sample", str(run), "--seeds", "3-5", *arguments]) == 0
    (first,) = pictures.rglob("*3.png")
    picture = read_png(first, (3, 16, 8))
    assert picture is not None
    assert (picture.transpose(1, 2, 0) == np.asarray(made.images[0])).all()


def test_a_pipeline_makes_the_canvas_of_the_spec(tmp_path: Path) -> None:
    canvas = "size: 16x20, wrap: true, regions: [{class: 3, box: [0, 0, 10, 16]}]"
    run = write_run(tmp_path / "run", spec_text(sample=canvas))
    pipeline = LegoPipeline.from_pretrained(export(run, tmp_path / "out"))
    made = pipeline(seeds="3", steps=3)
    assert [image.size for image in made.images] == [(20, 16)]
    ask = ["--seeds", "3", "--steps", "3", "--backend", "eager", "-q", "--out", str(tmp_path / "pictures")]
    assert main(["sample", str(run), *ask]) == 0
    picture = read_png(tmp_path / "pictures" / "000003.png", (3, 16, 20))
    assert picture is not None
    assert (picture.transpose(1, 2, 0) == np.asarray(made.images[0])).all()
    assert [image.size for image in pipeline(seeds="3", steps=2, size="grid").images] == [(8, 16)]
    with pytest.raises(UsageError, match="a factorised canvas runs bricks one by one"):
        pipeline(seeds="3", steps=2, canvas="factorised")
    with pytest.raises(UsageError, match="there is no canvas `round`"):
        pipeline(seeds="3", steps=2, canvas="round")


def test_one_file_with_its_spec_samples_as_the_run_does(run: Path, tmp_path: Path) -> None:
    file = export(run, tmp_path / "stack.safetensors", "--ema", "none")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["stack.safetensors"]
    ask = ["--seeds", "2-3", "--steps", "3", "--backend", "eager", "-q"]
    for name, source in (("of_run", run), ("of_file", file)):
        chosen = ["--ema", "none"] if source is run else []
        assert main(["sample", str(source), *ask, *chosen, "--out", str(tmp_path / name)]) == 0
    one, other = (sorted((tmp_path / name).rglob("*3.png")) for name in ("of_run", "of_file"))
    assert one
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    assert main(["export", str(run), "-o", str(file), "-q"]) == 2


def test_a_file_whose_spec_an_older_version_wrote_is_exported(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its spec has fewer keys than this version writes, and keeps its hash."""
    file = export(run, tmp_path / "stack.safetensors")
    header = metadata(file)
    text = "".join(line for line in header["legoc.spec"].splitlines(keepends=True) if "skip_policy: none" not in line)
    assert text != header["legoc.spec"]
    save(file, load(file), header | {"legoc.spec": text, "legoc.spec_hash": spec_hash(text)})
    folder = export(file, tmp_path / "folder")
    assert read_folder(folder)[0].spec_hash == spec_hash(text)
    capsys.readouterr()
    assert main(["timeline", str(run)]) == 0
    drawn = capsys.readouterr().out
    for path in (file, folder, folder / "stack"):
        assert main(["timeline", str(path)]) == 0
        assert capsys.readouterr().out == drawn
        assert main(["cost", str(path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)
        assert main(["timeline", str(path), "--set", "sample.steps=9"]) == 2
        assert "--set changes a spec" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_weights_kept_in_half_the_room(name: str, dtype: torch.dtype, run: Path, tmp_path: Path) -> None:
    """Rounded once, to nearest; sampled in float32."""
    folder = export(run, tmp_path / "out", "--dtype", name)
    before = read_tensors(find_weights(run))
    after = load(folder / "stack" / "diffusion_pytorch_model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(after[key], before[key].to(dtype)) for key in before)
    stack = LegoPipeline.from_pretrained(folder).stack
    assert stack.store.dtype == torch.float32
    key = "conditioning.time.fc1.weight"
    assert torch.equal(stack.store.weights[key], after[key].float())


def test_a_weight_that_half_precision_does_not_hold_is_refused() -> None:
    with pytest.raises(UsageError, match="fp16 does not hold"):
        kept_as({"a": torch.tensor([1.0, 1e6])}, "fp16")
    assert kept_as({"a": torch.tensor([1.0, 1e6])}, "bf16")["a"].dtype == torch.bfloat16


@pytest.mark.parametrize("ema", ["none", "0.999"])
def test_exported_and_imported_is_the_same(ema: str, run: Path, tmp_path: Path) -> None:
    """Equal bits, the same spec, the same pictures."""
    folder = export(run, tmp_path / "out", "--ema", ema)
    assert main(["import", str(folder), "-o", str(tmp_path / "again"), "-q"]) == 0
    before = read_tensors(find_weights(run, ema=ema))
    after = read_tensors(find_weights(tmp_path / "again"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert (tmp_path / "again" / "spec.yaml").read_bytes() == (run / "spec.yaml").read_bytes()
    assert read_manifest(tmp_path / "again") == read_manifest(run)
    ask: Any = {"seeds": "0-1", "steps": 3, "skip_policy": "late"}
    one, other = (LegoPipeline(legoc_runtime.load(path, ema=rate))(**ask) for path, rate in
                  ((run, ema), (tmp_path / "again", None)))  # fmt: skip
    assert torch.equal(one.estimates, other.estimates)


def test_an_imported_stack_goes_out_again(tmp_path: Path) -> None:
    """DiT's weights, its origin told in the model card; a scheduler of its own chain."""
    file = torch_file(tmp_path / "dit.pt", "dit_tiny")
    assert main(["import", str(file), "--heads", "4", "-o", str(tmp_path / "run"), "-q"]) == 0
    folder = export(tmp_path / "run", tmp_path / "out")
    assert "imported from `dit.pt`" in (folder / "README.md").read_text()
    assert json.loads((folder / "scheduler" / "scheduler_config.json").read_text())["beta_end"] == 0.02
    made = LegoPipeline.from_pretrained(folder)(seeds="0", steps=3)
    assert made.estimates.shape == (1, 4, 16, 16)
    with pytest.raises(UsageError, match="latents"):
        _ = made.images


def test_saved_again_it_has_the_weights_of_now(run: Path, tmp_path: Path) -> None:
    pipeline = LegoPipeline.from_pretrained(export(run, tmp_path / "out"))
    store = pipeline.stack.store
    with store.updating(), torch.no_grad():
        store.weights["conditioning.time.fc1.bias"].add_(1)
    pipeline.save_pretrained(tmp_path / "new")
    name = "stack/diffusion_pytorch_model.safetensors"
    before, after = load(tmp_path / "out" / name), load(tmp_path / "new" / name)
    assert [key for key in before if not torch.equal(before[key], after[key])] == ["conditioning.time.fc1.bias"]
    assert files(tmp_path / "new") == files(tmp_path / "out")


def test_no_compiler_is_needed(run: Path, tmp_path: Path) -> None:
    folder = export(run, tmp_path / "out")
    code = (
        "import sys\nfrom legoc_runtime.interop import LegoPipeline\n"
        f"LegoPipeline.from_pretrained({str(folder)!r})(seeds='0', steps=2)\n"
        "assert not {'legoc', 'ruamel', 'networkx', 'huggingface_hub'} & {*sys.modules}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def test_what_is_refused(run: Path, tmp_path: Path) -> None:
    folder = export(run, tmp_path / "out")
    assert main(["export", str(run), "-o", str(folder)]) == 2
    assert main(["export", str(tmp_path / "nothing")]) == 2
    pipeline = LegoPipeline.from_pretrained(folder)
    with pytest.raises(UsageError, match="no key `stepz`"):
        pipeline(seeds="0", stepz=3)
    with pytest.raises(UsageError, match="no skip policy `thirds`"):
        pipeline(seeds="0", skip_policy="thirds")
    with pytest.raises(UsageError, match="no folder of `legoc export`"):
        LegoPipeline.from_pretrained(tmp_path)
    with pytest.raises(UsageError, match="whole stack"):
        LegoPipeline(legoc_runtime.load(run, bricks=("image",))).save_pretrained(tmp_path / "part")


def test_damage_is_seen(run: Path, tmp_path: Path) -> None:
    folder = export(run, tmp_path / "out")
    other = export(write_run(tmp_path / "other", spec_text(classes=5)), tmp_path / "other_out")
    name = "stack/diffusion_pytorch_model.safetensors"
    shutil.copy(other / name, folder / name)
    with pytest.raises(LegocError, match="another spec"):
        LegoPipeline.from_pretrained(folder)
    (folder / name).write_bytes((other / name).read_bytes()[:-100])
    with pytest.raises(LegocError):
        LegoPipeline.from_pretrained(folder)


@pytest.mark.hub
def test_the_hubs_own_mixin(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saved, read and pushed by huggingface_hub's code; what it would upload is kept here instead."""
    import huggingface_hub.hub_mixin as mixin  # pyright: ignore[reportMissingImports]

    from legoc_runtime.interop import HubPipeline

    pushed = tmp_path / "pushed"

    class Api:
        def __init__(self, **_: object) -> None:
            pass

        def create_repo(self, repo_id: str, **_: object) -> Any:
            return type("Repo", (), {"repo_id": repo_id})()

        def upload_folder(self, *, folder_path: str | Path, **_: object) -> str:
            shutil.copytree(folder_path, pushed)
            return "uploaded"

    monkeypatch.setattr(mixin, "HfApi", Api)
    folder = export(run, tmp_path / "out")
    pipeline = HubPipeline.from_pretrained(folder)
    assert pipeline.push_to_hub("someone/small") == "uploaded"
    assert files(pushed) == files(folder)
    again = HubPipeline.from_pretrained(str(pushed))
    ask: Any = {"seeds": "0-1", "steps": 3}
    assert torch.equal(pipeline(**ask).estimates, again(**ask).estimates)

    def download(*_: object, **__: object) -> str:
        return str(folder)

    def download_config(*_: object, **__: object) -> str:
        return str(folder / "config.json")

    monkeypatch.setattr("legoc_runtime.interop.hub._hub.snapshot_download", download)
    monkeypatch.setattr(mixin, "hf_hub_download", download_config)
    assert HubPipeline.from_pretrained("someone/small", local_files_only=True).manifest == pipeline.manifest


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of numpy, in diffusers
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_diffusers_loads_and_samples_it(guidance: float, run: Path, tmp_path: Path) -> None:
    """Read, run and saved by diffusers' own machinery; its Euler is ours up to its float32."""
    from legoc_runtime.interop import LegoDiffusionPipeline

    folder = export(run, tmp_path / "out")
    theirs: Any = LegoDiffusionPipeline.from_pretrained(folder)
    theirs.set_progress_bar_config(disable=True)
    ask: Any = {"seeds": "0-2", "skip_policy": "halfway"}
    made = theirs(**ask, num_inference_steps=6, guidance_scale=guidance)
    ours = LegoPipeline.from_pretrained(folder)(**ask, steps=6, guidance=guidance, sampler="euler")
    assert made.labels == ours.labels
    torch.testing.assert_close(made.estimates, ours.estimates, rtol=1e-4, atol=1e-4)
    theirs.save_pretrained(tmp_path / "saved")
    again: Any = LegoDiffusionPipeline.from_pretrained(tmp_path / "saved")
    again.set_progress_bar_config(disable=True)
    assert torch.equal(again(**ask, num_inference_steps=6, guidance_scale=guidance).estimates, made.estimates)


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_diffusers_makes_pictures_of_the_grid_and_says_so(tmp_path: Path) -> None:
    from legoc_runtime.interop import LegoDiffusionPipeline

    folder = export(write_run(tmp_path / "run", spec_text(sample="size: 16x20")), tmp_path / "out")
    theirs: Any = LegoDiffusionPipeline.from_pretrained(folder)
    theirs.set_progress_bar_config(disable=True)
    with pytest.warns(UserWarning, match="canvases of 16x20; this pipeline makes pictures of 16x8"):
        made = theirs(seeds="0", num_inference_steps=3)
    assert made.estimates.shape == (1, 3, 16, 8)


@pytest.mark.peers
def test_diffusers_samples_ddpm(tmp_path: Path) -> None:
    """DDIM's first step by hand: x_t to the next timestep, by the estimate of the stack."""
    from legoc_runtime.interop import LegoDiffusionPipeline

    file = torch_file(tmp_path / "dit.pt", "dit_tiny")
    assert main(["import", str(file), "--heads", "4", "-o", str(tmp_path / "run"), "-q"]) == 0
    pipeline: Any = LegoDiffusionPipeline.from_pretrained(export(tmp_path / "run", tmp_path / "out"))
    pipeline.set_progress_bar_config(disable=True)
    made = pipeline(seeds="0-1", num_inference_steps=1000 // 500)
    stack = pipeline.stack.stack
    abar = alphas_cumprod(stack.shape.diffusion)
    x = start_noise((0, 1), (4, 16, 16)).float()
    for t, after in ((500, abar[0]), (0, 1.0)):
        sigma = ((1 - abar[t]) / abar[t]) ** 0.5
        with torch.no_grad():
            estimate = stack(x / abar[t] ** 0.5, torch.tensor(sigma), torch.tensor(made.labels))[:, :4]
        noise = (x - abar[t] ** 0.5 * estimate) / (1 - abar[t]) ** 0.5
        x = after**0.5 * estimate + (1 - after) ** 0.5 * noise
    torch.testing.assert_close(made.estimates, x, rtol=1e-3, atol=1e-3)


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of numpy, in diffusers
def test_a_vae_goes_along_and_makes_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By `legoc sample`, by a pipeline without diffusers' own classes, and by one of them: the same pictures."""
    monkeypatch.chdir(tmp_path)
    write_vae(Path("coder"))
    latents = write_run(Path("run"), spec_text(channels=4, sample="decoder: coder"))
    folder = export(latents, Path("out"))
    assert [name for name in files(folder) if "vae" in name] == [
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ]
    assert json.loads((folder / "model_index.json").read_text())["vae"] == ["diffusers", "AutoencoderKL"]
    Path("coder").rename("elsewhere")
    assert main(["sample", "out", "--seeds", "0-1", "--steps", "4", "--backend", "eager", "-q", "-o", "made"]) == 0
    made = read_png(Path("made/000001.png"), (3, 64, 32))
    assert made is not None
    pipeline = LegoPipeline.from_pretrained(folder)
    ask: Any = {"seeds": "0-1", "steps": 4}
    assert (np.asarray(pipeline(**ask).images[1]) == made.transpose(1, 2, 0)).all()
    kept = pipeline(**ask, decoder="none")
    assert kept.decoded is None
    with pytest.raises(UsageError, match="4 channels are latents"):
        _ = kept.images
    pipeline.save_pretrained("again")
    assert files(Path("again")) == files(folder)
    from legoc_runtime.interop import LegoDiffusionPipeline

    theirs: Any = LegoDiffusionPipeline.from_pretrained(folder)
    theirs.set_progress_bar_config(disable=True)
    few: Any = {"seeds": "0-1", "num_inference_steps": 4}
    found, ours = theirs(**few), pipeline(seeds="0-1", steps=4, sampler="euler")
    assert [image.size for image in found.images] == [(32, 64)] * 2
    torch.testing.assert_close(found.decoded, ours.decoded, rtol=1e-3, atol=1e-3)
    assert theirs(**few, output_type="latent").decoded is None
    theirs.save_pretrained("saved")
    again: Any = LegoDiffusionPipeline.from_pretrained("saved")
    again.set_progress_bar_config(disable=True)
    assert torch.equal(again(**few).decoded, found.decoded)
    assert "vae" not in str(files(export(latents, Path("bare"), "--vae", "none")))
    assert main(["export", "run", "-o", "none"]) == 2
    assert "or export without it: --vae none" in capsys.readouterr().err


def test_a_vae_that_cannot_go_along_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    latents = write_run(tmp_path / "run", spec_text(channels=4))
    vae = tmp_path / "vae"
    vae.mkdir()
    (vae / "config.json").write_text('{"_class_name": "AutoencoderKL", "latent_channels": 16}')
    (vae / "model.safetensors").touch()
    for flags, words in (
        (["--vae", str(vae)], "latents of 16 channels, and the stack has 4"),
        (["--vae", str(vae), "-o", str(tmp_path / "one.safetensors")], "one file of weights holds no VAE"),
        (["--vae", str(tmp_path / "gone")], "holds no VAE"),
    ):
        assert main(["export", str(latents), "-o", str(tmp_path / "out"), *flags]) == 2
        assert words in capsys.readouterr().err
    (vae / "config.json").write_text('{"_class_name": "AutoencoderKL", "latent_channels": 4}')
    assert main(["export", str(latents), "-o", str(tmp_path / "out"), "--vae", str(vae)]) == 3
    assert f"{vae / 'model.safetensors'} is damaged" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_the_package_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delitem(sys.modules, "legoc_runtime.interop.hub", raising=False)
    with pytest.raises(UsageError, match="huggingface_hub") as refused:
        import_module("legoc_runtime.interop.hub")
    assert "legoc[hub]" in (refused.value.help or "")


def test_a_folder_is_sampled_as_the_run_is(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = export(run, tmp_path / "out")
    request = ["--seeds", "0-1", "--device", "cpu", "--backend", "eager", "-q", "-o"]
    for name, source in (("of_run", run), ("of_folder", folder), ("of_stack", folder / "stack")):
        assert main(["sample", str(source), *request, str(tmp_path / name)]) == 0
    for name in ("of_folder", "of_stack"):
        assert (tmp_path / name / "000001.png").read_bytes() == (tmp_path / "of_run" / "000001.png").read_bytes()
    assert main(["sample", str(folder), "--ema", "0.999", *request, str(tmp_path / "average")]) == 2
    assert "there is no EMA to choose" in capsys.readouterr().err
    assert main(["inspect", str(folder)]) == 2
    assert "stack/diffusion_pytorch_model.safetensors" in capsys.readouterr().err
