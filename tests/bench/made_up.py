"""A measurement whose samples are made up, so that every figure can be worked out by hand."""

from __future__ import annotations

from legoc.bench.machine import Machine
from legoc.bench.products import SQUARE_NAME, BlockProducts
from legoc.bench.results import Bench, Kind, PolicyRun, Timed

MACHINE = Machine("2026-11-23", "A CPU", 2, 2, 8_000_000_000, None, 0.1, "3.11", "2.13", "0.1", None, "abc1234")
PRODUCTS = BlockProducts(tokens=100, width=10, hidden=40)


def timed(model: str, kind: Kind, configuration: str, gmacs: float, *seconds: float, blocks: int = 0) -> Timed:
    ids = tuple(configuration.split("+"))
    macs = round(gmacs * 1e9)
    label = f"{model}: {configuration}" if len(ids) > 1 else model
    products = ((PRODUCTS, blocks),) if blocks else ()
    ahead = tuple(0.0 for _ in seconds)
    return Timed(model, label, kind, ids, macs, macs, products, seconds, ahead, first_call_s=5.0, peak_bytes=10**7)


def bench() -> Bench:
    """A stack of two bricks, twice as fast in its second round, beside itself by hand and a DiT."""
    return Bench(
        name="small",
        weights="random",
        parameters=1_000_000,
        batch=4,
        dtype="float32",
        device="cpu",
        backend="inductor",
        steps=3,
        evaluations=5,
        guided=False,
        repeats=3,
        memory_how="growth",
        weight_bytes=4_000_000,
        command="legoc bench small.yaml",
        machine=MACHINE,
        timed=(
            timed("small", "stack", "low+top", 2.0, 0.8, 0.4, 0.8, blocks=3),
            timed("small", "stack", "low", 0.5, 0.2, 0.1, 0.2, blocks=1),
            timed("plain", "plain", "low+top", 2.0, 1.2, 0.6, 1.2),
            timed("dit", "spec", "dit", 4.0, 1.6, 0.8, 1.6, blocks=6),
        ),
        products=((SQUARE_NAME, (0.1, 0.05, 0.1)), (PRODUCTS.name, (0.2, 0.1, 0.2))),
        policies=(
            PolicyRun("none", ((("low", "top"), 5),), ((("low", "top"), 3),), 0.0),
            PolicyRun("half", ((("low", "top"), 3), (("low",), 2)), ((("low", "top"), 2), (("low",), 1)), 0.3),
        ),
        notes=("the DiT is made up",),
    )
