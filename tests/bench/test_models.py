"""What is timed is what it says: sampling's own way through the stack, and peers that do the same work."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from legoc.bench import request
from legoc.bench.models import arguments, models, random_store, stack_models, stack_store
from legoc.bench.request import Request, make_request
from legoc.cost import executed_macs
from legoc_runtime.backends.inductor import Inductor
from legoc_runtime.stack import BrickStack
from tests.cli.small_run import spec_text


@pytest.fixture
def request_(tmp_path_factory: pytest.TempPathFactory) -> Request:
    path = tmp_path_factory.mktemp("spec") / "small.yaml"
    path.write_text(spec_text(), encoding="utf-8")
    return make_request(path, backend="eager", batch=3)


@pytest.mark.parametrize(("lack", "dtype"), [(None, "float32"), (None, "bf16"), ("there is no AVX-512", "float32")])
def test_notes_name_the_stack_and_the_peers_whose_blocks_are_our_own(tmp_path, monkeypatch, lack, dtype) -> None:
    monkeypatch.setattr(request, "avx512_lack", lambda: lack)
    monkeypatch.setattr(Inductor, "available", lambda self: None)
    paths = [tmp_path / f"{name}.yaml" for name in ("one", "other")]
    for path in paths:
        path.write_text(spec_text().replace("name: small", f"name: {path.stem}"), encoding="utf-8")
    how = {"backend": "inductor", "device": "cpu", "dtype": dtype}
    found = [note for note in make_request(paths[0], peers=[str(paths[1])], **how).notes if "blocks of" in note]
    said = "ran in legoc's own kernel for AVX-512" if (lack, dtype) == (None, "float32") else "were compiled: "
    said += lack or ("the kernel of our own computes in float32, not bf16" if dtype == "bf16" else "")
    assert found == [f"blocks of windows, parts, image of `{path.stem}` {said}" for path in paths]


def test_every_weight_is_alive(request_: Request) -> None:
    store, words = stack_store(request_)
    assert words == "random, none of them zero"
    assert all((weight != 0).float().mean() > 0.9 for weight in store.weights.values())


def test_the_whole_stack_comes_first_and_the_peer_by_hand_agrees(request_: Request) -> None:
    store, _ = stack_store(request_)
    with torch.no_grad():
        found = {(model.kind, model.configuration): model for model in models(request_, store)}
    ids = request_.manifest.shape.ids
    assert next(iter(found)) == ("stack", ids)
    assert {kind for kind, _ in found} == {"stack", "plain"}
    given = arguments(request_.manifest.shape, 3, request_.device)
    with torch.no_grad():
        by_hand = found["plain", ids].run()
        stack = BrickStack(request_.manifest, store)
        assert isinstance(by_hand, torch.Tensor)
        assert torch.allclose(by_hand, stack(given.x, given.sigma, given.labels), atol=1e-5)


def test_calls_look_their_conditioning_up(request_: Request) -> None:
    manifest = request_.manifest
    store = random_store(manifest.shape, request_.device, torch.float32)
    stack = BrickStack(manifest, store)
    given = arguments(manifest.shape, 3, request_.device)
    with torch.no_grad():
        looked_up = list(stack_models("small", "stack", stack, given, request_.levels))
        computed = list(stack_models("small", "stack", stack, given, request_.levels, tables=False))
        for one, other in zip(looked_up, computed, strict=True):
            first, second = one.run(), other.run()
            assert isinstance(first, torch.Tensor)
            assert isinstance(second, torch.Tensor)
            assert torch.allclose(first, second, atol=1e-5)
            assert one.ahead is not None
            assert one.ahead.levels == len(request_.levels[one.configuration])
            assert one.ahead.run() is not None
            assert other.ahead is None
            assert one.executed_macs < other.executed_macs == executed_macs(manifest.shape, other.configuration)


def test_policies_reach_levels_once_and_in_order(request_: Request) -> None:
    for configuration, levels in request_.levels.items():
        assert configuration
        assert levels == sorted(set(levels), reverse=True)
    fewer = replace(request_, tables=request_.tables[:1])
    assert list(fewer.levels) == [request_.manifest.shape.ids]
    assert len(fewer.levels[request_.manifest.shape.ids]) == 5
