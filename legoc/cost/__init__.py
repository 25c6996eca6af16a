"""What a stack costs: parameters and multiply-accumulates, by arithmetic on integers.

takes: `StackShape`, `TruthTable`, `Manifest`
gives: counts, `Cost` and its forms as text and JSON
may import: `legoc.lower.passes` (what they save), `legoc_runtime.contract`; never torch
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
from legoc.cost.executed import constant_macs, executed_macs, executed_training_macs, program_macs
from legoc.cost.memory import MemoryCost, memory
from legoc.cost.peer import dit_xl_2
from legoc.cost.report import BrickCost, ConfigurationCost, Cost, PeerCost, PolicyCost, price

__all__ = [
    "BrickCost",
    "ConfigurationCost",
    "Cost",
    "MemoryCost",
    "PeerCost",
    "PolicyCost",
    "brick_macs",
    "brick_parameters",
    "conditioning_macs",
    "conditioning_parameters",
    "constant_macs",
    "dit_xl_2",
    "executed_macs",
    "executed_training_macs",
    "macs",
    "memory",
    "parameters",
    "policy_macs",
    "price",
    "program_macs",
    "training_macs",
]
