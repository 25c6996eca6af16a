"""What a stack costs: parameters and multiply-accumulates, by arithmetic on integers.

takes: `StackShape`, `TruthTable`, `Manifest`
gives: counts, `Cost` and its forms as text and JSON
may import: `legoc_runtime.contract`; never torch
"""

from legoc.cost.counts import (
    brick_macs,
    brick_parameters,
    conditioning_macs,
    conditioning_parameters,
    macs,
    parameters,
    policy_macs,
    training_macs,
)
from legoc.cost.report import BrickCost, Cost, PolicyCost, price

__all__ = [
    "BrickCost",
    "Cost",
    "PolicyCost",
    "brick_macs",
    "brick_parameters",
    "conditioning_macs",
    "conditioning_parameters",
    "macs",
    "parameters",
    "policy_macs",
    "price",
    "training_macs",
]
