"""Passes over linked modules that change numbers beyond rounding: each states its tolerance and runs when asked for.

takes: fx.GraphModule, WeightStore
gives: fx.GraphModule
may import: torch, `store`, `layers`, `contract` of `legoc_runtime`
"""
