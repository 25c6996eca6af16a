"""What a change of each key does, by key. What depends on more than the key is in `classify.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Impact = Literal["cosmetic", "sampling", "training", "resumable", "meaning", "breaks"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a change of a key does.

    Attributes:
        impact: its class; for a key that shapes tensors, `breaks`.
        reason: one sentence.
        tensors: pattern of the keys of the tensors that it shapes, `*` for the brick's id; None where it shapes none.
        otherwise: the reason where it breaks none of them after all.
    """

    impact: Impact
    reason: str
    tensors: str | None = None
    otherwise: str | None = None


_CANVAS = Rule("sampling", "how a canvas is put together from windows of the grid")
_SCHEDULE = Rule("sampling", "noise levels that are sampled at are no part of the weights")
_SAMPLING = Rule("sampling", "how pictures are made from the weights")
_TRAINING = Rule("training", "how weights are trained; those that are there load and compute the same")
_NOISE = Rule("training", "which noise levels training draws")
_ROUNDING = Rule("cosmetic", "how a step is computed; it moves weights by rounding only")
_RECORD = Rule("cosmetic", "how often training writes something down")

_BRICK = r"bricks\.*\."
_ANY = r"bricks\.[^.]+\."
_ENDS = r"(embed\.weight|final\.linear\.(weight|bias))"

