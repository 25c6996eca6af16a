"""CUDA graphs, through a capture that behaves as a CUDA graph does and needs no device."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from legoc.__main__ import main
from legoc.driver import compile_spec
from legoc.spec import check_text
from legoc_runtime.backends.cuda_graphs import BUCKETS, Captured, CudaGraphs
from legoc_runtime.errors import UsageError
from legoc_runtime.stack import BrickStack
from tests.cli.small_run import spec_text, write_run
from tests.stacks import batch, random_store


class SharedPool:
    """Captures as CUDA does: the graph is what ran, not the Python around it; outputs share one piece of memory."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.outputs: list[Tensor] = []
        self.python_calls = 0

    def __call__(self, run: Callable[[], Tensor]) -> Captured:
        output = run().clone()
        self.python_calls += 1
        self.sizes.append(len(output))
        self.outputs.append(output)

        def replay() -> None:
            for other in self.outputs:
                other.fill_(torch.nan)  # what an earlier replay left is no longer there
            output.copy_(run())

        return Captured(output, replay)


@pytest.fixture
def stack() -> BrickStack:
    spec = check_text(spec_text(), "small.yaml").spec
    assert spec is not None
    manifest, _ = compile_spec(spec)
    return BrickStack(manifest, random_store(manifest.shape))


@pytest.fixture
def pool() -> SharedPool:
    return SharedPool()


@pytest.fixture
def graphed(stack: BrickStack, pool: SharedPool) -> BrickStack:
    return BrickStack(stack.manifest, stack.store, cuda_graphs=CudaGraphs(pool))


@torch.no_grad()
def test_every_batch_is_its_rows_and_earlier_results_stay(stack, graphed, pool):
    results = []
    for count in (5, 8, 3, 1, 40):
        for configuration in stack.configurations:
            arguments = batch(stack.shape, count, seed=count)
            expected = stack(*arguments, configuration=configuration)
            results.append((expected, graphed(*arguments, configuration=configuration)))
    for expected, ours in results:  # looked at last: no replay may have touched them
        assert (ours - expected).abs().max() < 1e-5
    # 5 and 8 rows share the bucket of 8; 40 rows are called as they are
    assert sorted(pool.sizes) == sorted([8, 4, 1] * len(stack.configurations))


@torch.no_grad()
def test_a_capture_is_dropped_when_weights_were_updated(stack, graphed, pool):
    arguments = batch(stack.shape, 2)
    for _ in range(3):
        graphed(*arguments)
    assert pool.sizes == [2]
    with stack.store.updating():
        for weight in stack.store.weights.values():
            weight.mul_(1.5)
    assert (graphed(*arguments) - stack(*arguments)).abs().max() < 1e-5
    assert pool.sizes == [2, 2]


@torch.no_grad()
def test_inputs_keep_their_addresses(pool):
    seen = []

    def module(x: Tensor) -> Tensor:
        seen.append(x.data_ptr())
        return x * 2

    run = CudaGraphs(pool).wrap(module, lambda: 0)
    for value in (1.0, 2.0, 3.0):
        assert torch.equal(run(torch.full((3, 2), value)), torch.full((3, 2), 2 * value))
    assert len(set(seen)) == 1
    # another type of input is another graph
    assert run(torch.ones(3, 2, dtype=torch.float64)).dtype == torch.float64
    assert len(pool.sizes) == 2


def test_gradients_and_machines_without_cuda_are_refused(graphed, monkeypatch):
    with pytest.raises(UsageError, match="no gradients"):
        graphed(*batch(graphed.shape, 2))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="need a CUDA device"):
        CudaGraphs()


def test_the_command_refuses_them_on_a_cpu(tmp_path, capsys):
    run = write_run(tmp_path / "run")
    assert main(["sample", str(run), "--cuda-graphs", "--device", "cpu", "--backend", "eager"]) == 2
    assert "CUDA graphs need a CUDA device" in capsys.readouterr().err
    assert not (run / "samples").exists()


@pytest.mark.gpu
@torch.no_grad()
def test_captures_on_a_gpu_agree_with_eager(stack):
    store = random_store(stack.shape).to("cuda")
    eager = BrickStack(stack.manifest, store)
    graphed = BrickStack(stack.manifest, store, cuda_graphs=CudaGraphs())
    for count in (max(BUCKETS), 5, 2, 1):
        for configuration in stack.configurations:
            arguments = [argument.cuda() for argument in batch(stack.shape, count)]
            ours = graphed(*arguments, configuration=configuration)
            assert (ours - eager(*arguments, configuration=configuration)).abs().max() < 1e-4
    with store.updating():
        for weight in store.weights.values():
            weight.mul_(1.5)
    assert (graphed(*arguments) - eager(*arguments)).abs().max() < 1e-4
