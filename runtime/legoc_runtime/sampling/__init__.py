"""Pictures from a stack: samplers, guidance, noise by seed, the trace of bricks that ran, and its record.

takes: a BrickStack (anything that fits `sampler.Stack`), a manifest's shape and settings, a policy, seeds
gives: estimates, PNG files, a grid, samples.json
may import: torch, numpy, pillow, `legoc_runtime.{stack,vae,contract,data}`, `legoc_runtime.randomness`
"""
