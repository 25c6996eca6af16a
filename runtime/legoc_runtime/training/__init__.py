"""Training: a build and an image set become a run directory.

takes: Manifest, TrainingSet
gives: a run directory: metrics.jsonl and checkpoints that continue exactly
may import: torch, numpy, and every room of the runtime below it, `sampling` among them
"""

from legoc_runtime.training.loop import Outcome as Outcome
from legoc_runtime.training.progress import Lines as Lines
from legoc_runtime.training.progress import Progress as Progress
from legoc_runtime.training.progress import Quiet as Quiet
from legoc_runtime.training.ranks import is_first as is_first
from legoc_runtime.training.run import train as train
