"""IR 1: the brick graph.

takes: StackSpec
gives: BrickGraph
may import: networkx, `legoc.spec.resolved`, `legoc.source`, `legoc_runtime.contract`
"""
