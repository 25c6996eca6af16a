"""A loaded build: one module a configuration and one for training, all over one weight store.

takes: Manifest, WeightStore
gives: BrickStack, ModulationTable, TrainingStack, load
may import: torch, and `link`, `backends`, `store`, `checkpoint`, `contract` of `legoc_runtime`
"""

from legoc_runtime.stack.brick_stack import BrickStack as BrickStack
from legoc_runtime.stack.load import load as load
from legoc_runtime.stack.load import load_bricks as load_bricks
from legoc_runtime.stack.table import DEFAULT_TABLE_BYTES as DEFAULT_TABLE_BYTES
from legoc_runtime.stack.table import ModulationTable as ModulationTable
from legoc_runtime.stack.table import Use as Use
from legoc_runtime.stack.training_stack import BrickEstimate as BrickEstimate
from legoc_runtime.stack.training_stack import TrainingStack as TrainingStack
