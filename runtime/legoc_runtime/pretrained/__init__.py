"""Models that are trained already, as bricks: opened by adapters, one file a kind.

takes: PretrainedShape, the files of a model
gives: PretrainedBrick, a store that holds it
may import: torch, `legoc_runtime.link`, `store`, `layers`, `checkpoint`, `contract`; diffusers where it is asked for
"""

from legoc_runtime.pretrained.model import PretrainedModel
from legoc_runtime.pretrained.open import open_brick, open_store, sealed

__all__ = ["PretrainedModel", "open_brick", "open_store", "sealed"]
