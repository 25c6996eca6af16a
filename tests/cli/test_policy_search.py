"""`legoc policy search` as a user runs it, and what a run says of policies afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from legoc.__main__ import main
from legoc.policies.record import RECORD_NAME, read_record
from legoc.spec import check_text
from legoc_runtime.errors import RunError
from tests.cli.small_run import spec_text, write_run

QUICK = ["--by", "macs", "--bands", "2", "--seeds", "0-1", "--check-seeds", "7", "--steps", "4", "--backend", "eager"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("searched")
    run = write_run(place / "run")
    (place / "small.yaml").write_text(spec_text())
    code = main(["policy", "search", str(run), "--budget", "0.8x", *QUICK, "--write", str(place / "small.yaml")])
    assert code == 0
    return run


def test_the_run_keeps_what_was_measured(searched: Path):
    record = read_record(searched)
    assert record is not None
    assert (record.steps, record.by, record.budget, len(record.bands)) == (4, "macs", 0.8, 2)
    assert set(record.bands[0].errors) == set(record.costs)
    assert record.costs["windows+parts+image"] == 1
    assert record.bands[0].errors["windows+parts+image"] == 0
    assert all(error > 0 for band in record.bands for name, error in band.errors.items() if name.count("+") < 2)
    names = {rolled.name for rolled in record.rolled}
    assert {"searched", "halfway:0.5"} <= names
    assert all(rolled.cost <= 1 for rolled in record.rolled)
    svg = ElementTree.parse(searched / "policy-front.svg").getroot()
    assert svg.tag.endswith("svg")


def test_what_was_found_is_a_policy_of_the_run_and_of_the_spec(searched: Path, capsys: pytest.CaptureFixture[str]):
    record = read_record(searched)
    assert record is not None
    assert record.found, "the weights are random: `halfway` is beaten by whatever errs least on these seeds"
    spec = check_text((searched.parent / "small.yaml").read_text(), "small.yaml").spec
    assert spec is not None
    assert "searched" in spec.policies
    assert main(["timeline", str(searched), "--skip-policy", "searched", "--steps", "4"]) == 0
    out, err = capsys.readouterr()
    assert "policy searched" in out
    assert main(["inspect", str(searched)]) == 0
    assert "late, only_image, searched\n" in capsys.readouterr().out
    assert "measured error" in err
    assert "ema-0.999 after 1,000 images" in err
    where = ["--seeds", "1", "--out", str(searched.parent / "pictures"), "--backend", "eager"]
    assert main(["sample", str(searched), "--skip-policy", "searched", "--steps", "4", *where]) == 0
    assert "measured error" in capsys.readouterr().err


def test_a_policy_that_was_not_rolled_out_has_its_bands_added_up(searched: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["timeline", str(searched), "--skip-policy", "late", "--steps", "40"]) == 0
    assert "added up over noise levels, not rolled out" in capsys.readouterr().err
    # of other guidance nothing was measured
    assert main(["timeline", str(searched), "--skip-policy", "late", "--guidance", "3"]) == 0
    assert "error" not in capsys.readouterr().err


def test_a_second_search_keeps_the_first_ones_policy(searched: Path, capsys: pytest.CaptureFixture[str]):
    more = ["--name", "cheap", "--budget", "0.6", "--switches", "1", "--json"]
    assert main(["policy", "search", str(searched), *QUICK, *more]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["policy_errors_version"] == 1
    assert "searched" in data["found"]
    # a search that finds nothing to leave out takes back what its name meant
    assert main(["policy", "search", str(searched), *QUICK, "--name", "cheap", "--budget", "1"]) == 0
    assert "nothing need be left out" in capsys.readouterr().out
    record = read_record(searched)
    assert record is not None
    assert set(record.found) == {"searched"}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--budget", "2x"], "--budget 2x"),
        (["--budget", "half"], "--budget half"),
        (["--budget", "0.01"], "no configuration is so cheap"),
        (["--by", "money"], "--by money"),
        (["--switches", "9"], "at most 8"),
        (["--check-seeds", "1,9"], "has seeds of --seeds"),
        (["--name", "late"], "has a policy `late` already"),
        (["--name", "halfway"], "cannot be called"),
        (["-o", "front.png"], "not an SVG"),
        (["--write", "nowhere.yaml"], "nowhere.yaml"),
        (["--sampler", "ddim"], "belongs to ddpm"),
        (["--steps", "1"], "2 to 10,000"),
    ],
)
def test_what_makes_no_sense_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], word: str
):
    run = write_run(tmp_path / "run")
    assert main(["policy", "search", str(run), *QUICK, *arguments]) == 2
    assert word in capsys.readouterr().err
    assert not (run / RECORD_NAME).exists()


def test_a_file_of_weights_has_its_policies_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = write_run(tmp_path / "run")
    weights = tmp_path / "small.safetensors"
    weights.write_bytes(next(run.glob("checkpoints/*/ema-0.999.safetensors")).read_bytes())
    assert main(["policy", "search", str(weights), *QUICK, "--budget", "0.8x"]) == 0
    assert (tmp_path / "small.policy-errors.json").is_file()
    assert (tmp_path / "small.policy-front.svg").is_file()
    where = ["--seeds", "1", "--out", str(tmp_path / "pictures"), "--backend", "eager"]
    capsys.readouterr()
    assert main(["sample", str(weights), "--skip-policy", "searched", "--steps", "4", *where]) == 0
    assert "measured error" in capsys.readouterr().err
    assert main(["timeline", str(weights), "--skip-policy", "searched", "--steps", "4"]) == 0
    assert "measured error" in capsys.readouterr().err
    assert main(["cost", str(weights), "--skip-policy", "searched"]) == 0
    assert main(["inspect", str(weights)]) == 0
    assert "late, only_image, searched\n" in capsys.readouterr().out
    # another file in the folder knows nothing of it
    (tmp_path / "other.safetensors").write_bytes(weights.read_bytes())
    other = tmp_path / "other.safetensors"
    assert main(["timeline", str(other), "--skip-policy", "searched"]) == 2
    # and what was found for another stack is not sampled with
    theirs = json.loads((tmp_path / "small.policy-errors.json").read_text()) | {
        "found": {"theirs": {"nose": "sigma > 1"}}
    }
    (tmp_path / "other.policy-errors.json").write_text(json.dumps(theirs))
    capsys.readouterr()
    assert main(["sample", str(other), "--skip-policy", "theirs", *where]) == 2
    assert "policy `theirs` names a brick that this stack does not have: nose" in capsys.readouterr().err


def test_a_checkpoint_and_its_files_are_kept_by_their_run(searched: Path):
    before = read_record(searched)
    assert before is not None
    checkpoint = next(searched.glob("checkpoints/*"))
    for i, place in enumerate((checkpoint, checkpoint / "ema-0.999.safetensors")):
        assert main(["policy", "search", str(place), *QUICK, "--budget", "0.8x", "--name", f"again{i}"]) == 0
    record = read_record(searched)
    assert record is not None
    assert set(record.found) == {*before.found, "again0", "again1"}
    assert {path.suffix for path in checkpoint.iterdir()} == {".json", ".safetensors"}
    assert main(["timeline", str(searched), "--skip-policy", "again1"]) == 0


def test_an_exported_folder_keeps_its_policies(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run, folder = write_run(tmp_path / "run"), tmp_path / "exported"
    assert main(["export", str(run), "-o", str(folder)]) == 0
    assert main(["policy", "search", str(folder), *QUICK, "--budget", "0.8x"]) == 0
    assert (folder / RECORD_NAME).is_file()
    assert main(["timeline", str(folder), "--skip-policy", "searched", "--steps", "4"]) == 0
    assert "measured error" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "[]", '{"policy_errors_version": 1}', '{"policy_errors_version": 9}'])
def test_a_broken_record_is_said(tmp_path: Path, text: str):
    (tmp_path / RECORD_NAME).write_text(text)
    with pytest.raises(RunError):
        read_record(tmp_path)
