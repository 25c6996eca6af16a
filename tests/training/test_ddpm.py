"""Training on DDPM's chain, by every brick with a variance of its own."""

from __future__ import annotations

from pathlib import Path

from legoc_runtime.checkpoint.tensorfile import load
from tests.training.test_resume import assert_same_tensors, lines, stop_after
from tests.training.tiny import tiny_build, train_tiny


def test_a_learned_variance_stops_and_continues_exactly(tmp_path: Path) -> None:
    """Timesteps are drawn by position as noise levels are, and every brick's variance learns."""
    diffusion = "diffusion: {kind: ddpm, variance: learned_range}\nbrick_defaults:"
    build = tiny_build(diffusion=("brick_defaults:", diffusion))
    straight, run = tmp_path / "straight", tmp_path / "run"
    assert train_tiny(straight, build).finished
    assert not train_tiny(run, build, stop=stop_after(3)).finished
    assert train_tiny(run, build).finished
    last = Path("checkpoints/000000000032")
    assert_same_tensors(straight / last, run / last)
    assert lines(run) == lines(straight)
    weights = load(run / last / "weights.safetensors")
    for brick in ("small", "parts", "whole"):
        assert (weights[f"bricks.{brick}.final.linear.bias"].reshape(-1, 6) != 0).all()
