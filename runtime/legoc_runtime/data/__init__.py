"""What stacks are trained on: images (a zip, a folder, shards, a set of `datasets`), or latents of images.

takes: a path
gives: `TrainingSet`: `ImageDataset` or `LatentDataset`
may import: pillow, numpy, safetensors, `legoc_runtime.{errors,randomness,contract}`; never torch
"""

from legoc_runtime.data.dataset import ImageDataset as ImageDataset
from legoc_runtime.data.dataset import open_images as open_images
from legoc_runtime.data.latents import LatentDataset as LatentDataset
from legoc_runtime.data.open_dataset import open_dataset as open_dataset
from legoc_runtime.data.training_set import TrainingSet as TrainingSet
