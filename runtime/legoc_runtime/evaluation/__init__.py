"""How good pictures are: features of an extractor, and the distances and scores computed from them.

takes: sets of pictures, reference statistics, an extractor
gives: `Evaluation`, `Nearest`
may import: torch, numpy, pillow, safetensors, `legoc_runtime.{data,sampling,errors,randomness}`; torch-fidelity only
when Inception's features are asked for
"""
