"""Program to torch.fx.GraphModule over the store's leaf modules.

takes: Program, WeightStore
gives: fx.GraphModule
may import: torch, `legoc_runtime.store`, `legoc_runtime.layers`, `legoc_runtime.contract`
"""
