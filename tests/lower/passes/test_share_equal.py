"""`share-equal` on the text of programs."""

from __future__ import annotations

from legoc.lower.passes.share_equal import ShareEqual
from legoc.lower.program import lower_sampling, lower_training
from legoc_runtime.contract.program_text import to_text
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.contract.verify import verify_program
from tests.stacks import stack

SHAPE = stack(carry="raw", train_patches=(0.5, 0.5, 1.0), depths=(1, 1, 1))


def test_equal_operations_are_computed_once():
    """With `carry: raw` and `fill: x0` every brick that reads one below wants the network output of the clean image."""
    before = lower_training(SHAPE, TrainSettings(fill="x0"))
    after = ShareEqual().apply(before, SHAPE)
    verify_program(after, SHAPE)
    gone = set(to_text(before).splitlines()) - set(to_text(after).splitlines())
    new = set(to_text(after).splitlines()) - set(to_text(before).splitlines())
    assert gone == {
        "  %parts.clean: image[3x32x32] = unprecondition(%clean, %x, %c_skip, %c_out)",
        "  %parts.filled: image[3x32x32] = fill_clean(%parts.network, %parts.clean, %parts.mask)",
    }
    assert new == {"  %parts.filled: image[3x32x32] = fill_clean(%parts.network, %windows.clean, %parts.mask)"}


def test_a_program_without_repetition_stays_as_it_is():
    before = lower_sampling(SHAPE, SHAPE.ids)
    assert ShareEqual().apply(before, SHAPE) == before
