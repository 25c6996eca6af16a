"""What programs are made of: leaf modules that hold weights, and functions that hold none.

takes: tensors
gives: tensors
may import: torch, `legoc_runtime.contract`
"""
