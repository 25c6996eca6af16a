"""Three hashes of a spec: which weights it has, how they are trained, how they are sampled.

Each is the SHA-256 of a canonical JSON of the resolved values. Comments, key order, anchors, where files lie, and
whether a value was written or is the default do not count. Neither do `name` and `description`: they change no number.

takes: StackSpec
gives: SpecHashes
may import: `legoc.spec`, `legoc_runtime.contract`; never torch
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from legoc.spec.resolved import StackSpec
from legoc_runtime.contract import codec, predicate
from legoc_runtime.contract.predicate import Expr

HASH_VERSION = 1

TRAINING_OF_BRICK = ("train_patches", "loss_weight")
TRAINING_OF_DIFFUSION = ("p_mean", "p_std")
SAMPLING_OF_DIFFUSION = ("sigma_min", "sigma_max", "rho")
"""Fields of the shape that weights do not depend on. Whatever is not listed counts as architecture."""

_SPLIT = frozenset(
    {"shape", "label_dropout", "default_skips", "policies", "data_path", "data_resize", "train", "sample"}
    | {"name", "description", "spans"}
)
"""Fields of a spec that are split below, or that no hash is of."""

BOOKKEEPING = (
    "ema_snapshot_images",
    "snapshot_images",
    "keep",
    "keep_every_images",
    "log_images",
    "on_explosion",
    "preview_images",
    "preview_seeds",
    "accumulate",
    "checkpoint_activations",
    "sharding",
)
"""Training settings that change what is written, or by rounding only what is learned."""

ROUNDING = ("batch",)
"""Sampling settings that move pictures by rounding only."""


@dataclass(frozen=True)
class SpecHashes:
    """SHA-256 digests, each 64 hexadecimal digits.

    Attributes:
        architecture: what decides the names, shapes and meaning of the weights.
        training: what decides which values they are trained to, beside the architecture.
        sampling: what decides the pictures, beside the weights.
    """

    architecture: str
    training: str
    sampling: str


def spec_hashes(spec: StackSpec) -> SpecHashes:
    """The three hashes of a spec."""
    parts = hashed_values(spec)
    return SpecHashes(**{name: _digest(name, values) for name, values in parts.items()})


def hashed_values(spec: StackSpec) -> dict[str, dict[str, Any]]:
    """What each hash is of: the resolved values, split by what they decide."""
    shape: dict[str, Any] = codec.encode_fields(spec.shape)
    del shape["pretrained"]  # what files say: the spec says which, and a build has their checksums
    bricks: list[dict[str, Any]] = shape["bricks"]
    diffusion: dict[str, Any] = shape["diffusion"]
    train: dict[str, Any] = codec.encode_fields(spec.train)
    if spec.train.start_from is None:
        del train["start_from"]  # what hashes were of before there was the key
    sample: dict[str, Any] = codec.encode_fields(spec.sample)
    training = {
        "bricks": {brick["id"]: _taken(brick, TRAINING_OF_BRICK) for brick in bricks},
        "diffusion": _taken(diffusion, TRAINING_OF_DIFFUSION),
        "label_dropout": spec.label_dropout,
        "data": spec.data_path,
        "resize": spec.data_resize,
        "settings": {key: value for key, value in train.items() if key not in BOOKKEEPING},
    }
    sampling = {
        "diffusion": _taken(diffusion, SAMPLING_OF_DIFFUSION),
        "default": _predicates(spec.default_skips.items()),
        "policies": {name: _predicates(policy.skips) for name, policy in spec.policies.items()},
        "settings": {key: value for key, value in sample.items() if key not in ROUNDING},
    }
    others = {field.name: codec.encode(getattr(spec, field.name)) for field in fields(spec) if field.name not in _SPLIT}
    for id, settings in others["pretrained"].items():
        for key in ("heads", "noise_scale"):
            if settings[key] is None:
                del settings[key]  # what hashes were of before there was the key
        if "noise_scale" in settings:
            settings["place"] = spec.ids.index(id)
    return {"architecture": {**shape, **others}, "training": training, "sampling": sampling}


def _predicates(skips: Iterable[tuple[str, Expr]]) -> dict[str, str]:
    return {brick: predicate.text(tree) for brick, tree in skips}


def _taken(values: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """The named fields, which leave `values`."""
    return {key: values.pop(key) for key in keys if key in values}


def _digest(name: str, values: dict[str, Any]) -> str:
    body = {"hash": HASH_VERSION, "of": name, "values": values}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
