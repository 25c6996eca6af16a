"""`legoc sample` as people call it, on a run that was never trained."""

from __future__ import annotations

import json
import shutil
from math import prod
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from legoc.__main__ import main
from legoc.driver import spec_hash
from legoc_runtime.contract.manifest import read_manifest
from legoc_runtime.contract.settings import SampleSettings
from legoc_runtime.contract.stack import weight_shapes
from tests.cli.small_run import spec_text, write_run

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    write_run(root / "runs" / "small")
    return root


@pytest.fixture(autouse=True)
def here(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(project)
    yield
    shutil.rmtree("runs/small/samples", ignore_errors=True)


def sample(*arguments: str) -> int:
    return main(["sample", "--seeds", "0-3", "--backend", "eager", "--device", "cpu", *arguments])


def test_without_an_argument_the_newest_run_is_sampled(capsys: Captured):
    assert sample("--skip-policy", "halfway") == 0
    out, err = capsys.readouterr()
    directory = Path(out.strip())
    assert directory.parent == Path("runs/small/samples")
    assert sorted(path.name for path in directory.glob("*.png")) == [*(f"00000{i}.png" for i in range(4)), "grid.png"]
    assert "runs/small, the newest run: ema-0.999 after 1,000 images" in err
    assert "image off from step 2 (sigma 2.52)" in err
    assert "% of the multiply-accumulates" in err
    record = json.loads((directory / "samples.json").read_text())
    assert record["request"]["policy"]["name"] == "halfway"
    assert record["timing"]["macs_saved"] > 0
    assert record["how"].keys() == {"batch", "device", "backend", "unloaded_bytes", "versions"}
    assert (record["how"]["batch"], record["how"]["device"], record["how"]["backend"]) == (64, "cpu", "eager")
    assert record["how"]["unloaded_bytes"] == 0
    assert record["conditioning_ahead"]["looked_up"] == len(record["trace"]["calls"])
    assert record["conditioning_ahead"]["direct"] == 0
    assert record["trace"]["runs"] == [[0, 3, "windows+parts+image"], [3, 6, "windows+parts"]]


def test_a_policy_that_is_not_named_and_one_that_skips_nothing_are_said(capsys: Captured):
    assert sample() == 0
    err = capsys.readouterr().err
    assert "no --skip-policy: taking `none`" in err
    assert "skips nothing" in err


def test_the_skip_keys_are_the_default_policy(project: Path, capsys: Captured):
    run = write_run(project / "keyed", spec_text(skip="sigma > 10"))
    assert sample(str(run)) == 0
    err = capsys.readouterr().err
    assert "taking `default`, the spec's `skip:` keys" in err
    assert "parts on from step 2" in err


def test_what_the_spec_asks_for_is_sampled_where_no_flag_says_otherwise(project: Path, capsys: Captured):
    asked = 'skip_policy: "halfway:0.8", seeds: "3,5-6", classes: [0, 2], batch: 2, ema: none'
    run = write_run(project / "asking", spec_text(sample=asked))
    assert main(["sample", str(run), "--backend", "eager", "--device", "cpu"]) == 0
    out, err = capsys.readouterr()
    assert "no --skip-policy: taking `halfway:0.8`, the spec's `sample.skip_policy`" in err
    assert "weights after 1,000 images" in err
    assert "instead of" not in err
    record = json.loads((Path(out.strip()) / "samples.json").read_text())
    assert (record["request"]["seeds"], record["request"]["classes"]) == ("3,5-6", [2, 2, 0])
    assert (record["how"]["batch"], record["source"]["kind"]) == (2, "weights")
    # the build foresaw the policy that it names
    assert ("windows", "parts") in read_manifest(run).configurations
    flags = ["--seeds", "1", "--classes", "random", "--batch", "1", "--ema", "first", "--skip-policy", "none"]
    assert main(["sample", str(run), "--backend", "eager", "--device", "cpu", *flags]) == 0
    err = capsys.readouterr().err
    for said in (
        "seeds: 1 instead of the spec's 3,5-6",
        "classes: random instead of the spec's 0,2",
        "batch: 1 instead of the spec's 2",
        "ema: first instead of the spec's none",
        "skip_policy: none instead of the spec's halfway:0.8",
    ):
        assert said in err


def test_a_rate_in_other_digits_overrides_nothing(project: Path, capsys: Captured):
    run = write_run(project / "averaged", spec_text(sample="ema: 0.999") + "train: {ema: [0.999]}\n")
    flags = ["--ema", "0.9990", "--seeds", "4"]
    assert main(["sample", str(run), "--backend", "eager", "--device", "cpu", *flags]) == 0
    err = capsys.readouterr().err
    assert "ema-0.999 after" in err
    assert "1 seed by" in err
    assert "ema: " not in err


def test_a_build_of_manifest_version_1_is_sampled_as_ever(project: Path, capsys: Captured):
    run = write_run(project / "older", spec_text(skip="sigma > 10"))
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["manifest_version"] = 1
    del manifest["passes"]
    for key in ("skip_policy", "seeds", "classes", "batch", "ema"):
        del manifest["sample"][key]
    older = "".join((run / "spec.yaml").read_text().splitlines(keepends=True)[:-5])  # the same keys, at its end
    (run / "spec.yaml").write_text(older)
    manifest["spec_hash"] = spec_hash(older)
    (run / "manifest.json").write_text(json.dumps(manifest))
    read = read_manifest(run)
    assert read.sample == SampleSettings(steps=5, guidance=2.0, skip_policy="default")
    assert read.policy(None).name == "default"
    assert main(["cost", str(run)]) == 0
    capsys.readouterr()
    manifest["sample"].pop("steps")
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert main(["cost", str(run)]) == 3
    assert "sample.steps is 40 instead of 5" in capsys.readouterr().err


def test_a_configuration_that_the_build_did_not_foresee_is_made_on_the_spot(capsys: Captured):
    assert sample("--skip-policy", "halfway:0.9", "--steps", "7") == 0
    record = json.loads((Path(capsys.readouterr().out.strip()) / "samples.json").read_text())
    assert record["policy"]["skipped"]["image"] == 6


def test_when_the_whole_stack_never_runs_no_time_is_compared(capsys: Captured):
    assert sample("--skip-policy", "only_image") == 0
    assert "the whole stack never ran" in capsys.readouterr().err


def test_only_the_bricks_that_a_policy_runs_are_loaded(capsys: Captured):
    assert sample("--skip-policy", "only_image") == 0
    out, err = capsys.readouterr()
    record = json.loads((Path(out.strip()) / "samples.json").read_text())
    assert f"{record['how']['unloaded_bytes']:,} bytes of weights were not loaded" in err
    assert "policy `only_image` never runs windows, parts" in err
    shapes = weight_shapes(read_manifest(Path("runs/small")).shape)
    idle = (prod(shape) for key, shape in shapes.items() if key.startswith(("bricks.windows.", "bricks.parts.")))
    assert record["how"]["unloaded_bytes"] == 4 * sum(idle)


def test_sixteen_bit_weights_make_other_pictures_and_are_said(capsys: Captured):
    grids: dict[str, bytes] = {}
    for dtype in ("float32", "bf16", "fp16"):
        assert sample("--dtype", dtype, "--out", dtype) == 0
        record = json.loads(Path(dtype, "samples.json").read_text())
        assert record["source"]["dtype"] == dtype
        grids[dtype] = Path(dtype, "grid.png").read_bytes()
    assert len(set(grids.values())) == 3
    # another request: neither lands in the other's directory, nor over it unasked
    assert sample("--dtype", "bf16", "--out", "float32") == 2


def test_a_run_a_checkpoint_and_its_file_give_the_same_pictures(capsys: Captured):
    checkpoint = Path("runs/small/checkpoints/000000001000")
    shown: list[bytes] = []
    for i, path in enumerate(("runs/small", checkpoint, checkpoint / "ema-0.999.safetensors")):
        assert sample(str(path), "--skip-policy", "late", "--out", f"out{i}") == 0
        shown.append(Path(f"out{i}/grid.png").read_bytes())
    assert shown[0] == shown[1] == shown[2]
    assert sample("--ema", "none", "--skip-policy", "late", "--out", "raw") == 0
    assert Path("raw/grid.png").read_bytes() != shown[0]


def test_every_setting_reaches_the_pictures(capsys: Captured):
    assert sample("--out", "plain", "--classes", "1") == 0
    plain = Path("plain/grid.png").read_bytes()
    changes = {
        "guidance": ["--classes", "1", "--guidance", "4"],
        "steps": ["--classes", "1", "--steps", "6"],
        "churn": ["--classes", "1", "--churn", "5"],
        "churn_range": ["--classes", "1", "--churn", "5", "--churn-min", "1", "--churn-max", "30"],
        "churn_noise": ["--classes", "1", "--churn", "5", "--churn-noise", "1.2"],
        "classes": ["--classes", "2"],
        "policy": ["--classes", "1", "--skip-policy", "late"],
    }
    grids = {"plain": plain}
    for name, arguments in changes.items():
        assert sample("--out", name, *arguments) == 0
        grids[name] = Path(f"{name}/grid.png").read_bytes()
    assert len(set(grids.values())) == len(grids)


def test_the_batch_is_rounding(capsys: Captured):
    for batch in ("1", "4"):
        assert sample("--out", f"by{batch}", "--batch", batch, "--churn", "5") == 0
    for seed in range(4):
        with Image.open(f"by1/00000{seed}.png") as one, Image.open(f"by4/00000{seed}.png") as four:
            assert np.abs(np.asarray(one).astype(int) - np.asarray(four)).max() <= 1


def test_samples_of_another_request_are_not_overwritten(capsys: Captured):
    assert sample("--out", "mine") == 0
    assert sample("--out", "mine") == 0
    assert sample("--out", "mine", "--guidance", "3") == 2
    assert "samples of another request" in capsys.readouterr().err
    assert sample("--out", "mine", "--guidance", "3", "--overwrite") == 0


def test_quiet_says_nothing(capsys: Captured):
    assert sample("--quiet") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert Path(out.strip()).is_dir()


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--skip-policy", "halfwy"], 2, "no skip policy"),
        (["--skip-policy", "halfway:2"], 2, "from 0 to 1"),
        (["--classes", "4"], 2, "no class 4"),
        (["--guidance", "-1"], 2, "0 or more"),
        (["--steps", "1"], 2, "2 to 10,000"),
        (["--churn-min", "3", "--churn-max", "2"], 2, "above"),
        (["--ema", "0.5"], 2, "no EMA of rate 0.5"),
        (["--device", "abacus"], 2, "no device"),
        (["--backend", "abacus"], 2, "no backend"),
        (["--dtype", "float8"], 2, "no dtype"),
        (["nowhere"], 2, "nothing at nowhere"),
        ([".", "--skip-policy", "none"], 2, "not a build"),
    ],
)
def test_requests_that_make_no_sense_write_nothing(capsys: Captured, arguments: list[str], code: int, word: str):
    assert sample(*arguments) == code
    out, err = capsys.readouterr()
    assert word in err
    assert "Traceback" not in err
    assert out == ""
    assert not Path("runs/small/samples").exists()


