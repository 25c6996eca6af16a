"""Weights of other code: pickles read as data and never run, tensors by foreign names, weights of a stack.

    file --containers, machine--> inert records --state--> named tensors --origins--> weights of a StackShape

takes: a file that torch, pickle or safetensors wrote; a StackShape
gives: its tensors by name; the weights of a stack
may import: `legoc_runtime.checkpoint`, `layers`, `contract`; torch to read tensors, not to read names and shapes
"""
