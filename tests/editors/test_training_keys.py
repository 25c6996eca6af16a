"""What editors are offered in the keys of training that name bricks and policies."""

from __future__ import annotations

from pathlib import Path

from legoc.lsp.completion import complete
from legoc.lsp.documents import Document
from legoc.lsp.hover import hover
from legoc.lsp.rename import rename

EMOJI = (Path(__file__).parents[2] / "specs" / "emoji_32.yaml").read_text(encoding="utf-8")
URI = "file:///stack.yaml"


def training(written: str) -> str:
    return EMOJI.replace("\ntrain:\n", f"\ntrain:\n  {written}\n")


def completions(written: str) -> list[str]:
    text = training(written)
    return [item.label for item in complete(Document(URI, text.replace("|", "")), text.index("|"))]


def test_completion_of_stages_and_of_what_training_leaves_out() -> None:
    assert completions("stages: [{|}]") == ["train", "images"]
    assert completions("stages: [{train: [windows, |]}]") == ["windows", "parts", "image"]
    assert completions("drop: {|}") == ["policy", "rate", "$delete"]
    assert completions("drop: {policy: |}") == ["halfway", "late", "early", "lean"]
    assert completions("precision: |") == ["float32", "bf16", "fp16"]


def test_a_brick_of_a_stage_is_explained_and_renamed() -> None:
    text = training("stages: [{train: [parts]}]")
    document, at = Document(URI, text), text.index("[parts]") + 1
    found = hover(document, at)
    assert found is not None
    assert "brick `parts`" in str(found.contents)
    lines = [edit.range.start.line for edit in rename(document, at, "pieces")]
    assert sorted(lines) == [i for i, line in enumerate(text.splitlines()) if "parts" in line]
