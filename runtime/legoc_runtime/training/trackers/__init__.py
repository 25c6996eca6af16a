"""Where a run can be followed besides its own files: TensorBoard, Weights & Biases, trackio.

takes: numbers by name and grids of samples, each with the images trained on
gives: what those programs show
may import: the packages of the same names, when a run asks for one of them and not before
"""
