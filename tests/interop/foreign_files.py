"""The reference weights as the files that their authors would publish: state dicts, checkpoints, pickled networks."""

from __future__ import annotations

import argparse
import json
import pickle
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from legoc_runtime.checkpoint import tensorfile
from tests.reference_files import REFERENCE


def reference(name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights by their public names, and everything else, of a file of tests/reference."""
    weights: dict[str, Tensor] = {}
    others: dict[str, Tensor] = {}
    for key, tensor in tensorfile.load(REFERENCE / f"{name}.safetensors").items():
        held = weights if key.startswith("weights/") else others
        held[key.removeprefix("weights/")] = tensor
    return weights, others


def torch_file(path: Path, name: str, *, old: bool = False) -> Path:
    """A training checkpoint as DiT's: raw weights, their average (which is the reference), optimizer and arguments."""
    weights, _ = reference(name)
    half = {key: tensor * 0.5 for key, tensor in weights.items()}
    body = {"model": half, "ema": weights, "opt": {"state": {0: {"step": 3}}}, "args": argparse.Namespace(epochs=3)}
    torch.save(body, path, _use_new_zipfile_serialization=not old)
    return path


def pickled_network(path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `.pkl` of EDM's layout: the preconditioner with the source of its class, the network by the name of its own."""
    weights, _ = reference(name)
    persistence = _module(monkeypatch, "torch_utils.persistence")
    models = _module(monkeypatch, "training.lego_models")
    source = f"open({str(path.parent / 'canary')!r}, 'w')"

    def rebuild(meta: Mapping[str, Any]) -> None:
        raise AssertionError("this runs the source that the file brings")

    rebuild.__module__, rebuild.__name__, rebuild.__qualname__ = (
        "torch_utils.persistence",
        "_reconstruct_persistent_obj",
        "_reconstruct_persistent_obj",
    )
    persistence.__dict__["_reconstruct_persistent_obj"] = rebuild

    class Part(nn.Module):
        pass

    Part.__module__, Part.__qualname__ = "training.lego_models", "Part"
    models.__dict__["Part"] = Part

    class Preconditioned(nn.Module):
        def __reduce__(self) -> Any:
            meta = {"type": "class", "version": 6, "module_src": source, "class_name": "EDMPrecond"}
            return rebuild, ({**meta, "state": {**self.__dict__, "sigma_data": 0.5}},)

    network = Part()
    for key, tensor in weights.items():
        _put(network, key.split("."), tensor, Part)
    whole = Preconditioned()
    whole.model = network
    path.write_bytes(pickle.dumps({"ema": whole, "loss_fn": None, "dataset_kwargs": {"path": "images.zip"}}))
    return path


def _put(network: nn.Module, names: list[str], tensor: Tensor, part: type[nn.Module]) -> None:
    first, *rest = names
    if not rest:
        network.register_parameter(first, nn.Parameter(tensor, requires_grad=False))
        return
    if first not in dict(network.named_children()):
        network.add_module(first, part())
    _put(network.get_submodule(first), rest, tensor, part)


def _module(monkeypatch: pytest.MonkeyPatch, name: str) -> types.ModuleType:
    """An empty module by that name, for as long as the test runs."""
    parent, _, _ = name.partition(".")
    for each in (parent, name):
        monkeypatch.setitem(sys.modules, each, types.ModuleType(each))
    return sys.modules[name]


def diffusers_folder(folder: Path, *, safe: bool = True) -> Path:
    """`dit_tiny` as diffusers would save it: separate query, key and value, and embedders in every block."""
    weights, _ = reference("dit_tiny")
    there = folder / "transformer"
    there.mkdir(parents=True)
    names = {
        "attn.proj": "attn1.to_out.0",
        "mlp.fc1": "ff.net.0.proj",
        "mlp.fc2": "ff.net.2",
        "adaLN_modulation.1": "norm1.linear",
    }
    found: dict[str, Tensor] = {}
    for key, tensor in weights.items():
        name, _, end = key.rpartition(".")
        match name.split("."):
            case ["blocks", i, "attn", "qkv"]:
                for part, third in zip("qkv", tensor.chunk(3), strict=True):
                    found[f"transformer_blocks.{i}.attn1.to_{part}.{end}"] = third.contiguous()
            case ["blocks", i, *rest]:
                found[f"transformer_blocks.{i}.{names['.'.join(rest)]}.{end}"] = tensor
            case ["x_embedder", "proj"]:
                found[f"pos_embed.proj.{end}"] = tensor
            case ["final_layer", *rest]:
                found[f"proj_out_{2 if rest == ['linear'] else 1}.{end}"] = tensor
            case ["t_embedder", _, layer]:
                part = f"timestep_embedder.linear_{1 if layer == '0' else 2}.{end}"
                found |= {f"transformer_blocks.{i}.norm1.emb.{part}": tensor.clone() for i in range(3)}
            case ["y_embedder", _]:
                part = f"class_embedder.embedding_table.{end}"
                found |= {f"transformer_blocks.{i}.norm1.emb.{part}": tensor.clone() for i in range(3)}
            case _:
                assert key == "pos_embed"
    if safe:
        tensorfile.save(there / "diffusion_pytorch_model.safetensors", found, {})
    else:
        torch.save(found, there / "diffusion_pytorch_model.bin")
    config = {
        "_class_name": "DiTTransformer2DModel",
        "num_attention_heads": 4,
        "attention_head_dim": 16,
        "in_channels": 4,
        "out_channels": 8,
        "num_layers": 3,
        "sample_size": 16,
        "patch_size": 2,
        "num_embeds_ada_norm": 10,
    }
    (there / "config.json").write_text(json.dumps(config))
    return folder