RULES: Mapping[str, Rule] = {
    "name": Rule("cosmetic", "names the stack, its builds and its runs; changes no number"),
    "description": Rule("cosmetic", "words for people"),
    "grid": Rule("meaning", "no weight depends on the grid, but windows, positions and coordinates do"),
    "grid.channels": Rule("breaks", "every token has other channels in and out", _ANY + _ENDS),
    "conditioning.classes": Rule("breaks", "the label embedding has a row a class", r"conditioning\.label\..*"),
    "conditioning.label_dropout": Rule("training", "how often training leaves the label out"),
    "conditioning.width": Rule(
        "breaks",
        "the conditioning vector has other features (where it is not written, those of the widest brick)",
        r"(conditioning\..*|bricks\.[^.]+\.(blocks\.\d+|final)\.adaln\.weight)",
    ),
    "diffusion.kind": Rule("meaning", "the output is scaled and read by the formulas of another diffusion"),
    "diffusion.sigma_data": Rule("meaning", "preconditioning scales input and output by it"),
    "diffusion.sigma_min": _SCHEDULE,
    "diffusion.sigma_max": _SCHEDULE,
    "diffusion.rho": _SCHEDULE,
    "diffusion.p_mean": _NOISE,
    "diffusion.p_std": _NOISE,
    "diffusion.steps": Rule("meaning", "a timestep stands for another noise level"),
    "diffusion.beta_start": Rule("meaning", "a timestep stands for another noise level"),
    "diffusion.beta_end": Rule("meaning", "a timestep stands for another noise level"),
    "diffusion.variance": Rule(
        "breaks", "a learned variance takes output channels of its own", _ANY + r"final\.linear\.(weight|bias)"
    ),
    "carry": Rule("meaning", "a brick reads the estimate from below in another form than it was trained to"),
    "compat.coordinates": Rule(
        "breaks",
        "coordinate channels are part of every token",
        _ANY + r"embed\.weight",
        "the columns of the embedding that read rows and columns of pixels change places",
    ),
    "compat.label_embedding": Rule(
        "breaks", "a table has a row for the null label, a linear layer a bias", r"conditioning\.label\..*"
    ),
    "compat.time_scale": Rule("meaning", "the time embedding reads the noise level on another scale"),
    "data.path": Rule("training", "what is trained on"),
    "data.resize": Rule("training", "how images of other sizes come to the grid"),
    "train.batch": _TRAINING,
    "train.images": _TRAINING,
    "train.precision": Rule("training", "what training computes in; weights are float32 whatever it is"),
    "train.accumulate": _ROUNDING,
    "train.checkpoint_activations": _ROUNDING,
    "train.sharding": _ROUNDING,
    "train.optimizer.lr": _TRAINING,
    "train.optimizer.betas": _TRAINING,
    "train.optimizer.weight_decay": _TRAINING,
    "train.warmup_images": _TRAINING,
    "train.schedule": _TRAINING,
    "train.decay_images": _TRAINING,
    "train.clip_norm": _TRAINING,
    "train.ema": Rule("training", "which averages of the weights training keeps"),
    "train.ema_profiles": Rule("training", "which averages of the weights training keeps"),
    "train.ema_snapshot_images": _RECORD,
    "train.patches": Rule("training", "whether the windows that bricks train on lie inside each other's"),
    "train.held_out": Rule("training", "which images are trained on, and which measured on"),
    "train.loss_weighting": Rule("training", "how much an error counts at its noise level"),
    "train.drop": Rule("training", "which bricks training leaves out, how often, and at which noise levels"),
    "train.stages": Rule("training", "which bricks train when"),
    "train.fill": Rule("training", "what training puts for windows that a brick did not run"),
    "train.gradient": Rule("training", "whether a brick's loss reaches the bricks below"),
    "train.start_from": Rule("training", "which weights a run begins with"),
    "train.flip": _TRAINING,
    "train.seed": _TRAINING,
    "train.snapshot_images": _RECORD,
    "train.keep": Rule("cosmetic", "which checkpoints of a run are kept"),
    "train.keep_every_images": Rule("cosmetic", "which checkpoints of a run are kept"),
    "train.log_images": _RECORD,
    "train.on_explosion": Rule("cosmetic", "whether a loss that explodes ends the run"),
    "train.preview_images": _RECORD,
    "train.preview_seeds": Rule("cosmetic", "which pictures training shows"),
    "sample.sampler": _SAMPLING,
    "sample.steps": _SCHEDULE,
    "sample.guidance": _SAMPLING,
    "sample.guidance_channels": _SAMPLING,
    "sample.guidance_interval": _SAMPLING,
    "sample.churn": _SAMPLING,
    "sample.churn_min": _SAMPLING,
    "sample.churn_max": _SAMPLING,
    "sample.churn_noise": _SAMPLING,
    "sample.eta": _SAMPLING,
    "sample.skip_policy": Rule("sampling", "which skip policy pictures are made with"),
    "sample.seeds": Rule("sampling", "which pictures are made"),
    "sample.classes": Rule("sampling", "which pictures are made"),
    "sample.batch": Rule("cosmetic", "how many pictures at once; it moves them by rounding only"),
    "sample.size": Rule("sampling", "how large pictures are; weights are of windows of the grid"),
    "sample.stride": _CANVAS,
    "sample.canvas": _CANVAS,
    "sample.wrap": _CANVAS,
    "sample.regions": _CANVAS,
    "sample.ema": Rule("sampling", "which average of the weights pictures are made with"),
    "sample.decoder": Rule("sampling", "which VAE makes pictures of sampled latents"),
    "sample.decode": Rule("sampling", "whether large latents are decoded in tiles"),
    "bricks.*.size": Rule("meaning", "tokens attend within other windows, and positions count from other corners"),
    "bricks.*.offset": Rule("meaning", "windows start elsewhere"),
    "bricks.*.receptive_field": Rule("breaks", "a token has other pixels", _BRICK + _ENDS),
    "bricks.*.depth": Rule("resumable", "the brick has other blocks"),
    "bricks.*.width": Rule("breaks", "a token has other features", _BRICK + ".*"),
    "bricks.*.heads": Rule(
        "meaning", "the features of queries, keys and values are shared out among heads differently"
    ),
    "bricks.*.mlp_ratio": Rule("breaks", "the MLP has other hidden features", _BRICK + r"blocks\.\d+\.mlp\..*"),
    "bricks.*.train_patches": Rule("training", "which share of its windows a training step runs"),
    "bricks.*.loss_weight": Rule("training", "how much the brick's own loss counts"),
    "bricks.*.pretrained.kind": Rule("meaning", "another model stands for the brick"),
    "bricks.*.pretrained.path": Rule("meaning", "another model stands for the brick"),
    "bricks.*.pretrained.name": Rule("meaning", "another model stands for the brick"),
    "bricks.*.pretrained.heads": Rule("meaning", "the model's features are shared out among heads differently"),
    "bricks.*.pretrained.noise_scale": Rule(
        "meaning", "the model begins from the estimate below at another noise level"
    ),
    "bricks.*.pretrained.frozen": Rule(
        "resumable", "checkpoints hold the model's weights from now on, which begin as its files say"
    ),
}
"""Key -> rule. A key that is not here cannot be compared; a test holds it against the fields of a spec."""
