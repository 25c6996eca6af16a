"""Brick graph to program.

takes: BrickGraph of one configuration, or of training
gives: Program (IR 2)
may import: `legoc.graph`, `legoc.passes`, `legoc_runtime.contract`
"""
