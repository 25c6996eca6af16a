"""Inception's door: what is asked of torch-fidelity, and what is said where something is missing."""

from __future__ import annotations

import hashlib
import pickle
import sys
import types
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.evaluation import inception
from legoc_runtime.evaluation.inception import load_inception

CPU = torch.device("cpu")


class StandIn(nn.Module):
    """torch-fidelity 0.4.0's class as far as it is used: its arguments, the name of a branch, the order of outputs."""

    def __init__(self, name: str, features_list: list[str], feature_extractor_weights_path: str | None = None) -> None:
        super().__init__()
        assert features_list == ["2048", "logits_unbiased"]
        assert feature_extractor_weights_path is not None, "None would download"
        self.Mixed_6d = nn.Module()
        self.Mixed_6d.add_module("branch1x1", nn.Conv2d(3, 9, 1))
        # torch-fidelity asks for a whole pickle, code and all
        weights = torch.load(feature_extractor_weights_path, weights_only=False)
        self.get_submodule("Mixed_6d.branch1x1").load_state_dict(weights)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        assert x.dtype == torch.uint8
        plane = self.get_submodule("Mixed_6d.branch1x1")(x.float())
        return plane.mean(dim=(2, 3)).repeat(1, 228)[:, :2048], plane.sum(dim=(2, 3))


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("torch_fidelity")
    module.__dict__.update(FeatureExtractorInceptionV3=StandIn, __version__="0.4.0")
    monkeypatch.setitem(sys.modules, "torch_fidelity", module)


def published(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Take a file for the published one."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(inception, "WEIGHTS_SHA256", digest[:8])
    return path


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]
    torch.save(nn.Conv2d(3, 9, 1).state_dict(), tmp_path / "weights.pth")
    return published(tmp_path / "weights.pth", monkeypatch)


@pytest.mark.usefixtures("package")
def test_spatial_features_are_the_first_seven_channels_channels_last(weights: Path):
    extractor = load_inception(weights, CPU)
    images = torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = extractor(images)
    plane: Tensor = extractor.network.get_submodule("Mixed_6d.branch1x1")(images.float())
    assert found.spatial is not None
    assert torch.equal(found.spatial.view(2, 4, 5, 7), plane[:, :7].permute(0, 2, 3, 1))
    assert found.pooled.shape == (2, 2048)
    assert extractor.fingerprint.endswith("torch-fidelity 0.4.0")


@pytest.mark.usefixtures("package")
def test_a_pickle_in_the_weights_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "ran",)  # type: ignore[return-value]

    (tmp_path / "bad.pth").write_bytes(pickle.dumps(Malicious()))
    torch.save({"weight": Malicious()}, tmp_path / "worse.pth")
    for name in ("bad.pth", "worse.pth"):
        with pytest.raises(RunError, match="torch-fidelity cannot read"):
            load_inception(published(tmp_path / name, monkeypatch), CPU)
    assert not (tmp_path / "ran").exists()


def test_what_is_missing_is_named(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UsageError, match="there are no weights at") as error:
        load_inception(tmp_path / "none.pth", CPU)
    assert "--features emoji" in (error.value.help or "")
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(UsageError, match="torch-fidelity cannot be imported"):
        load_inception(weights, CPU)


def test_other_weights_are_refused(tmp_path: Path):
    (tmp_path / "other.pth").write_bytes(b"other")
    with pytest.raises(RunError, match="is not the published"):
        load_inception(tmp_path / "other.pth", CPU)
