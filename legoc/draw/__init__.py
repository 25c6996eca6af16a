"""Pictures of what a stack does, without torch.

takes: `TruthTable`, `StackShape`, `BrickGraph`, cost
gives: timelines as SVG and as text; graphs as SVG, Mermaid and DOT; bars as SVG
may import: `legoc.cost`, `legoc.graph`, `legoc.passes`, `legoc_runtime.contract`; never torch
"""
