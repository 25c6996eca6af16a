"""Image sets for training: a zip in the layout of StyleGAN and EDM, a folder, shards, or a set of `datasets`.

takes: a path
gives: `TrainingSet`: `ImageDataset`
may import: pillow, numpy, `legoc_runtime.{errors,randomness,contract}`; never torch
"""

from legoc_runtime.data.dataset import ImageDataset as ImageDataset
from legoc_runtime.data.dataset import open_dataset as open_dataset
from legoc_runtime.data.training_set import TrainingSet as TrainingSet
