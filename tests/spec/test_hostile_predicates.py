"""Nothing outside the grammar is reachable: hostile predicates are refused at their place, and nothing runs."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from legoc.spec import check_text
from legoc.spec.predicate import parse

SPEC = """\
legoc: 1
name: example
grid: {{height: 32, width: 32, channels: 3}}
conditioning: {{classes: 9}}
bricks:
  - {{id: windows, size: 4, depth: 2, width: 192, heads: 6}}
  - {{id: image, size: image, depth: 5, width: 192, heads: 6, skip: {predicate}}}
"""
FORBIDDEN = ("import", "exec", "compile", "open", "os.", "subprocess.", "ctypes.", "object.__", "code.", "builtins.")


def hostile() -> Iterator[str]:
    lines = (Path(__file__).parent / "hostile_predicates.txt").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line and not line.startswith("#"):
            entry: str | list[Any] = json.loads(line)
            yield entry if isinstance(entry, str) else entry[0] * entry[1]


HOSTILE = list(hostile())


class Watch:
    """Records what the interpreter's audit events say inside `with`; the hook itself cannot be taken out again."""

    def __init__(self) -> None:
        self.is_on = False
        self.seen: list[str] = []
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.is_on and event.startswith(FORBIDDEN):
            self.seen.append(f"{event} {arguments[:1]}")

    def __enter__(self) -> None:
        self.is_on = True

    def __exit__(self, *error: object) -> None:
        self.is_on = False


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


def test_the_corpus_is_large_and_its_watch_sees(watch: Watch) -> None:
    assert len(set(HOSTILE)) >= 200
    with watch:
        compile("1", "<watched>", "eval")
    assert watch.seen.pop().startswith("compile")
    assert not watch.seen


def test_each_is_refused_at_its_place_and_nothing_runs(watch: Watch) -> None:
    for text in HOSTILE:
        with watch:
            tree, errors = parse(text)
        assert tree is None, text[:80]
        assert errors, text[:80]
        for error in errors:
            assert 0 <= error.start <= error.end <= len(text), (text[:80], error.start, error.end)
        assert not watch.seen, text[:80]


def test_each_has_a_diagnostic_on_its_line_of_a_spec() -> None:
    for text in HOSTILE:
        if len(text) > 150_000:
            continue  # the file as a whole is refused for its length
        quoted = json.dumps(text)  # a JSON string is a YAML string in double quotes
        spec = SPEC.format(predicate=quoted)
        result = check_text(spec, "s.yaml")
        assert result.spec is None, text[:80]
        spans = [finding.primary.span for finding in result.errors if finding.primary]
        assert spans, text[:80]
        assert all(span.line == 7 for span in spans), (text[:80], [str(span) for span in spans])
