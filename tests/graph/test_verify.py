"""Every invariant of the graph verifier notices the fault that it is for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from legoc.graph.brick_graph import BrickGraph, Entry
from legoc.graph.build import sampling_graph
from legoc.graph.nodes import Output
from legoc.graph.verify import INVARIANTS, GraphError, verify
from legoc_runtime.contract.program import Image
from tests.stacks import stack


def changed(**entries: Entry | None) -> BrickGraph:
    graph = sampling_graph(stack())
    merged = {**graph.entries, **{name.replace("__", "."): entry for name, entry in entries.items()}}
    return graph.with_entries({name: entry for name, entry in merged.items() if entry is not None})


GRAPH = sampling_graph(stack())
FAULTS = {
    "inputs exist": changed(estimate__whole=GRAPH["estimate.whole"].reading(network="brick.ghost")),
    "slots match": changed(scales=Entry("scales", GRAPH["scales"].node, {})),
    "no cycle": changed(brick__windows=GRAPH["brick.windows"].reading(image="estimate.whole")),
    "estimate slots": changed(brick__windows=GRAPH["brick.windows"].reading(below="scaled")),
    "has output": changed(output=Entry("output", Output(), {"value": "scaled"})),
    "types agree": changed(x=replace(GRAPH["x"], type=Image(3, 8, 8))),
}


def test_a_whole_graph_is_valid():
    verify(GRAPH)


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_each_invariant_notices_its_fault(invariant):
    with pytest.raises(GraphError) as caught:
        verify(FAULTS[invariant])
    assert caught.value.violations[0].invariant == invariant
