"""The events of a text: what is read twice is parsed once, and only what could be read to its end is kept."""

import pytest

from legoc.spec import yaml_events as module
from legoc.spec.yaml_event import NotYamlError
from legoc.spec.yaml_events import yaml_events


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were parsed."""
    texts: list[str] = []
    parse = module._read
    monkeypatch.setattr(module, "_kept", {})
    monkeypatch.setattr(module, "_read", lambda text: texts.append(text) or parse(text))
    return texts


def test_a_text_is_parsed_once(parsed: list[str]) -> None:
    text = "a: [1, &x b]  # c\n"
    first = list(yaml_events(text))
    assert [event.value for event in first if event.kind == "scalar"] == ["a", "1", "b"]
    assert list(yaml_events(text)) == first
    assert parsed == [text]


def test_few_texts_are_kept(parsed: list[str]) -> None:
    for i in range(20):
        list(yaml_events(f"a: {i}"))
        assert len(module._kept) <= 8
    list(yaml_events("a: 19"))
    assert len(parsed) == 20


def test_what_was_not_read_to_its_end_is_not_kept(parsed: list[str]) -> None:
    for _ in range(2):
        with pytest.raises(NotYamlError):
            list(yaml_events("a: ]"))
    for _ in range(2):
        next(yaml_events("a: 1"))
    assert parsed == ["a: ]", "a: ]", "a: 1", "a: 1"]
