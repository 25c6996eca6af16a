"""What `legoc bench` does with a stack on a pretrained model: its usual peer cannot run one."""

from __future__ import annotations

from pathlib import Path

import pytest

from legoc.bench.request import make_request
from legoc_runtime.errors import UsageError
from legoc_runtime.link.opt_in.fp8 import parse_fp8
from tests.cli.small_run import spec_text, write_run


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    run = write_run(tmp_path / "run")
    path = tmp_path / "above.yaml"
    base = f"bricks:\n  - {{id: base, pretrained: {{kind: stack, path: {run}}}}}\n"
    path.write_text(spec_text().replace("bricks:\n", base).replace("name: small", "name: above"), encoding="utf-8")
    return path


def test_no_peer_is_taken_unasked_and_plain_is_refused_before_anything_is_timed(spec: Path) -> None:
    """It was refused with the help to leave out a flag that nobody had written."""
    request = make_request(spec, backend="eager")
    assert request.peers == ()
    assert "no peer was timed: the peer `plain` does not run `base`, a pretrained model" in request.notes
    with pytest.raises(UsageError, match="`base` is a pretrained model") as refused:
        make_request(spec, backend="eager", peers=["plain"])
    assert refused.value.help == "leave `--peer plain` out"


def test_a_pretrained_model_has_no_8_bit_products(spec: Path) -> None:
    """It was taken, and nothing came of it."""
    shape = make_request(spec, backend="eager").manifest.shape
    assert parse_fp8("windows", shape).bricks == ("windows",)
    with pytest.raises(UsageError, match="`base` is a pretrained model, whose products stay"):
        parse_fp8("windows,base", shape)
