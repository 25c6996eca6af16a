"""What stands at a path: a spec, a build, a run, a checkpoint or a file of tensors, by what it says of itself.

takes: a path
gives: `Inspection` as data, text and JSON
may import: `legoc.driver` and what it imports, `legoc_runtime.checkpoint` and below; loads no torch
"""
