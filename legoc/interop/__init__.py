"""Weights of other code, in and out: released LEGO, DiT, diffusers.

    file --legoc_runtime.foreign--> named tensors --> weights of a spec --> a run
    run --export--> a folder as diffusers lays it out, which `legoc_runtime.interop` loads

takes: a file or folder of weights, a spec; a run
gives: a run; a folder
may import: every room below the command line; torch to read tensors
"""
