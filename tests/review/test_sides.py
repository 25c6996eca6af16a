"""What can stand on a side, and what cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import save_file

from legoc.driver import build, spec_hash
from legoc.review.request import compare_request
from legoc.review.sides import Side, Unreadable, read_side
from legoc.spec import resolved_yaml
from legoc_runtime.store import WeightStore
from tests.review.gallery import BASE, ONE, resolved


def checkpoint(path: Path, text: str = ONE, *, of: str | None = None) -> Path:
    """A file of weights with a spec in its header; `of` is the spec whose tensors it really has."""
    spec = resolved_yaml(resolved(text))
    tensors = {key: weight.detach() for key, weight in WeightStore(resolved(of or text).shape).weights.items()}
    header = {"legoc.spec": spec, "legoc.spec_hash": spec_hash(spec), "legoc.images": "8", "legoc.kind": "weights"}
    save_file(tensors, path, header)
    return path


def why(side: Side | Unreadable) -> str:
    assert isinstance(side, Unreadable)
    return side.diagnostics[0].message


def test_a_checkpoint_against_a_spec(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(ONE.replace("depth: 1", "depth: 2"), encoding="utf-8")
    weights = checkpoint(tmp_path / "weights.safetensors")
    report = compare_request([str(weights), str(tmp_path / "one.yaml")])
    assert [verdict.impact for verdict in report.reviews[0].verdicts] == ["resumable"]
    folder = tmp_path / "run" / "checkpoints" / "000000000008"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text("{}", encoding="utf-8")
    assert "no file of weights" in why(read_side(str(folder)))
    checkpoint(folder / "ema-0.99.safetensors")
    assert isinstance(read_side(str(folder)), Side)


def test_a_build_against_a_spec(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(BASE, encoding="utf-8")
    built = build(tmp_path / "small.yaml", tmp_path / "built")
    assert compare_request([str(built), str(tmp_path / "small.yaml")]).unchanged == 1
    (built / "spec.yaml").write_text(BASE, encoding="utf-8")
    assert "was changed after the build" in why(read_side(str(built)))
    (built / "spec.yaml").unlink()
    assert "cannot be read" in why(read_side(str(built)))
    (built / "manifest.json").write_text('{"manifest_version": 99}', encoding="utf-8")
    assert "manifest version 99" in why(read_side(str(built)))


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    assert "no such file" in why(read_side(str(tmp_path / "none.yaml")))
    assert "no build, no run" in why(read_side(str(tmp_path)))
    lying = checkpoint(tmp_path / "lying.safetensors", of=ONE.replace("depth: 1", "depth: 2"))
    assert "its tensors do not fit the spec in its header" in why(read_side(str(lying)))
    foreign = tmp_path / "foreign.safetensors"
    save_file({}, foreign)
    assert "its header has no spec" in why(read_side(str(foreign)))
    for data in (b"", b"\x80\x04", (2**40).to_bytes(8, "little") + b"{}", (4).to_bytes(8, "little") + b"{x}}"):
        foreign.write_bytes(data)
        assert "damaged" in why(read_side(str(foreign))), data
    foreign.write_bytes((2).to_bytes(8, "little") + b"[]")
    assert "no spec" in why(read_side(str(foreign)))


@pytest.mark.parametrize("text", ["legoc: 1\n", "legoc: 1\nextends: nowhere.yaml\n"])
def test_a_spec_that_does_not_check_keeps_its_diagnostics(tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.yaml").write_text(text, encoding="utf-8")
    side = read_side(str(tmp_path / "broken.yaml"))
    assert isinstance(side, Unreadable)
    assert json.dumps([diagnostic.code for diagnostic in side.diagnostics])
