"""Weights by the names of other code.

takes: tensors by foreign names
gives: weights of a StackShape
may import: every room of the runtime
"""
