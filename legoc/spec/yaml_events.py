"""The events of a YAML text: read in one pass where it is as plain as specs are, by ruamel where it is not."""

from __future__ import annotations

from collections.abc import Iterator

from legoc.spec.yaml_event import YamlEvent
from legoc.spec.yaml_plain import plain_events

_MAX_KEPT = 8
_kept: dict[str, tuple[YamlEvent, ...]] = {}
"""The events of the texts read last: a file is read for its values, and again for its comments."""


def yaml_events(text: str) -> Iterator[YamlEvent]:
    """The events of a text, by YAML 1.2.

    Raises:
        NotYamlError: at the first place that is not YAML.
    """
    if (known := _kept.get(text)) is not None:
        yield from known
        return
    events: list[YamlEvent] = []
    for event in _read(text):
        events.append(event)
        yield event
    if len(_kept) >= _MAX_KEPT:
        _kept.clear()
    _kept[text] = tuple(events)


def _read(text: str) -> Iterator[YamlEvent]:
    plain = plain_events(text)
    if plain is not None:
        return iter(plain)
    from legoc.spec.yaml_ruamel import ruamel_events  # most texts are plain

    return ruamel_events(text)
