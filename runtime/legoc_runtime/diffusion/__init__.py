"""Training side of a diffusion: noise levels and losses.

takes: clean images, noise levels, estimates
gives: noisy images' levels, losses of bricks
may import: torch, `legoc_runtime.contract` and `legoc_runtime.errors`
"""
