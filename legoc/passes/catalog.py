"""Which passes run, in which order."""

from __future__ import annotations

from legoc.passes.base import GraphPass
from legoc.passes.eliminate_dead import EliminateDead
from legoc.passes.infer_shapes import InferShapes
from legoc.passes.reroute_estimates import RerouteEstimates
from legoc.passes.specialise_skips import SpecialiseSkips
from legoc_runtime.contract.policy import Configuration


def sampling_passes(configuration: Configuration) -> tuple[GraphPass, ...]:
    """The passes that make one configuration of the whole stack's graph."""
    return (InferShapes(), SpecialiseSkips(configuration), EliminateDead(), RerouteEstimates())


def training_passes(configuration: Configuration | None = None) -> tuple[GraphPass, ...]:
    """The passes of the training graph, in which every brick runs, or those of a configuration."""
    if configuration is None:
        return (InferShapes(), EliminateDead())
    return sampling_passes(configuration)


NEEDED: dict[str, str] = {
    InferShapes.name: "the verifier holds the types that it finds against every later pass",
    SpecialiseSkips.name: "it is what makes a configuration of the stack",
    EliminateDead.name: "without it a configuration would compute the bricks that it leaves out",
    RerouteEstimates.name: "lowering takes no graph in which bricks that are left out still stand",
}
"""Why a pass over brick graphs cannot be disabled. All of them are needed: what can be disabled runs over programs."""