def test_official_bug_b16_an_unconditional_stack_refuses_before_weights_are_read(project: Path, capsys: Captured):
    run = write_run(project / "classless", spec_text(classes=None))
    weights = run / "checkpoints" / "000000001000" / "ema-0.999.safetensors"
    # the header is whole, the weights are not: reading them would fail in another way
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert sample(str(run)) == 3
    assert "is damaged" in capsys.readouterr().err
    for arguments in (["--guidance", "2"], ["--classes", "3"]):
        assert sample(str(run), *arguments) == 2
        assert "this stack is unconditional" in capsys.readouterr().err


def test_damaged_and_foreign_weights_are_named(project: Path, capsys: Captured):
    run = write_run(project / "damaged")
    weights = run / "checkpoints" / "000000001000" / "ema-0.999.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    assert sample(str(run)) == 3
    assert "ema-0.999.safetensors" in capsys.readouterr().err
    weights.write_bytes(whole)
    other = write_run(project / "other", spec_text(classes=7))
    shutil.rmtree(run / "checkpoints")
    shutil.copytree(other / "checkpoints", run / "checkpoints")
    assert sample(str(run)) == 3
    assert "another spec" in capsys.readouterr().err


def test_latents_are_kept_as_numbers(project: Path, capsys: Captured):
    run = write_run(project / "latent", spec_text(channels=4))
    assert sample(str(run)) == 0
    out, err = capsys.readouterr()
    assert "latents" in err
    assert np.load(Path(out.strip()) / "000002.npy").shape == (4, 16, 8)
