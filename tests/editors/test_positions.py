"""Offsets and the protocol's positions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol.types import Position, PositionEncodingKind

from legoc.lsp.positions import Positions

ENCODINGS = {
    "utf-8": PositionEncodingKind.Utf8,
    "utf-16": PositionEncodingKind.Utf16,
    "utf-32": PositionEncodingKind.Utf32,
}


@pytest.mark.parametrize(("encoding", "character"), [("utf-8", 7), ("utf-16", 4), ("utf-32", 3)])
def test_columns_count_code_units(encoding: str, character: int) -> None:
    positions = Positions("ä😀b|c", ENCODINGS[encoding])
    assert positions.position(3) == Position(0, character)
    assert positions.offset(Position(0, character)) == 3


@given(st.text(st.sampled_from("ab😀ä\n\r\u2028"), max_size=30), st.sampled_from(sorted(ENCODINGS)))
def test_offsets_come_back(text: str, encoding: str) -> None:
    positions = Positions(text, ENCODINGS[encoding])
    for offset in range(len(text) + 1):
        inside = text[offset - 1 : offset + 1] == "\r\n"  # no position stands between the two
        assert positions.offset(positions.position(offset)) == (offset - 1 if inside else offset)


def test_positions_outside_are_the_nearest_inside() -> None:
    positions = Positions("ab\r\nc")
    assert positions.offset(Position(0, 99)) == 2
    assert positions.offset(Position(9, 0)) == 5
    assert positions.position(99) == Position(1, 1)
