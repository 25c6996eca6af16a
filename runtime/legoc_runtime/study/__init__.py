"""What leaving bricks out does to pictures: policies rolled out from the same seeds, held against no skipping.

takes: a stack that runs the configurations wanted, a shape, settings, seeds
gives: the error of a policy in its final pictures, and what each configuration takes
may import: torch, `legoc_runtime.{sampling,contract,errors}`
"""
