"""Checkpoints on the disk: written whole or not at all, read with their checksums.

    RUN/checkpoints/000000012800/       images trained on
        weights.safetensors             the weights
        ema-0.9999.safetensors          an average of them, one file a rate
        optimizer.safetensors           what continuing needs besides; of several processes that share it also
        optimizer-1-of-2.safetensors    the rows of each, one file a process
        state.json                      where the run stands, and the SHA-256 of the other files and of each weight

takes: tensors and a state; paths
gives: checkpoint directories, WeightsFile
may import: torch, safetensors, `legoc_runtime.contract` and `legoc_runtime.errors`
"""

from legoc_runtime.checkpoint.layout import CHECKPOINTS as CHECKPOINTS
from legoc_runtime.checkpoint.layout import EMA_PREFIX as EMA_PREFIX
from legoc_runtime.checkpoint.layout import checkpoints as checkpoints
from legoc_runtime.checkpoint.layout import is_checkpoint as is_checkpoint
from legoc_runtime.checkpoint.layout import read_state as read_state
from legoc_runtime.checkpoint.layout import verify as verify
from legoc_runtime.checkpoint.weights import WeightsFile as WeightsFile
from legoc_runtime.checkpoint.weights import file_sha256 as file_sha256
from legoc_runtime.checkpoint.weights import find_weights as find_weights
from legoc_runtime.checkpoint.weights import read_tensors as read_tensors
from legoc_runtime.checkpoint.weights import unread_bytes as unread_bytes
from legoc_runtime.checkpoint.write import Header as Header
from legoc_runtime.checkpoint.write import clean as clean
from legoc_runtime.checkpoint.write import prune as prune
from legoc_runtime.checkpoint.write import set_aside as set_aside
from legoc_runtime.checkpoint.write import write_checkpoint as write_checkpoint
