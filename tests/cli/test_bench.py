"""`legoc bench` as a user runs it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from legoc.__main__ import main
from tests.cli.small_run import spec_text, write_run

FAST = ["--backend", "eager", "--repeats", "2", "--batch", "2"]


@pytest.fixture(autouse=True)
def one_call_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is timed here is not the point."""
    monkeypatch.setattr("legoc.bench.measure.LEAST_SAMPLE_S", 0.0)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(spec_text(), encoding="utf-8")
    return path


def test_a_record_on_stdout_and_progress_on_stderr(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(spec), *FAST]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("# small beside its peers\n")
    assert f"`legoc bench {spec} --batch 2 --dtype float32 --device auto --backend eager --repeats 2`" in captured.out
    for row in ("small: windows+parts+image", "small: image", "plain: windows+parts+image", "late", "halfway"):
        assert f"| {row} |" in captured.out
    assert "5 noise levels and 9 evaluations, 2 rows an image (guidance)" in captured.out
    assert "round 2 of 2" in captured.err


def test_files_are_written_once(spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "record"
    command = ["bench", str(spec), *FAST, "--policy", "late", "--guidance", "1", "--steps", "7", "-q", "-o", str(out)]
    assert main(command) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (f"{out}\n", "")
    data = json.loads((out / "bench.json").read_text(encoding="utf-8"))
    assert [policy["policy"] for policy in data["policies"]] == ["none", "late"]
    assert (data["steps"], data["evaluations"], data["guided"]) == (7, 13, False)
    assert sum(row["rows"] for row in data["policies"][1]["rows"]) == 13
    assert all(len(one["seconds"]) == 2 and one["median_s"] > 0 for one in data["timed"])
    ElementTree.fromstring((out / "bench.svg").read_text(encoding="utf-8"))
    assert main(command) == 2
    assert "exists" in capsys.readouterr().err


def test_peers_are_timed_in_the_same_run(spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "dit.yaml"
    text = "legoc: 1\nname: dit\ngrid: {height: 16, width: 8, channels: 3}\nconditioning: {classes: 4}\n"
    text += "diffusion: {kind: ddpm, variance: learned_range}\nsample: {sampler: ddpm, steps: 10}\n"
    text += "bricks:\n  - {id: dit, size: image, receptive_field: 4, depth: 1, width: 16, heads: 2}\n"
    other.write_text(text, encoding="utf-8")
    assert main(["bench", str(spec), *FAST, "--peer", str(other), "--json"]) == 0
    captured = capsys.readouterr()
    data = json.loads(captured.out)
    assert "DDPM" not in captured.err
    assert {one["model"] for one in data["timed"]} == {"small", "dit"}
    assert set(data["policies"][0]["time_saved_against"]) == {"dit"}


def test_a_run_is_timed_with_its_own_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run")
    assert main(["bench", str(run), *FAST, "--policy", "late", "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["weights"] == "ema-0.999 after 1,000 images"


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_half_precision(dtype: str, spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(spec), *FAST, "--dtype", dtype, "--policy", "halfway", "--json", "-q"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["dtype"] == dtype
    assert data["weight_bytes"] == 2 * data["parameters"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--peer", "no_such.yaml"], "there is no peer `no_such.yaml`"),
        (["--peer", "SPEC"], "two of what is to be timed are called `small`"),
        (["--policy", "nope"], "there is no skip policy `nope`"),
        (["--dtype", "int8"], "there is no dtype `int8`"),
        (["--backend", "magic"], "there is no backend `magic`"),
        (["--device", "abacus"], "there is no device `abacus`"),
        (["--guidance", "-1"], "guidance must be 0 or more"),
        (["--steps", "1"], "a schedule needs 2 to"),
        (["--batch", "0"], "--batch"),
        (["--repeats", "0"], "--repeats"),
        (["--cuda-graphs", "--device", "cpu"], "CUDA graphs need a CUDA device"),
        (["--fp8", "large"], "no brick is as wide as 1024"),
        (["--fp8", "nope"], "there is no brick `nope`"),
        (["--backend", "aoti", "--trust-native"], "backend `aoti` runs the native code of a build, and none was given"),
        (["--json", "-o", "somewhere"], "-o writes bench.json already"),
        (["--peer", "diffusers-dit"], ""),  # no DiT of that width, or no diffusers: refused either way
    ],
)
def test_bad_requests_exit_2_before_anything_is_timed(
    arguments: list[str], message: str, spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(spec), *(str(spec) if word == "SPEC" else word for word in arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert "round" not in captured.err


def test_guidance_needs_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plain.yaml"
    path.write_text(spec_text(classes=None), encoding="utf-8")
    assert main(["bench", str(path), *FAST, "--guidance", "2"]) == 2
    assert "has no classes, so guidance has nothing to guide by" in capsys.readouterr().err


def test_an_output_folder_that_is_a_file_is_refused(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(spec), *FAST, "-o", str(spec)]) == 2
    assert "is not a directory" in capsys.readouterr().err
