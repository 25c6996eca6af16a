"""What does not work with a pretrained brick is refused in words, before anything is written."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from legoc.__main__ import main
from legoc.driver import compile_spec
from legoc.spec import check_text
from legoc_runtime.contract.manifest import MANIFEST_NAME
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.pretrained import open_store
from tests.migrate.made import write_trained
from tests.review.gallery import ON_STACK, resolved


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose bottom brick is a pretrained model."""
    place = tmp_path_factory.mktemp("refusals") / "run"
    manifest, text = compile_spec(resolved(ON_STACK))
    write_trained(place, ON_STACK, ema=())
    (place / MANIFEST_NAME).write_text(manifest.to_json(), encoding="utf-8")
    (place / "spec.yaml").write_text(text, encoding="utf-8")
    return place


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", "RUN", "-o", "OUT"], "whose files an export does not hold"),
        (["export", "RUN", "-o", "OUT.safetensors"], "whose files an export does not hold"),
        (
            ["sample", "RUN", "--size", "32x32", "--canvas", "factorised", "--seeds", "0", "-o", "OUT"],
            "which is not run brick by brick",
        ),
        (["bench", "RUN", "--peer", "plain", "--steps", "2"], "which the peer `plain` does not run"),
    ],
)
def test_a_command_that_cannot_run_it(
    arguments: list[str], words: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put = [word.replace("RUN", str(run)).replace("OUT", str(tmp_path / "out")) for word in arguments]
    assert main(put) == 2
    found = " ".join(capsys.readouterr().err.split())
    assert f"brick `base`{' of `stands`' if 'export' in put else ''} is a pretrained model" in found
    assert words in found
    assert list(tmp_path.iterdir()) == []


def unet(folder: Path, **config: object) -> str:
    """A folder of a UNet2DModel, and the spec of a stack on it."""
    folder.mkdir()
    own = {"_class_name": "UNet2DModel", "in_channels": 4, "out_channels": 4, "sample_size": 16, **config}
    (folder / "config.json").write_text(json.dumps(own), encoding="utf-8")
    (folder / "scheduler_config.json").write_text(json.dumps({"_class_name": "DDPMScheduler"}), encoding="utf-8")
    line = f'pretrained: {{kind: diffusers_unet, path: "{folder}"}}'
    base = ON_STACK.replace("bricks:", "diffusion: {kind: edm, sigma_min: 0.011}\nbricks:").splitlines()
    return "\n".join(f"  - {{id: base, {line}}}" if "id: base" in entry else entry for entry in base)


def test_folders_of_diffusers_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = resolved(unet(tmp_path / "model"))
    with pytest.raises(UsageError, match="holds no weights"):
        compile_spec(spec)
    save_file({"x": torch.zeros(1)}, tmp_path / "model/diffusion_pytorch_model.safetensors")
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(UsageError, match="which cannot be imported"):
        compile_spec(spec)
    (tmp_path / "model/config.json").unlink()
    with pytest.raises(RunError, match="cannot be read"):
        compile_spec(spec)


@pytest.mark.peers
def test_weights_that_are_not_the_models(tmp_path: Path) -> None:
    """diffusers itself would draw what is missing at random."""
    spec = resolved(unet(tmp_path / "model"))
    save_file({"x": torch.zeros(1)}, tmp_path / "model/diffusion_pytorch_model.safetensors")
    with pytest.raises(RunError, match="are not those of its config"):
        compile_spec(spec)


@pytest.mark.compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_compiles(dtype: torch.dtype) -> None:
    """The blocks of the bricks above are compiled; the model runs as it is, in 16 bits too."""
    from legoc_runtime.backends.inductor import Inductor
    from legoc_runtime.link.link import link
    from tests.stacks import batch

    manifest, _ = compile_spec(resolved(ON_STACK))
    store = open_store(manifest.shape, dtype=dtype)
    store.initialise(0)
    program = manifest.program(("base", "whole"))
    assert program is not None
    module = link(program, store)
    compiled = Inductor().compile(module)
    arguments = batch(manifest.shape)
    with torch.inference_mode():
        bound = 1e-4 if dtype is torch.float32 else 5e-2
        torch.testing.assert_close(compiled(*arguments), module(*arguments), rtol=bound, atol=bound)


def test_a_spec_that_asks_for_a_factorised_canvas() -> None:
    found = check_text(ON_STACK + "sample: {size: 32x32, canvas: factorised}\n", "spec.yaml").diagnostics
    assert [diagnostic.code for diagnostic in found if "not run brick by brick" in diagnostic.message] == ["LG114"]
