"""What editors are offered in the keys of canvases."""

from __future__ import annotations

from pathlib import Path

from legoc.lsp.completion import complete
from legoc.lsp.documents import Document
from legoc.lsp.hover import hover

EMOJI = (Path(__file__).parents[2] / "specs" / "emoji_32.yaml").read_text(encoding="utf-8")
URI = "file:///stack.yaml"


def completions(written: str) -> list[str]:
    text = EMOJI.replace("sample: {", f"sample: {{{written}, ")
    return [item.label for item in complete(Document(URI, text.replace("|", "")), text.index("|"))]


def test_completion_of_canvases() -> None:
    assert completions("canvas: |") == ["windows", "factorised"]
    assert completions("size: |") == ["grid"]
    assert completions("wrap: |") == ["true", "false"]
    assert completions("regions: [{class: 3, |}]") == ["box"]


def test_the_size_of_a_canvas_is_explained_with_its_windows() -> None:
    text = EMOJI.replace("sample: {", "sample: {size: 64x128, canvas: factorised, ")
    found = hover(Document(URI, text), text.index("size: 64x128") + 1)
    assert found is not None
    card = str(found.contents)
    assert "Default: grid." in card
    assert "canvas 64x128: 90 windows of 32x32, stride 7 for image-bricks, 8 side by side for patch-bricks" in card


def test_words_beside_other_values_are_not_told_as_all_that_there_is() -> None:
    text = EMOJI.replace("sample: {", "sample: {ema: none, wrap: true, ")
    for key, said in (("ema: n", "`first`, `none`, or another value, as in the examples."), ("wrap", "One of `true`,")):
        found = hover(Document(URI, text), text.index(key) + 1)
        assert found is not None
        assert said in str(found.contents)
