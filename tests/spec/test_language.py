"""What `legoc check` reads specs with, against the models that it is made from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_core import ValidationError

from legoc.source import SourceFile
from legoc.spec.compose import compose
from legoc.spec.language import LANGUAGE, Record, read_written, sections
from legoc.spec.language_from_models import keys_of, language_text, models
from legoc.spec.tree import plain
from legoc.spec.written import Spec
from tests.fuzz.run import ROOT, SPECS, spec

FIXTURES = ROOT / "tests" / "diagnostics" / "fixtures"
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 16384, 16385, 10**15, 10**16, 2**63 - 1, 2**63, 10**40),
    *(0.0, -0.0, 0.5, 1.0, 1e-9, 1e6, 1e400, float("nan"), 4.5),
    *("", "x", "image", "8x16", "0x4", "99999x1", "1x\u0662", "4.5k", "1.0001k", "10k", "9999999G"),
    *("edm", "ddpm", "raw", "a" * 65, "a" * 2001, "-a", "a\n", "\u65e5", "heun", "x0", "noisy", "adamw"),
    *([], [1], [0.5, 0.9], [1, 2, 3], ["a.yaml"], [None], [{}], {}, {"a": 1}, {"kind": "edm"}, {"a": {"b": "c"}}),
)


def outcome(read: Any, data: Any) -> Any:
    """The values that were read, with the keys that were written; or the errors, each with all that it says."""
    try:
        return values(read(data))
    except ValidationError as error:
        # repr: NaN differs from itself
        return [{key: repr(value) for key, value in one.items()} for one in error.errors(include_url=False)]


def values(read: Any) -> Any:
    if isinstance(read, BaseModel | Record):
        fields = dict(vars(read))
        return type(read).__name__, {key: values(value) for key, value in fields.items()}, read.model_fields_set
    if isinstance(read, list):
        return [values(item) for item in read]
    return repr(read)


def agree(data: Any) -> None:
    assert outcome(read_written, data) == outcome(Spec.model_validate, data)


def data_of(text: str) -> Iterator[dict[str, Any]]:
    tree, _ = compose(SourceFile("s.yaml", text))
    if tree is not None:
        yield plain(tree.root)


def test_the_language_is_that_of_the_models() -> None:
    """`python -m legoc.spec.language_from_models` writes it anew."""
    assert LANGUAGE.read_text(encoding="utf-8") == language_text()


def test_sections_are_those_of_the_models() -> None:
    assert list(sections()) == list(models())
    for path, section in sections().items():
        model = models()[path]
        assert list(section.keys) == keys_of(model)
        assert set(section.required) == model.required
        assert set(section.nullable) == model.nullable
        assert all(key.about and key.examples for key in section.keys.values())


@pytest.mark.parametrize("path", sections(), ids=lambda path: ".".join(map(str, path)) or "top")
def test_every_key_is_read_as_the_models_read_it(path: tuple[str, ...]) -> None:
    for value in VALUES:
        agree(inside(path, value))
        for key in (*sections()[path].keys, "unknown"):
            agree(inside(path, {key: value}))


def inside(path: tuple[str, ...], value: Any) -> Any:
    """A spec that holds a value at a path."""
    for part in reversed(path):
        value = [{"id": "a"}, value] if part == "*" else {part: value}
    return value


@pytest.mark.parametrize(
    "path", sorted(path for path in FIXTURES.glob("*.yaml") if path.is_file()), ids=lambda path: path.stem
)
def test_fixtures_are_read_as_the_models_read_them(path: Path) -> None:
    for data in data_of(path.read_text(encoding="utf-8", errors="replace")):
        agree(data)


def test_presets_and_mutated_specs_are_read_as_the_models_read_them() -> None:
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in SPECS]
    texts += [spec(f"3:{i}")[1] for i in range(500)]
    refused = 0
    for text in texts:
        for data in data_of(text):
            agree(data)
            refused += isinstance(outcome(read_written, data), list)
    assert refused > 50
