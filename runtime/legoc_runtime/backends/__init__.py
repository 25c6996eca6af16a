"""GraphModule to callable. A backend owns what it compiled; the store's modules stay plain.

takes: fx.GraphModule
gives: a callable of the same arguments
may import: torch, `legoc_runtime.link`, `legoc_runtime.layers`
"""
