"""What cannot be shared out is refused before there is a run."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.errors import UsageError
from legoc_runtime.training.holding import refuse_pretrained
from legoc_runtime.training.ranks import ALONE, Ranks


def test_a_pretrained_model_is_not_shared_out() -> None:
    plain: Any = SimpleNamespace(pretrained=None)
    on_a_model: Any = SimpleNamespace(pretrained=SimpleNamespace(id="base"))
    shared = TrainSettings(sharding="fsdp2")
    refuse_pretrained(plain, shared, Ranks(0, 2))
    refuse_pretrained(on_a_model, shared, ALONE)
    refuse_pretrained(on_a_model, replace(shared, sharding="none"), Ranks(0, 2))
    with pytest.raises(UsageError, match="brick `base` is a pretrained model"):
        refuse_pretrained(on_a_model, shared, Ranks(1, 2))
