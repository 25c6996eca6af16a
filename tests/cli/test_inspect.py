"""`legoc inspect` as a user runs it: on everything that legoc writes, and on what others write."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from legoc.__main__ import main
from legoc_runtime.contract.native import Environment, NativeIndex, measure
from tests.cli.small_run import spec_text, write_run

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("inspect") / "run")


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A run that a test may damage."""
    return Path(shutil.copytree(whole, tmp_path / "run"))


def checkpoint(run: Path) -> Path:
    return run / "checkpoints" / "000000001000"


def inspected(path: Path, capsys: Captured, code: int = 0) -> dict[str, Any]:
    assert main(["inspect", str(path), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def flip_last_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def test_native_code_is_named_and_held_against_its_index(run: Path, capsys: Captured):
    folder = run / "native" / "aoti"
    folder.mkdir(parents=True)
    (folder / "blocks.pt2").write_bytes(b"code")
    machine = Environment("2.13.0", "Linux x86_64", "cpu", ("avx2",))
    index = NativeIndex("aoti", machine, (measure(folder / "blocks.pt2", "blocks.pt2"),))
    (folder / "index.json").write_text(index.to_json())
    (found,) = inspected(run, capsys)["native"]
    assert (found["backend"], found["device"], found["torch"], found["damage"]) == ("aoti", "cpu", "2.13.0", None)
    assert found["files"] == [{"name": "native/aoti/blocks.pt2", "bytes": 4, "checksum": True}]
    assert main(["inspect", str(run)]) == 0
    assert "backend aoti: compiled for cpu by torch 2.13.0, runs with --trust-native alone" in capsys.readouterr().out
    flip_last_byte(folder / "blocks.pt2")
    assert main(["inspect", str(run), "--no-checksums"]) == 0
    assert main(["inspect", str(run)]) == 3
    again = f"`legoc build {run} --backend aoti` makes it again"
    assert f"blocks.pt2 is not the file that was built; {again}" in capsys.readouterr().err
    (folder / "index.json").write_text("{}")
    assert main(["inspect", str(run)]) == 3
    assert again in capsys.readouterr().err


def test_a_spec(tmp_path: Path, capsys: Captured):
    path = tmp_path / "small.yaml"
    path.write_text(spec_text())
    found = inspected(path, capsys)
    assert (found["inspect_version"], found["kind"]) == (1, "spec")
    assert found["stack"]["configurations"] == ["windows+parts+image", "windows+parts", "image"]
    assert found["stack"]["policies"] == ["none", "halfway", "late", "only_image"]
    assert set(found["stack"]["hashes"]) == {"architecture", "training", "sampling"}
    assert found["files"] == [{"name": "small.yaml", "bytes": path.stat().st_size, "checksum": None}]


def test_a_run_says_what_it_was_trained_on_and_that_it_is_whole(run: Path, capsys: Captured):
    found = inspected(run, capsys)
    assert found["kind"] == "run"
    (state,) = found["checkpoints"]
    assert (state["images"], state["weights"], state["damage"]) == (1000, ["weights", "ema-0.999"], None)
    assert all(file["checksum"] for file in state["files"])
    assert {"manifest.json", "spec.yaml", "modules/training.py"} <= {file["name"] for file in found["files"]}
    assert found["stack"]["parameters"] * 4 < next(file["bytes"] for file in state["files"])


def test_a_build_has_no_checkpoint(run: Path, capsys: Captured):
    shutil.rmtree(run / "checkpoints")
    assert inspected(run, capsys)["kind"] == "build"
    assert main(["inspect", str(run)]) == 0
    out = capsys.readouterr().out
    assert "a build\n" in out
    assert "trained" not in out


def edit_manifest(directory: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = directory / "manifest.json"
    body = json.loads(path.read_text())
    change(body)
    path.write_text(json.dumps(body))


def widen(body: dict[str, Any]) -> None:
    body["shape"]["bricks"][2]["width"] = 64


def change_program(body: dict[str, Any]) -> None:
    body["programs"][0]["ops"].pop()


def forget_training(body: dict[str, Any]) -> None:
    body["programs"] = [program for program in body["programs"] if program["name"] != "training"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (widen, "the manifest and the spec disagree: shape.bricks[2].width is 64 instead of 16"),
        (change_program, "program `windows+parts+image` is not what the spec compiles to"),
        (forget_training, "program `training` is missing"),
    ],
)
def test_a_manifest_that_is_not_what_its_spec_says(
    run: Path, capsys: Captured, change: Callable[[dict[str, Any]], None], words: str
):
    edit_manifest(run, change)
    for path in (run, checkpoint(run)):
        assert any(words in fault for fault in inspected(path, capsys, code=3)["faults"])
    capsys.readouterr()
    assert main(["inspect", str(run)]) == 3
    out, err = capsys.readouterr()
    assert words in out
    assert words in err
    assert "legoc build" in err


@pytest.mark.parametrize("command", [["cost"], ["timeline"], ["graph"], ["estimate", "--gpu", "h100"]])
def test_a_changed_manifest_is_not_priced_or_drawn(run: Path, capsys: Captured, command: list[str]):
    assert main([*command, str(run)]) == 0
    edit_manifest(run, widen)
    capsys.readouterr()
    assert main([*command, str(run)]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "shape.bricks[2].width is 64 instead of 16" in err


def test_a_build_of_another_version_is_held_to_what_it_says(run: Path, capsys: Captured):
    edit_manifest(run, lambda body: body.update(legoc_version="0.0.9"))
    assert inspected(run, capsys)["faults"] == []


def test_modules_that_are_missing_or_foreign(run: Path, capsys: Captured):
    (run / "modules" / "training.py").rename(run / "modules" / "other.py")
    faults = inspected(run, capsys, code=3)["faults"]
    assert faults == [
        f"{run / 'modules' / 'training.py'} is missing",
        f"{run / 'modules' / 'other.py'} is of no program of the build",
    ]
    shutil.rmtree(run / "modules")
    assert inspected(run, capsys)["faults"] == []  # a run that was trained without the compiler has none
    shutil.rmtree(run / "checkpoints")
    assert len(inspected(run, capsys, code=3)["faults"]) == 4


def test_spec_build_and_weights_agree_on_the_hashes(run: Path, capsys: Captured):
    paths = (run / "spec.yaml", run, checkpoint(run), checkpoint(run) / "weights.safetensors")
    hashes = [
        (found := inspected(path, capsys))["stack"]["hashes"] | {"spec": found["stack"]["spec_hash"]} for path in paths
    ]
    assert all(one == hashes[0] for one in hashes)


def test_damage_is_shown_and_ends_with_3(run: Path, capsys: Captured):
    flip_last_byte(checkpoint(run) / "ema-0.999.safetensors")
    assert main(["inspect", str(run)]) == 3
    out, err = capsys.readouterr()
    assert "DAMAGED" in out
    assert "CHECKSUM DIFFERS" in out
    assert out.count("checksum holds") == 1
    assert "ema-0.999.safetensors is damaged" in err
    assert main(["inspect", str(run), "--no-checksums"]) == 0
    assert "checksums not compared" in capsys.readouterr().out
    assert main(["inspect", str(checkpoint(run) / "ema-0.999.safetensors")]) == 3
    (checkpoint(run) / "weights.safetensors").unlink()
    assert main(["inspect", str(run), "--no-checksums"]) == 3
    assert "weights.safetensors is missing" in capsys.readouterr().err


def test_a_damaged_state_does_not_hide_the_rest(run: Path, capsys: Captured):
    state = checkpoint(run) / "state.json"
    state.write_text(state.read_text().replace("1000", "2000"))
    found = inspected(run, capsys, code=3)
    assert found["stack"]["name"] == "small"
    assert "does not have its checksum" in found["checkpoints"][0]["damage"]


def test_weights_that_do_not_fit_the_spec_in_their_header(run: Path, capsys: Captured):
    from safetensors import safe_open

    path = checkpoint(run) / "weights.safetensors"
    with safe_open(path, framework="np") as file:
        header = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    tensors["extra"] = tensors.pop("bricks.image.embed.bias")
    alone = run.parent / "alone.safetensors"
    save_file(tensors, alone, header)
    found = inspected(alone, capsys, code=3)
    assert found["tensors"]["misfits"] == ["`bricks.image.embed.bias` is missing", "`extra` is of no weight"]
    assert found["tensors"]["images"] == 1000
    assert found["files"][0]["checksum"] is None


def test_tensors_of_others_are_described(tmp_path: Path, capsys: Captured):
    path = tmp_path / "other.safetensors"
    save_file({"a": np.zeros((3, 4), np.float32), "b": np.zeros(5, np.int64)}, path, {"format": "pt"})
    found = inspected(path, capsys)
    assert (found["kind"], found["stack"]) == ("tensors", None)
    assert found["tensors"]["dtypes"] == {"F32": 12, "I64": 5}
    assert found["tensors"]["metadata"] == ["format"]


def test_safetensors_under_another_name_are_read(run: Path, capsys: Captured):
    path = run.parent / "pytorch_model.bin"
    shutil.copyfile(checkpoint(run) / "weights.safetensors", path)
    assert inspected(path, capsys)["kind"] == "weights"


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("weights.pt", b"", "legoc import --check-only"),
        ("weights", b"\x80\x04\x95abc", "legoc import --check-only"),
        ("archive", b"PK\x03\x04abc", "legoc import --check-only"),
        ("manifest.json", b"{}", "inspect its directory"),
    ],
)
def test_what_legoc_does_not_read_is_named(name: str, content: bytes, word: str, tmp_path: Path, capsys: Captured):
    path = tmp_path / name
    path.write_bytes(content)
    assert main(["inspect", str(path)]) == 2
    assert word in " ".join(capsys.readouterr().err.split())


def test_a_file_that_is_cut_short_or_a_pickle_in_disguise(run: Path, capsys: Captured):
    path = checkpoint(run) / "weights.safetensors"
    data = path.read_bytes()
    for content, word in ((data[:-9], "is damaged"), (b"\x80\x04\x95" + bytes(99), "is a pickle"), (b"", "is damaged")):
        path.write_bytes(content)
        assert main(["inspect", str(path)]) == 3
        assert word in capsys.readouterr().err


def test_a_run_in_stages_is_whole_and_has_a_cost(tmp_path: Path, capsys: Captured):
    """Its manifest holds programs that its spec, as it is described, does not."""
    stages = "stages: [{train: [parts], images: 64}, {train: [windows, parts, image]}]"
    text = spec_text() + f"train: {{images: 640, {stages}, drop: {{policy: late, rate: 0.5}}}}\n"
    staged = write_run(tmp_path / "staged", text)
    found = inspected(staged, capsys)
    assert found["faults"] == []
    assert found["stack"]["training_programs"] == [
        "training",
        "training.windows-frozen+parts",
        "training.windows+parts",
    ]
    assert {f"{name}.py" for name in found["stack"]["training_programs"]} <= {
        path.name for path in (staged / "modules").iterdir()
    }
    assert main(["cost", str(staged)]) == 0
    mean = "(mean over its stages and steps that leave out what `late` does: 3 x a forward of what trains, 1 x of what"
    assert mean in capsys.readouterr().out
    manifest = staged / "manifest.json"
    data = json.loads(manifest.read_text())
    data["variants"].pop()
    manifest.write_text(json.dumps(data))
    assert "programs of its stages" in inspected(staged, capsys, code=3)["faults"][0]


def test_places_without_anything(tmp_path: Path, capsys: Captured):
    (tmp_path / "samples.json").write_text("{}")
    for path, word in ((tmp_path, "samples.json"), (tmp_path / "none", "there is nothing at")):
        assert main(["inspect", str(path)]) == 2
        assert word in capsys.readouterr().err


def test_it_needs_no_torch(run: Path):
    code = (
        "import sys; sys.modules['torch'] = None\n"  # any import of torch now fails
        "from legoc.__main__ import main\n"
        f"paths = [{str(run)!r}, {str(checkpoint(run) / 'weights.safetensors')!r}]\n"
        "sys.exit(max(main(['inspect', path]) for path in paths))"
    )
    environment = {"PATH": "", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
