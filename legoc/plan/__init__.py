"""What a build will hold and why: configurations and who reaches them, kernels with reasons, passes. Needs no torch.

takes: Manifest
gives: `Plan`, as text and as JSON-ready data
may import: `legoc.lower`, `legoc.cost`, `legoc_runtime.contract`
"""
