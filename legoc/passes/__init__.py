"""Passes: brick graph to brick graph, one a file, pure.

takes: BrickGraph
gives: BrickGraph
may import: `legoc.graph`, `legoc.diagnostics`
"""
