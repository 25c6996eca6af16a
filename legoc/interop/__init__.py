"""Weights of other code, in and out: released LEGO, DiT, diffusers.

    file --containers, machine--> inert records --state--> named tensors --origins--> weights of a spec --> a run
    run --export--> a folder as diffusers lays it out, which `legoc_runtime.interop` loads

takes: a file or folder of weights, a spec; a run
gives: a run; a folder
may import: every room below the command line; torch to read tensors
"""
